"""Reductions over all elements, one dim, several dims; with keepdim, dtypes, ties, NaN and empty inputs."""

import itertools
import math

import numpy as np
import pytest
from helpers import FLOATS, INTS, arr, check_op, distinct, ints, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan
DIMS = [
    {},
    {"dim": 0},
    {"dim": 1},
    {"dim": -1},
    {"dim": (0, 2)},
    {"dim": 1, "keepdim": True},
    {"dim": (0, 1, 2)},
]
CUBE = arr(3, 4, 2)


def numpy_style(f):
    """torch's dim and keepdim as NumPy's axis and keepdims."""

    def ref(x, dim=None, keepdim=False, **kwargs):
        return f(x, axis=dim, keepdims=keepdim, **kwargs)

    return ref


def cases(x=CUBE, dims=DIMS):
    return [(x, d) for d in dims]


# numpy's row-by-row algorithms differ from ours in the last bits only
def test_sum():
    bad = [((CUBE, {"dim": 3}), IndexError, "sum.*3"), ((CUBE, {"dim": (0, 0)}), RuntimeError, "sum|dim")]
    check_op(pynn.sum, numpy_style(np.sum), cases(), ints=pynn.int64, bools=pynn.int64, errors=bad)
    check_op(
        pynn.sum, numpy_style(np.sum), [(np.array(2.5),), (np.zeros((0,)),), (np.zeros((0, 3)), {"dim": 0})]
    )
    assert pynn.zeros(3, 0).sum(1).tolist() == [0.0, 0.0, 0.0]
    assert pynn.sum(pynn.ones(2, 3), dim=()).item() == 6.0  # no dims means all, as PyTorch still has it
    assert pynn.ones(2, 3).sum(0, True).shape == (1, 3)


def test_sum_dtype():
    x = pynn.full((4,), 100, dtype=pynn.uint8)
    assert x.sum().item() == 400 and x.sum().dtype == pynn.int64
    assert x.sum(dtype=pynn.uint8).item() == 400 % 256
    assert x.sum(dtype=pynn.float32).dtype == pynn.float32
    assert pynn.tensor([True, True, False]).sum().item() == 2
    assert pynn.tensor([1.7, 1.7]).sum(dtype=pynn.int64).item() == 2  # converted, then added
    half = pynn.full((5000,), 1.0, dtype=pynn.float16)
    assert half.sum().item() == 5000.0  # float32 inside: half would stick at 2048
    assert half.sum(dtype=pynn.float64).dtype == pynn.float64


def test_mean():
    check_op(pynn.mean, numpy_style(np.mean), cases())
    assert pynn.empty(0).mean().isnan()
    assert pynn.mean(pynn.tensor([1, 2]), dtype=pynn.float32).item() == 1.5
    with raises(RuntimeError, "mean", "(?i)float|int64|Long"):
        pynn.mean(pynn.tensor([1, 2]))


def test_prod():
    dims = [d for d in DIMS if not isinstance(d.get("dim"), tuple)]
    check_op(pynn.prod, numpy_style(np.prod), cases(dims=dims), ints=pynn.int64, bools=pynn.int64, grad_tol=4)
    assert pynn.empty(0).prod().item() == 1.0
    assert pynn.tensor([2.0, 3.0]).prod(0, keepdim=True).tolist() == [6.0]


@pytest.mark.parametrize("values", [[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 2.0, 5.0]])
def test_prod_gradient_with_zeros(values):
    check_op(pynn.prod, np.prod, [(np.array(values),)], dtypes=FLOATS[:2], layouts=False)
    check_op(
        lambda x: pynn.prod(x, 1),
        lambda x: np.prod(x, 1),
        [(np.array([values, [1.0, 2.0, 3.0]]),)],
        dtypes=FLOATS[:2],
    )


