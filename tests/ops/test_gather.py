"""gather, scatter, scatter_add, index_select, index_add, masked_fill, masked_select, nonzero."""

import numpy as np
import pytest
from helpers import ALL_DTYPES, FLOATS, arr, arrs, check_op, ints, raises, same_bits, tensor, to_numpy

import pynn

INDEX = ints(3, 2, 4, low=0, high=5)


def test_gather():
    def ref(x, dim, index):
        return np.take_along_axis(x[tuple(slice(n) for n in _crop(x, dim, index))], index, dim)

    def _crop(x, dim, index):
        return [x.shape[d] if d == dim % x.ndim else index.shape[d] for d in range(x.ndim)]

    cases = [
        (arr(5, 2, 4), 0, INDEX),
        (arr(3, 5, 4), 1, INDEX),
        (arr(3, 2, 5), -1, INDEX),
        (arr(4, 6, 7), 0, ints(2, 3, 4, low=0, high=4)),  # an index smaller than the input
        (arr(5), 0, np.array([4, 4, 0])),
        (arr(5, 2), 0, np.zeros((0, 2), np.int64)),
    ]
    check_op(pynn.gather, ref, cases, ints="same", bools="same")
    x = tensor(arr(5, 2, 4))
    assert same_bits(x.gather(0, tensor(INDEX)), pynn.gather(x, dim=0, index=tensor(INDEX)))
    assert pynn.tensor(3.0).gather(0, pynn.tensor(0)).item() == 3.0
    assert pynn.zeros(2, 2).gather(0, pynn.tensor([[0, 1]], dtype=pynn.int32)).shape == (1, 2)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x, i: x.gather(2, i), IndexError, "gather.*2"),
        (lambda x, i: x.gather(0, i + 5), (RuntimeError, IndexError), "gather.*index"),
        (lambda x, i: x.gather(0, i - 1), (RuntimeError, IndexError), "gather.*-1"),
        (lambda x, i: x.gather(0, i[0]), RuntimeError, "gather.*dim"),
        (lambda x, i: x.gather(0, i.expand(2, 3, 2)), RuntimeError, "gather"),
        (lambda x, i: x.gather(0, i.repeat(1, 3)), RuntimeError, "gather.*size"),
        (lambda x, i: x.gather(0, i.float()), RuntimeError, "gather.*int"),
        (lambda x, i: x.scatter(0, i + 5, 1.0), (RuntimeError, IndexError), "scatter.*index"),
        (lambda x, i: x.scatter(0, i - 1, 1.0), (RuntimeError, IndexError), "scatter.*-1"),
        (lambda x, i: x.scatter(0, i, pynn.ones(1, 1)), RuntimeError, "scatter.*size"),
        (lambda x, i: x.scatter(0, i.repeat(1, 3), 1.0), RuntimeError, "scatter.*size"),
        (lambda x, i: x.scatter(0, i, x.double()), RuntimeError, "scatter.*dtype|scatter.*float64"),
        (lambda x, i: x.scatter_add(0, i.double(), x), RuntimeError, "scatter_add.*int"),
        (lambda x, i: x.index_select(0, pynn.tensor([3])), (RuntimeError, IndexError), "index_select.*3"),
        (lambda x, i: x.index_select(0, i), IndexError, "index_select.*(1-?[dD]|vector|dim)"),
        (lambda x, i: x.index_select(0, pynn.tensor([0.5])), (RuntimeError, IndexError), "index_select.*int"),
        (lambda x, i: x.index_select(5, pynn.tensor([0])), IndexError, "index_select.*5"),
        (lambda x, i: x.index_add(0, pynn.tensor([0, 1]), x), (RuntimeError, IndexError), "index_add"),
        (lambda x, i: x.index_add(0, pynn.tensor([0, 1, 7]), x), (RuntimeError, IndexError), "index_add.*7"),
        (lambda x, i: x.masked_fill(x, 0.0), RuntimeError, "masked_fill.*bool"),
        (lambda x, i: x.masked_fill(pynn.ones(2).bool(), pynn.ones(2)), RuntimeError, "masked_fill"),
        (lambda x, i: x.masked_fill(pynn.ones(4).bool(), 0.0), RuntimeError, "masked_fill.*4|masked_fill"),
        (lambda x, i: x.masked_select(x), RuntimeError, "masked_select.*bool"),
        (lambda x, i: x.masked_select(pynn.ones(5).bool()), RuntimeError, "masked_select"),
        (lambda x, i: x.gather(0, None), TypeError, "gather"),
        (lambda x, i: x.scatter_(0, i), TypeError, "scatter_"),
    ],
)
def test_errors(call, kind, words):
    x, index = pynn.zeros(3, 2), pynn.zeros(3, 2, dtype=pynn.int64)
    with raises(kind, words):
        call(x, index)
    assert not x.any()


