"""sort, argsort, topk, unique: order, ties, NaN, stability, gradients."""

import math

import numpy as np
import pytest
from helpers import ALL_DTYPES, FLOATS, arr, check_op, distinct, ints, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_sort(dim, descending):
    def ref(x, **_):
        order = np.argsort(-x if descending else x, axis=dim, kind="stable")
        return np.take_along_axis(x, order, dim), order

    x = distinct(3, 4, 5)
    check_op(
        lambda t: pynn.sort(t, dim=dim, descending=descending, stable=True),
        ref,
        [x],
        out=(pynn.float64, pynn.int64),
        dtypes=(pynn.float64,),
    )
    check_op(lambda t: t.sort(dim, descending)[0], lambda a: ref(a)[0], [x], ints="same")
    check_op(lambda t: pynn.argsort(t, dim, descending), lambda a: ref(a)[1], [x], out=pynn.int64, grad=False)
    result = tensor(x).sort(dim=dim)
    assert result.values is result[0] and result.indices is result[1]


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(dtype, descending):
    values = ints(300, low=0, high=5 if dtype != pynn.bool else 2)
    x = tensor(values, dtype)
    got, index = pynn.sort(x, stable=True, descending=descending)
    order = np.argsort(-values if descending else values, kind="stable")
    np.testing.assert_array_equal(index.numpy(), order)
    assert got.dtype == dtype and same_bits(got.double(), x[index].double())


def test_sort_of_special_values():
    x = pynn.tensor([1.0, NAN, -INF, INF, -0.0, 0.0, NAN, -1.0])
    up, i = x.sort(stable=True)
    assert up[:6].tolist() == [-INF, -1.0, 0.0, 0.0, 1.0, INF] and up[6:].isnan().all()  # NaN last
    assert i.tolist() == [2, 7, 4, 5, 0, 3, 1, 6]  # the zeros are equal and keep their order
    down, i = x.sort(descending=True, stable=True)
    assert down[:2].isnan().all() and down[2].item() == INF and i[:2].tolist() == [1, 6]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 100, 1000, 20_000])
def test_sort_sizes(n):
    for values in (arr(n), np.zeros(n), np.arange(n) * 1.0, -np.arange(n) * 1.0, np.round(arr(n) * 3)):
        x = tensor(values, pynn.float32)
        got, index = x.sort()
        np.testing.assert_array_equal(got.numpy(), np.sort(x.numpy()))
        assert same_bits(x[index], got)
        assert sorted(index.tolist()) == list(range(n))


def test_sort_edges():
    values, index = pynn.tensor(3.0).sort()
    assert values.item() == 3.0 and index.item() == 0
    assert pynn.empty(2, 0, 3).sort(1).values.shape == (2, 0, 3)
    assert pynn.msort(pynn.tensor([[3, 1], [1, 2]])).tolist() == [[1, 1], [3, 2]]
    with raises(IndexError, "sort.*2"):
        pynn.ones(2).sort(2)
    with raises(RuntimeError, "topk.*5|topk.*k"):
        pynn.ones(3).topk(5)
    with raises(RuntimeError, "topk.*-1|topk.*k"):
        pynn.ones(3).topk(-1)
    with raises(IndexError, "topk.*1"):
        pynn.ones(3).topk(1, 1)
    with pytest.raises(TypeError):
        pynn.ones(3).topk(1.5)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_topk(dim, largest):
    x = distinct(4, 5, 6)

    def ref(a, k):
        order = np.argsort(-a if largest else a, axis=dim, kind="stable")
        order = np.take(order, range(k), dim)
        return np.take_along_axis(a, order, dim), order

    for dtype in (*FLOATS, pynn.int64):
        t = tensor(np.floor(x * 10), dtype)
        for k in (0, 1, 3, 4):
            values, index = pynn.topk(t, k, dim, largest)
            expected, order = ref(to_numpy(t), k)
            assert values.dtype == dtype and index.dtype == pynn.int64
            np.testing.assert_array_equal(to_numpy(values), expected)
            np.testing.assert_array_equal(index.numpy(), order)
    check_op(lambda t: t.topk(2, dim, largest)[0], lambda a: ref(a, 2)[0], [x])
    loose = tensor(x).topk(3, dim, largest, sorted=False).values
    assert same_bits(loose.sort(dim).values, tensor(x).topk(3, dim, largest).values.sort(dim).values)