@pytest.mark.parametrize("name", ["var", "std"])
def test_var_std(name):
    def ref(x, dim=None, keepdim=False, correction=1, unbiased=True):
        ddof = correction if unbiased else 0
        return getattr(np, name)(x, axis=dim, ddof=ddof, keepdims=keepdim)

    op = getattr(pynn, name)
    with_correction = [
        {"correction": 0},
        {"dim": 1, "correction": 2},
        {"unbiased": False},
        {"dim": 0, "unbiased": False},
    ]
    check_op(op, ref, cases(dims=DIMS + with_correction), tol=2, grad_tol=2)
    assert op(pynn.ones(1)).isnan() and op(pynn.empty(0)).isnan()
    assert op(pynn.ones(1), correction=0).item() == 0.0
    # A mean far larger than the spread: E[x^2] - E[x]^2 would lose everything.
    x = pynn.tensor([1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3])
    assert op(x).item() == pytest.approx(getattr(np, name)([0, 1, 2, 3], ddof=1), rel=1e-6)
    with raises(RuntimeError, name, "(?i)float"):
        op(pynn.tensor([1, 2]))


def test_long_sums_are_accurate():
    n = 1_000_003
    x = pynn.full((n,), 0.1, dtype=pynn.float32)
    exact = n * float(np.float32(0.1))
    assert abs(x.sum().item() - exact) / exact < 2e-6
    assert abs(x.mean().item() - exact / n) < 1e-7
    assert abs(x.view(1, n).sum(1).item() - exact) / exact < 2e-6
    assert abs(x.view(n, 1).sum(0).item() - exact) / exact < 2e-6
    columns = x[: n - 3].view(-1, 4).sum(0)
    np.testing.assert_allclose(columns.numpy(), exact / 4, rtol=2e-5)


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_amax_amin(name):
    ref = numpy_style(getattr(np, name))
    op = getattr(pynn, name)
    bad = [((np.zeros((0, 3)), {"dim": 0}), (RuntimeError, IndexError), name)]
    check_op(op, ref, cases(distinct(3, 4, 2)), ints="same", bools="same", errors=bad)
    assert op(pynn.zeros(0, 3), dim=1).shape == (0,)
    with raises(RuntimeError, name):
        op(pynn.zeros(0))
    # Ties share the gradient evenly.
    x = tensor(
        np.array([[1.0, 1.0, 0.5], [2.0, 3.0, 3.0]]) * (1 if name == "amax" else -1), requires_grad=True
    )
    op(x, dim=1).sum().backward()
    assert x.grad.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    assert op(pynn.tensor([1.0, NAN, 2.0])).isnan()


@pytest.mark.parametrize("name", ["max", "min"])
def test_max_min(name):
    op, arg = getattr(pynn, name), getattr(np, "arg" + name)

    def ref(x, dim, keepdim=False):
        index = np.expand_dims(arg(x, axis=dim), dim)
        value = np.take_along_axis(x, index, dim)
        return (value, index) if keepdim else (value.squeeze(dim), index.squeeze(dim))

    x = distinct(3, 4, 2)
    check_op(op, getattr(np, name), [(x,)], ints="same", bools="same")
    for dtype in FLOATS:
        for args in ((0,), (1,), (-1,), (1, True)):
            t = tensor(x, dtype)
            values, indices = op(t, *args)
            value, index = ref(to_numpy(t), *args)
            assert values.dtype == dtype and indices.dtype == pynn.int64
            np.testing.assert_array_equal(to_numpy(values), value)
            np.testing.assert_array_equal(indices.numpy(), index)
    check_op(
        lambda x, dim: op(x, dim)[0], lambda x, dim: ref(x, dim)[0], [(x, 0), (x, 1), (x, -1)], ints="same"
    )
    both = op(tensor(x), dim=1)
    assert both.values is both[0] and both.indices is both[1] and isinstance(both, tuple)
    # The first of equal ones, and NaN above all.
    assert op(pynn.tensor([[2.0, 2.0], [3.0, 3.0]]), 1).indices.tolist() == [0, 0]
    values, indices = op(pynn.tensor([[1.0, NAN, NAN], [1.0, 2.0, 3.0]]), 1)
    assert values[0].isnan() and indices[0].item() == 1
    leaf = pynn.ones(
        4, requires_grad=True
    )  # a tie: all of it to the chosen one, or shared for the full reduction
    op(leaf, 0).values.backward()
    assert leaf.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    leaf.grad = None
    op(leaf).backward()
    assert leaf.grad.tolist() == [0.25] * 4
    with raises(RuntimeError, name):
        op(pynn.zeros(0))
    with raises(IndexError, name):
        op(pynn.zeros(0, 2), 0)
    with raises(IndexError, name):
        op(pynn.zeros(2), 1)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_argmax_argmin(name):
    op = getattr(pynn, name)

    def ref(x, dim=None, keepdim=False):
        return getattr(np, name)(x, axis=dim, keepdims=keepdim)

    dims = [d for d in DIMS if not isinstance(d.get("dim"), tuple)]
    check_op(op, ref, cases(distinct(3, 4, 2), dims), out=pynn.int64, ints=pynn.int64, grad=False)
    ties = pynn.tensor([3.0, 1.0, 3.0, 1.0, 1.0])
    assert op(ties).item() == (0 if name == "argmax" else 1)
    assert op(pynn.tensor([1.0, NAN, 5.0, NAN, 0.0])).item() == 1
    assert op(pynn.zeros(1000)).item() == 0  # ties across vectors and threads
    assert op(pynn.zeros(300_000)).item() == 0
    with raises((IndexError, RuntimeError), name):
        op(pynn.zeros(0))