def _distinct_index(shape, dim, n, seed=0):
    """An index of `shape` without repeats along `dim`."""
    rng = np.random.default_rng(seed)
    return np.apply_along_axis(lambda _: rng.permutation(n)[: shape[dim]], dim, np.zeros(shape)).astype(
        np.int64
    )


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_scatter(dim):
    x, src = arr(4, 5, 3), arr(2, 3, 2, seed=1)
    index = _distinct_index((2, 3, 2), dim, x.shape[dim])

    def ref(a, d, i, s):
        a = a.copy()
        view = a[tuple(slice(None) if k == d % 3 else slice(n) for k, n in enumerate(i.shape))]
        np.put_along_axis(view, i, s, d)
        return a

    check_op(pynn.scatter, ref, [(x, dim, index, src)], ints="same", bools="same")
    check_op(lambda a, i: a.scatter(dim, i, 2.0), lambda a, i: ref(a, dim, i, 2.0), [(x, index)])
    t = tensor(x)
    expected = t.scatter(dim, tensor(index), tensor(src))
    assert t.scatter_(dim, tensor(index), tensor(src)) is t and same_bits(t, expected)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_scatter_add(dim):
    x, src = arr(4, 5, 3), arr(3, 5, 2, seed=1)
    index = ints(3, 5, 2, low=0, high=3)

    def ref(a, d, i, s):
        a = a.copy()
        at = list(np.indices(i.shape))
        at[d] = i
        np.add.at(a, tuple(at), s[tuple(slice(n) for n in i.shape)])
        return a

    check_op(pynn.scatter_add, ref, [(x, dim, index, src)], ints="same", tol=2, grad_tol=2)
    check_op(
        pynn.scatter_add, ref, [(x, dim, index, arr(4, 6, 3))], tol=2, grad=False
    )  # more source than index
    t = tensor(x)
    expected = t.scatter_add(dim, tensor(index), tensor(src))
    assert t.scatter_add_(dim, tensor(index), tensor(src)) is t and same_bits(t, expected)


def test_scatter_reduce_argument():
    x = pynn.full((3,), 2.0)
    index, src = pynn.tensor([0, 0, 2]), pynn.tensor([1.0, 3.0, 5.0])
    assert x.scatter(0, index, src, reduce="add").tolist() == [6.0, 2.0, 7.0]
    assert x.scatter(0, index, src, reduce="multiply").tolist() == [6.0, 2.0, 10.0]
    with raises(RuntimeError, "scatter.*reduce|reduce"):
        x.scatter(0, index, src, reduce="divide")


def test_one_hot_by_scatter():
    labels = pynn.tensor([2, 0, 1])
    assert pynn.zeros(3, 3).scatter_(1, labels[:, None], 1.0).tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_index_select(dim):
    index = np.array([2, 0, 0, 1])
    check_op(
        pynn.index_select,
        lambda x, d, i: np.take(x, i, d),
        [(arr(3, 4, 5), dim, index)],
        ints="same",
        bools="same",
    )
    empty = pynn.ones(3, 4, 5).index_select(dim, pynn.tensor([], dtype=pynn.int64))
    assert empty.shape[dim] == 0
    assert pynn.ones(3, 4).index_select(0, pynn.tensor(1)).shape == (1, 4)


@pytest.mark.parametrize("dim", [0, 1])
def test_index_add(dim):
    index = np.array([1, 0, 1])
    x, src = arr(3, 4), arr(*((3, 4) if dim == 0 else (3, 3)), seed=1)

    def ref(a, d, i, s, alpha=1):
        a = a.copy()
        np.add.at(a, (i,) if d == 0 else (slice(None), i), alpha * s)
        return a

    cases = [(x, dim, index, src), (x, dim, index, src, {"alpha": 3})]
    check_op(pynn.index_add, ref, cases, ints="same", tol=2, grad_tol=2)
    t = tensor(x)
    assert t.index_add_(dim, tensor(index), tensor(src)) is t
    np.testing.assert_allclose(to_numpy(t), ref(x, dim, index, src))


def test_index_copy_and_fill():
    x = pynn.zeros(3, 2)
    assert x.index_fill_(0, pynn.tensor([0, 2]), 5.0).tolist() == [[5.0, 5.0], [0.0, 0.0], [5.0, 5.0]]
    assert x.index_copy(0, pynn.tensor([1]), pynn.ones(1, 2))[1].tolist() == [1.0, 1.0]