def test_topk_of_ties_and_nan():
    values, index = pynn.zeros(1000).topk(10)
    assert values.tolist() == [0.0] * 10 and len(set(index.tolist())) == 10
    values, index = pynn.tensor([1.0, NAN, 3.0, 2.0]).topk(2)
    assert values[0].isnan() and values[1].item() == 3.0 and index.tolist() == [1, 2]
    assert pynn.tensor([1.0, NAN, 3.0]).topk(1, largest=False).indices.tolist() == [0]
    assert pynn.tensor(2.0).topk(1).values.item() == 2.0


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_unique(dtype):
    values = ints(40, low=0, high=6 if dtype != pynn.bool else 2)
    x = tensor(values, dtype)
    expected, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    got = pynn.unique(x)
    assert got.dtype == dtype and to_numpy(got).astype(int).tolist() == expected.tolist()
    u, i, c = x.reshape(5, 8).unique(return_inverse=True, return_counts=True)
    assert to_numpy(u).astype(int).tolist() == expected.tolist()
    assert i.shape == (5, 8) and i.flatten().tolist() == inverse.tolist()
    assert c.tolist() == counts.tolist()
    assert bool((u[i] == x.reshape(5, 8)).all())


@pytest.mark.parametrize("dtype", [pynn.int64, pynn.int32, pynn.uint8, pynn.int8], ids=str)
@pytest.mark.parametrize("low,high", [(0, 100), (-90, -20), (5, 6), (-128, 127), (100, 30_000)])
def test_unique_of_integers_is_counted_or_sorted(dtype, low, high):
    least, most = pynn.iinfo(dtype).min, pynn.iinfo(dtype).max
    values = np.clip(ints(60, low=low, high=high), least, most)
    for extra in ([], [least], [most], [least, most]):  # of int64, the range does not fit int64
        v = np.array([*values, *extra], dtype=np.int64)
        expected = np.unique(v, return_inverse=True, return_counts=True)
        got = tensor(v, dtype).unique(return_inverse=True, return_counts=True)
        assert got[0].dtype == dtype
        for a, b in zip(got, expected):
            assert a.tolist() == b.reshape(a.shape).tolist()


def test_unique_forms():
    x = pynn.tensor([3, 1, 3, 2])
    u, c = x.unique(return_counts=True)
    assert u.tolist() == [1, 2, 3] and c.tolist() == [1, 1, 2]
    u, i = x.unique(return_inverse=True)
    assert i.tolist() == [2, 0, 2, 1]
    assert pynn.empty(0).unique().shape == (0,) and pynn.tensor(5).unique().tolist() == [5]
    rows = pynn.tensor([[1, 2], [0, 5], [1, 2]])
    u, i, c = rows.unique(return_inverse=True, return_counts=True, dim=0)
    assert u.tolist() == [[0, 5], [1, 2]] and i.tolist() == [1, 0, 1] and c.tolist() == [1, 2]
    assert rows.unique(dim=1).shape == (3, 2)
    assert pynn.unique_consecutive(pynn.tensor([1, 1, 2, 1])).tolist() == [1, 2, 1]


def test_gradient_of_sort_goes_to_the_sources():
    x = pynn.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.sort().values * pynn.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]
    x.grad = None
    (x.topk(2).values * pynn.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 10.0]


@pytest.mark.parametrize(
    "dtype", [pynn.float32, pynn.float64, pynn.int64, pynn.int32, pynn.uint8, pynn.bfloat16]
)
@pytest.mark.parametrize("largest", [False, True])
def test_topk_of_long_rows(largest, dtype):
    """Most elements are passed over a register at a time: ties, NaN, infinities and late winners must not be."""
    a = ints(4, 5003, low=0, high=200).astype(np.float64)
    a[1] = np.sort(a[1])  # each better than those before
    a[2] = 7
    if dtype in FLOATS:
        a[0, [3, 70, 5002]] = NAN
        a[3, [100, 4000]] = INF, -INF
        a[3, 4500:4510] = NAN
    x = tensor(a, dtype)
    values, order = x.sort(dim=1, descending=largest, stable=True)
    for k in (1, 2, 50, 312):
        found = x.topk(k, 1, largest=largest)
        assert same_bits(found[1], order[:, :k].contiguous()), k
        assert same_bits(found[0], values[:, :k].contiguous()), k


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.float16, pynn.int64, pynn.uint8])
@pytest.mark.parametrize(
    "shape", [(9, 3), (3, 33), (77, 33), (4, 70, 19), (2, 300, 18), (130,), (1999,), (2500,)]
)
def test_sort_of_every_path(shape, dtype):
    rng = np.random.default_rng(0)
    for kind in ("ties", "wide", "narrow"):
        a = rng.standard_normal(shape) * (2 if kind == "ties" else 1e4 if kind == "wide" else 90)
        x = (
            pynn.tensor(np.abs(a).round() if kind == "ties" or dtype == pynn.uint8 else a)
            .clamp(max=250)
            .to(dtype)
        )
        a = x.double().numpy()
        for dim in range(len(shape)):
            for descending in (False, True):
                order = np.argsort(-a if descending else a, axis=dim, kind="stable")
                for k in {1, shape[dim] // 2, shape[dim]}:
                    values, index = pynn.topk(x, k, dim, largest=descending)
                    want = np.take(order, range(k), axis=dim)
                    np.testing.assert_array_equal(index.numpy(), want)
                    np.testing.assert_array_equal(values.double().numpy(), np.take_along_axis(a, want, dim))