@pytest.mark.parametrize("name", ["any", "all"])
def test_any_all(name):
    op, ref = getattr(pynn, name), numpy_style(getattr(np, name))
    x = np.round(arr(3, 4, 2, low=-0.7, high=0.7))
    dims = [d for d in DIMS if not isinstance(d.get("dim"), tuple)]
    check_op(op, ref, cases(x, dims), out=pynn.bool, bools=pynn.bool, grad=False)
    for dtype in INTS:
        result = op(pynn.tensor([[0, 1], [1, 1]], dtype=dtype), 1)
        assert result.dtype == (
            pynn.uint8 if dtype == pynn.uint8 else pynn.bool
        )  # uint8 is PyTorch's old bool
        assert result.tolist() == [name == "any", True]
    assert op(pynn.tensor([True, False]), dim=(0,)).item() == (name == "any")
    assert pynn.empty(0).any().item() is False and pynn.empty(0).all().item() is True
    assert op(pynn.tensor([NAN])).item() is True


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, -1, INF, -INF])
def test_norm(p):
    def ref(x, p, dim=None, keepdim=False):
        a = np.abs(x)
        if p in (INF, -INF):
            return (np.max if p > 0 else np.min)(a, axis=dim, keepdims=keepdim)
        if p == 0:
            return (a != 0).sum(axis=dim, keepdims=keepdim).astype(float)
        return (a**p).sum(axis=dim, keepdims=keepdim) ** (1 / p)

    x = distinct(3, 4, 2)
    smooth = p not in (0, INF, -INF)
    check_op(pynn.norm, ref, [(x, p, d) for d in DIMS], tol=4, grad=smooth, grad_tol=10, dtypes=FLOATS[:2])
    assert pynn.norm(tensor(x), p, -1).shape == (3, 4)


def test_norm_defaults_and_edges():
    x = pynn.tensor([3.0, -4.0], requires_grad=True)
    assert x.norm().item() == pynn.norm(x, "fro").item() == 5.0
    assert x.norm(dim=0, keepdim=True).shape == (1,)
    zero = pynn.zeros(3, requires_grad=True)
    zero.norm().backward()
    assert zero.grad.tolist() == [0.0, 0.0, 0.0]  # the subgradient, not 0/0
    big = pynn.full((4,), 1e30, dtype=pynn.float64)
    assert big.norm().item() == pytest.approx(2e30)
    with raises(RuntimeError, "norm"):
        pynn.norm(pynn.tensor([1, 2]))
    half = pynn.full((4096,), 16.0, dtype=pynn.float16)
    assert half.norm().item() == 1024.0