def test_masked_fill():
    mask = arr(3, 4) > 0
    cases = [(arr(3, 4), mask, 2.0), (arr(2, 3, 4), mask, 1.0), (arr(3, 4), mask[0], 0.0)]
    check_op(
        lambda x, m, v: x.masked_fill(m, v),
        lambda x, m, v: np.where(m, v, x),
        cases,
        ints="same",
        bools=None,
        grad=True,
    )
    value = np.array(3.0)
    check_op(
        lambda x, m, v: x.masked_fill(m, v), lambda x, m, v: np.where(m, v, x), [(arr(3, 4), mask, value)]
    )
    x = pynn.zeros(3)
    assert x.masked_fill_(pynn.tensor([True, False, True]), float("-inf")) is x and x[1] == 0
    with raises(RuntimeError, "masked_fill_"):
        pynn.zeros(1).masked_fill_(pynn.ones(3).bool(), 1.0)
    assert pynn.zeros(1).masked_fill(pynn.ones(3).bool(), 1.0).shape == (3,)


def test_masked_select():
    mask = arr(3, 4) > 0
    cases = [(arr(3, 4), mask), (arr(2, 3, 4), mask), (arr(3, 1), mask), (arr(3, 4), np.zeros((3, 4), bool))]

    def ref(x, m):
        x, m = np.broadcast_arrays(x, m)
        return x[m]

    check_op(pynn.masked_select, ref, cases, ints="same", bools="same")


def test_masked_scatter():
    x = pynn.zeros(5)
    mask = pynn.tensor([True, False, True, False, True])
    assert x.masked_scatter(mask, pynn.tensor([1.0, 2.0, 3.0, 4.0])).tolist() == [1.0, 0.0, 2.0, 0.0, 3.0]


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_nonzero(dtype):
    for shape in ((), (7,), (3, 4), (2, 3, 70), (0, 3)):
        values = np.asarray(arr(*shape) > 0.3)
        x = tensor(values, dtype)
        got = pynn.nonzero(x)
        assert got.dtype == pynn.int64
        expected = np.argwhere(values)
        assert tuple(got.shape) == expected.shape
        np.testing.assert_array_equal(got.numpy(), expected)
        if shape:
            for a, b in zip(x.nonzero(as_tuple=True), values.nonzero(), strict=True):
                np.testing.assert_array_equal(a.numpy(), b)
    strided = tensor(arr(6, 8) > 0, dtype).t()[::2]
    np.testing.assert_array_equal(strided.nonzero().numpy(), np.argwhere(to_numpy(strided)))
    assert pynn.tensor([0.0, float("nan"), -0.0]).nonzero().tolist() == [[1]]


@pytest.mark.parametrize("dtype", FLOATS)
def test_large(dtype):
    x, index = tensor(arr(500, 64), dtype), tensor(ints(3000, low=0, high=500))
    np.testing.assert_array_equal(to_numpy(x.index_select(0, index)), to_numpy(x)[index.numpy()])
    wide = index[:, None].expand(3000, 64)
    assert same_bits(x.double().gather(0, wide), x.double()[index])
    total = pynn.zeros(500, 64, dtype=pynn.float64).index_add(0, index, x.double()[index])
    expected = np.zeros((500, 64))
    np.add.at(expected, index.numpy(), to_numpy(x)[index.numpy()])
    np.testing.assert_allclose(to_numpy(total), expected, rtol=1e-10)


def test_accumulation_is_the_same_for_any_number_of_threads():
    x, index = tensor(arr(5000, 16), pynn.float32), tensor(ints(5000, low=0, high=50))
    results = []
    for n in (1, 2, 5):
        pynn.set_num_threads(n)
        results.append(pynn.zeros(50, 16).index_add(0, index, x))
    assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


def test_gradient_of_repeated_positions():
    x = tensor(arr(4), requires_grad=True)
    pynn.gather(x, 0, pynn.tensor([1, 1, 1, 3])).sum().backward()
    assert x.grad.tolist() == [0.0, 3.0, 0.0, 1.0]
    a, b = (tensor(v, requires_grad=True) for v in arrs((2,), (3,)))
    a.scatter_add(0, pynn.tensor([0, 0, 1]), b).pow(2).sum().backward()
    assert b.grad[0] == b.grad[1]


@pytest.mark.parametrize(
    "dtype", [pynn.float32, pynn.float64, pynn.bfloat16, pynn.int64, pynn.uint8, pynn.bool]
)
@pytest.mark.parametrize("shape", [(3, 5000), (4999, 3), (130, 65), (2, 700, 3)])
def test_long_runs(shape, dtype):
    """Blocks of indices are checked and moved together: lengths around their borders, for every dim."""
    x = tensor(ints(*shape, low=0, high=2), dtype)
    for dim in range(len(shape)):
        index = ints(*shape, low=0, high=shape[dim], seed=dim)
        found = to_numpy(x.gather(dim, tensor(index)))
        np.testing.assert_array_equal(found, np.take_along_axis(to_numpy(x), index, dim))
        unique = np.argsort(arr(*shape, seed=dim), axis=dim)  # each position once
        placed = np.zeros(shape, to_numpy(x).dtype)
        np.put_along_axis(placed, unique, to_numpy(x), dim)
        np.testing.assert_array_equal(
            to_numpy(pynn.zeros(shape, dtype=dtype).scatter(dim, tensor(unique), x)), placed
        )