def test_logsumexp():
    def ref(x, dim, keepdim=False):
        m = x.max(axis=dim, keepdims=True)
        r = np.log(np.exp(x - m).sum(axis=dim, keepdims=True)) + m
        return r if keepdim else r.squeeze(dim)

    dims = [d for d in DIMS if d]
    check_op(pynn.logsumexp, ref, cases(dims=dims))
    check_op(pynn.logsumexp, ref, [(CUBE * 400, {"dim": 1})], grad=False, dtypes=FLOATS[:2])
    x = pynn.tensor([[-INF, -INF], [INF, 0.0], [-INF, 1.0]])
    assert x.logsumexp(1).tolist() == [-INF, INF, 1.0]
    assert pynn.zeros(2, 0).logsumexp(1).tolist() == [-INF, -INF]
    for low in (-88, -104, -110, -176, -400, -750, -1420, -1e4, -1e30):  # exp is subnormal or 0
        for dtype in FLOATS[:2]:
            assert pynn.tensor([[low, 0.0, low]], dtype=dtype).logsumexp(1).tolist() == [0]
    assert pynn.tensor([1, 2]).logsumexp(0).dtype == pynn.float32


def test_count_nonzero():
    x = pynn.tensor([[0.0, 1.0, NAN], [0.0, 0.0, -0.0]])
    assert pynn.count_nonzero(x).item() == 2
    assert pynn.count_nonzero(x, dim=1).tolist() == [2, 0]


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 65), (65, 1), (7, 33), (33, 7), (64, 64), (3, 1000), (1000, 3), (333, 20)]
)
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.int64, pynn.int32])
def test_row_and_column_kernels(shape, dtype):
    x = tensor(np.round(arr(*shape) * 100) / 4, dtype)
    values = to_numpy(x)
    for dim in (0, 1):
        for t in (x, x.t().contiguous().t()):
            np.testing.assert_allclose(to_numpy(t.sum(dim)), values.sum(dim), rtol=1e-5)
            np.testing.assert_array_equal(to_numpy(t.amax(dim)), values.max(dim))
            np.testing.assert_array_equal(t.argmin(dim).numpy(), values.argmin(dim))
            for low in (-20, 0, 20):
                np.testing.assert_array_equal((t > low).all(dim).numpy(), (values > low).all(dim))
                np.testing.assert_array_equal((t > low).any(dim).numpy(), (values > low).any(dim))
            if dtype.is_floating_point:
                np.testing.assert_allclose(to_numpy(t.var(dim, correction=0)), values.var(dim), rtol=1e-5)


def test_middle_dims():
    x = arr(5, 6, 7, 8)
    for dim in (1, 2, (1, 2), (0, 3), (1, 3), (0, 2)):
        np.testing.assert_allclose(to_numpy(tensor(x).sum(dim)), x.sum(dim), rtol=1e-12)
        np.testing.assert_array_equal(to_numpy(tensor(x).amax(dim)), x.max(dim))
        np.testing.assert_array_equal(
            to_numpy(tensor(x).permute(2, 0, 3, 1).amax((0, 1))), x.transpose(2, 0, 3, 1).max((0, 1))
        )


def test_zero_dim_input():
    x = pynn.tensor(3.0)
    for op in (pynn.sum, pynn.mean, pynn.prod, pynn.amax):
        assert op(x).item() == 3.0 and op(x, dim=0).shape == () and op(x, dim=-1).item() == 3.0
    assert pynn.max(x, 0).indices.item() == 0 and x.argmax().item() == 0
    with raises(IndexError, "sum"):
        x.sum(1)


def test_out_and_methods_agree():
    x = tensor(arr(3, 4))
    out = pynn.empty(3, dtype=x.dtype)
    assert pynn.sum(x, 1, out=out) is out and same_bits(out, x.sum(1))
    for name in (
        "sum",
        "mean",
        "prod",
        "var",
        "std",
        "amax",
        "amin",
        "max",
        "min",
        "argmax",
        "any",
        "all",
        "norm",
    ):
        assert same_bits(getattr(x, name)(), getattr(pynn, name)(x)), name
    with pytest.raises(TypeError):
        x.sum("rows")
    with pytest.raises(TypeError):
        x.sum(dim=0.5)


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.bfloat16, pynn.int64, pynn.uint8])
@pytest.mark.parametrize(
    "shape",
    [(1000, 10), (37, 24), (130, 25), (9, 79), (7, 1), (5000, 3), (200, 700), (40, 2500), (3, 900, 33)],
)
def test_positions_of_extremes(shape, dtype, threads):
    """Short rows go by registers, columns by pieces: ties and NaN on any border, for any number of threads."""
    a = ints(*shape, low=0, high=5).astype(np.float64)
    if dtype in FLOATS:
        a.reshape(-1)[:: a.size // 7 + 1] = NAN
    x = tensor(a, dtype)
    for dim in range(len(shape)):
        for name, ref in (("max", np.argmax), ("min", np.argmin)):  # NumPy's find the first NaN too
            results = []
            for count in (1, 3):
                threads(count)
                results.append(getattr(x, name)(dim))
                np.testing.assert_array_equal(to_numpy(results[-1][1]), ref(a, axis=dim))
                assert same_bits(getattr(x, "arg" + name)(dim), results[-1][1])
            assert same_bits(results[0][0], results[1][0])
            best = np.take_along_axis(a, np.expand_dims(ref(a, axis=dim), dim), dim).squeeze(dim)
            np.testing.assert_array_equal(to_numpy(results[0][0].double()), best)


@pytest.mark.parametrize("dims", [(0, 2, 3), (0, 2), (1, 3), (0, 3), (0, 1, 3)])
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "any", "all"])
def test_dims_with_others_between(name, dims):
    a = ints(5, 4, 3, 6, low=0, high=3)
    ref = {"amax": np.max, "amin": np.min}.get(name) or getattr(np, name)
    for dtype in (pynn.float32, pynn.float64, pynn.bfloat16, pynn.int64, pynn.bool):
        if name == "mean" and dtype in (pynn.int64, pynn.bool):
            continue
        x = tensor(a, dtype)
        expected = ref(to_numpy(x.double() if dtype != pynn.bool else x), axis=dims)
        got = getattr(x, name)(dims) if name not in ("any", "all") else getattr(pynn, name)(x, dims)
        tol = 1e-2 if dtype == pynn.bfloat16 else 1e-6
        np.testing.assert_allclose(to_numpy(got.double()), expected, rtol=tol)
        assert got.dtype == {"sum": pynn.int64}.get(name, got.dtype) or dtype in FLOATS
    x = pynn.full((2, 3, 4), 1e38)  # beyond float32 on the way, not in the end
    x[:, :, 2:] = -1e38
    assert x.sum((0, 2)).tolist() == [0.0] * 3
    assert (
        pynn.ones(0, 3, 2).sum((0, 2)).tolist() == [0.0] * 3
        and pynn.ones(2, 3, 0).sum((0, 2)).tolist() == [0.0] * 3
    )


@pytest.mark.parametrize("inner", [2, 10, 31, 32, 63])
def test_few_columns(inner):
    a = arr(3, 517, inner)
    a[1, 300, 0] = NAN
    for dtype in (pynn.float32, pynn.float64):
        x = tensor(a, dtype)
        np.testing.assert_allclose(to_numpy(x.sum(1)), a.sum(1), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(to_numpy(x.var(1)), a.var(1, ddof=1), rtol=1e-4)
        np.testing.assert_array_equal(to_numpy(x.amax(1)), to_numpy(x).max(1))


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.bfloat16, pynn.float16, pynn.int64])
@pytest.mark.parametrize(
    "shape", [(5, 14, 14), (3, 32, 3), (2, 33, 17), (1, 16, 2500), (70, 1, 5), (1, 9, 65)]
)
def test_short_columns(shape, dtype):
    """Up to 32 rows stay in registers, whose last lanes may belong to the next row."""
    a = ints(*shape, low=-3, high=4)
    x = tensor(a, dtype)
    for name in ("sum", "amax", "amin", "prod") + (("mean", "var", "norm") if dtype in FLOATS else ()):
        got = getattr(x, name)(dim=1).double()
        if name == "norm":
            expected = np.sqrt((a.astype(np.float64) ** 2).sum(1))
        elif name == "var":
            if shape[1] == 1:
                continue
            expected = a.var(1, ddof=1)
        else:
            expected = getattr(np, name)(a.astype(np.float64), 1)
        tol = 1e-2 if dtype in (pynn.bfloat16, pynn.float16) else 1e-6
        if name == "prod" and dtype == pynn.float16:
            continue  # beyond its range
        np.testing.assert_allclose(to_numpy(got), expected, rtol=tol, atol=tol)