def test_sums_of_many_are_the_same_for_any_number_of_threads(threads):
    x = tensor(arr(3000, 40), pynn.float32)
    rows, cells = tensor(ints(3000, low=-50, high=50)), tensor(ints(3000, 40, low=0, high=50))
    results = []
    for n in (1, 2, 3, 16):
        threads(n)
        y = pynn.zeros(50, 40).index_put((rows,), x, accumulate=True)
        results.append(
            (y, pynn.zeros(50, 40).scatter_add(0, cells, x), pynn.zeros(3000, 50).scatter_add(1, cells, x))
        )
    for other in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))
    expected = np.zeros((50, 40))
    np.add.at(expected, rows.numpy(), to_numpy(x))
    np.testing.assert_allclose(to_numpy(results[0][0]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at", [0, 2047, 2048, 70_001, 99_999])
def test_a_bad_index_anywhere(at):
    index = pynn.zeros(100_000, dtype=pynn.int64)
    index[at] = 7
    x = pynn.ones(7)
    for bad in (7, -8):
        index[at] = bad
        with raises(RuntimeError, "gather", str(bad), "out of bounds"):
            x.gather(0, index)
        for write in (x.scatter_add_, x.scatter_):
            with raises(RuntimeError, "scatter", str(bad), "out of bounds"):
                write(0, index, pynn.ones(100_000))
        with raises(IndexError, "out of bounds|out of range"):
            x[index]
        assert x.tolist() == [1.0] * 7  # nothing was written


def test_the_last_of_repeated_rows_stays(threads):
    index, source = tensor(ints(2000, low=0, high=9)), tensor(arr(2000, 70), pynn.float32)
    for n in (1, 3):
        threads(n)
        y = pynn.zeros(9, 70).index_copy(0, index, source)
        for row in range(9):
            last = int(np.flatnonzero(index.numpy() == row)[-1])
            assert same_bits(y[row], source[last])


def test_short_rows():
    """Many rows of few elements: indices of several are checked together, and blocks are the kernel's."""
    x = tensor(ints(40, 9, 14, 5))
    a, index = x.numpy(), ints(40, 9, 14, 5, low=0, high=5)
    np.testing.assert_array_equal(x.gather(-1, tensor(index)).numpy(), np.take_along_axis(a, index, -1))
    for bad in ((0, 0, 0, 0), (39, 8, 13, 4), (20, 3, 7, 2)):
        wrong = index.copy()
        wrong[bad] = 5
        with raises(RuntimeError, "gather", "5"):
            x.gather(-1, tensor(wrong))
    where = np.array([4, 0, 3, 3, 1, 2, 0])
    for view in (x, x[::2, :, 1:], x.transpose(0, 2), x[:1], x[:, :0]):
        v = view.numpy()
        np.testing.assert_array_equal(view[..., tensor(where)].numpy(), v[..., where])
        np.testing.assert_array_equal(view[..., tensor(where - 5)].numpy(), v[..., where - 5])
        np.testing.assert_array_equal(view.index_select(3, tensor(where)).numpy(), v[..., where])
        with raises(IndexError, "out of bounds"):
            view[..., tensor(where + 1)]
    np.testing.assert_array_equal(x[:, tensor(where), 3:7].numpy(), a[:, where, 3:7])


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_one_value_where_a_mask_is_true(dtype):
    array = ints(7, 33, low=0, high=2)
    mask = tensor(ints(7, 33, low=0, high=2, seed=1)).bool()
    for make in (lambda: tensor(array).to(dtype), lambda: tensor(array.T.copy()).to(dtype).t()):
        x, expected = make(), make().numpy() if dtype != pynn.bfloat16 else make().float().numpy()
        version = x._version
        x[mask] = 1
        expected[mask.numpy()] = 1
        np.testing.assert_array_equal((x.float() if dtype == pynn.bfloat16 else x).numpy(), expected)
        assert x._version > version
    x = pynn.arange(4.0)
    x[x > 1] = x[3]  # a value that is overwritten
    assert x.tolist() == [0, 1, 3, 3]
    leaf = pynn.ones(3, requires_grad=True)
    y = leaf * 2
    y[pynn.tensor([True, False, True])] = 5.0
    y.sum().backward()
    assert leaf.grad.tolist() == [0, 2, 0]