@pytest.mark.parametrize("rows", [7, 31, 33, 100, 129, 4099])
@pytest.mark.parametrize("columns", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
def test_whole_rows_in_a_register(rows, columns, dtype):
    """Whole rows of few columns share a register: sums, extremes and what subtracts a shift of each column."""
    x = (np.random.default_rng(rows).standard_normal((3, rows, columns)) * 10 + np.arange(columns)).round()
    ours = pynn.tensor(x).to(getattr(pynn, dtype))
    np.testing.assert_allclose(ours.sum(1, dtype=pynn.float64).numpy(), x.sum(1), rtol=1e-6)
    np.testing.assert_array_equal(ours.amax(1).double().numpy(), x.max(1))
    np.testing.assert_array_equal(ours.amin(1).double().numpy(), x.min(1))
    if dtype.startswith("float"):
        np.testing.assert_allclose(ours.var(1).numpy(), x.var(1, ddof=1), rtol=1e-5)
        np.testing.assert_allclose(ours.logsumexp(1).numpy(), np.log(np.exp(x).sum(1)), rtol=1e-5)
        x[1, rows // 2, 1] = np.nan
        np.testing.assert_array_equal(np.isnan(pynn.tensor(x).amax(1).numpy()), np.isnan(x.max(1)))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_dims_in_any_order_in_memory(order):
    """A dense tensor is reduced where it lies, or copied, but its dims keep their meaning."""
    values = np.random.default_rng(3).standard_normal((3, 5, 4, 6))
    x = pynn.tensor(values.transpose(order).copy()).permute(tuple(np.argsort(order)))
    assert np.array_equal(x.numpy(), values)
    for count in range(1, 5):
        for dims in itertools.combinations(range(4), count):
            np.testing.assert_allclose(x.sum(dims).numpy(), values.sum(dims), rtol=1e-12, atol=1e-12)
            assert np.array_equal(x.amax(dims, keepdim=True).numpy(), values.max(dims, keepdims=True))
            np.testing.assert_allclose(x.var(dims).numpy(), values.var(dims, ddof=1), rtol=1e-12)
    assert x.argmax().item() == values.argmax() and x.argmin().item() == values.argmin()
    for d in range(4):
        assert np.array_equal(x.argmax(d).numpy(), values.argmax(d))
        assert np.array_equal(x.round().max(d)[1].numpy(), values.round().argmax(d))  # the first of equals


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.bfloat16, pynn.int32, pynn.uint8])
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_rows_of_any_length(dtype, columns):
    """Rows are folded many at a time up to a length; NaN wins wherever it stands."""
    for n in (255, 256, 257, 512, 1023, 1024, 1025, 2100):
        a = arr(19, n, columns, low=0, high=200)
        if dtype.is_floating_point:
            a[5, n - 1, 0] = a[7, 0, 0] = a[11, n // 2, 0] = np.nan
        x = tensor(a, dtype)
        np.testing.assert_array_equal(to_numpy(x.amax(1)), to_numpy(x).max(1))
        np.testing.assert_array_equal(to_numpy(x.amin(1)), to_numpy(x).min(1))
        whole, rtol = to_numpy(x).astype(np.float64), 5e-3 if dtype == pynn.bfloat16 else 1e-6
        np.testing.assert_allclose(to_numpy(x.sum(1)), whole.sum(1), rtol=rtol)
        if dtype.is_floating_point:
            np.testing.assert_allclose(to_numpy(x.mean(1)), whole.mean(1), rtol=rtol)
            np.testing.assert_allclose(to_numpy(x.var(1)), whole.var(1, ddof=1), rtol=rtol)
