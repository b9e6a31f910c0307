"""Pooling by maxima, averages and norms, sliding, adaptive and random; unpooling."""

import itertools
import math

import numpy as np
import pytest
from helpers import arr, check_op, distinct, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional


def _tuple(x, n):
    return (x,) * n if isinstance(x, int) else tuple(x)


def windows(shape, dims, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    """For each dim the positions of each window, inside the input, and how many it has with padding."""
    k, p, d = (_tuple(t, dims) for t in (kernel, padding, dilation))
    s = k if stride is None else _tuple(stride, dims)
    out = []
    for i, n in enumerate(shape[-dims:]):
        room = n + 2 * p[i] - d[i] * (k[i] - 1) - 1
        count = (-(-room // s[i]) if ceil_mode else room // s[i]) + 1
        if ceil_mode and (count - 1) * s[i] >= n + p[i]:
            count -= 1
        rows = []
        for o in range(count):
            at = [o * s[i] - p[i] + j * d[i] for j in range(k[i])]
            rows.append(([a for a in at if 0 <= a < n], sum(a < n + p[i] for a in at)))
        out.append(rows)
    return out


def adaptive(shape, sizes):
    dims = len(sizes)
    return [
        [(list(range(o * n // m, -(-(o + 1) * n // m))), 0) for o in range(m)]
        for n, m in zip(shape[-dims:], sizes, strict=True)
    ]


def pool(x, rows, f):
    """f(window values, [full counts]) over all windows."""
    dims = len(rows)
    lead = x.shape[:-dims]
    y = np.zeros((*lead, *[len(r) for r in rows]))
    for o in itertools.product(*[range(len(r)) for r in rows]):
        picked = [rows[d][o[d]] for d in range(dims)]
        part = x[(..., *np.ix_(*[p for p, _ in picked]))]
        y[(..., *o)] = f(part.reshape(*lead, -1), [c for _, c in picked])
    return y


def max_pool(x, kernel, dims, **options):
    return pool(x, windows(x.shape, dims, kernel, **options), lambda v, c: v.max(-1))


def avg_pool(x, kernel, dims, count_include_pad=True, divisor_override=None, **options):
    def mean(v, counts):
        n = math.prod(counts) if count_include_pad else v.shape[-1]
        return v.sum(-1) / (divisor_override or n)

    return pool(x, windows(x.shape, dims, kernel, **options), mean)


SLIDING = [
    ((2, 2, 7), 2, {}),
    ((2, 8), 3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    ((2, 2, 6, 5), (2, 3), {"stride": (2, 1)}),
    ((2, 5, 6), 3, {"stride": 2, "padding": 1}),
    ((1, 2, 5, 6), 2, {"stride": 3, "ceil_mode": True, "padding": 1}),
    ((1, 2, 4, 3, 5), (2, 1, 3), {"padding": (1, 0, 1), "stride": 2}),
]


@pytest.mark.parametrize("shape,kernel,options", SLIDING)
def test_max_pool(shape, kernel, options):
    dims = (
        len(shape) - 1 if len(shape) in (2, 3) and "padding" in options and len(shape) < 4 else len(shape) - 2
    )
    f = getattr(F, f"max_pool{dims}d")
    for extra in ({}, {"dilation": 2}):
        if extra and options.get("padding"):
            options = {**options, "padding": 0}
        if extra and min(shape[-dims:]) < 5:
            continue
        given = {**options, **extra}
        check_op(
            lambda x, o=given: f(x, kernel, **o),
            lambda x, o=given: max_pool(x, kernel, dims, **o),
            [distinct(*shape)],
            ints=None if dims == 1 else "same",
        )


@pytest.mark.parametrize("shape,kernel,options", SLIDING)
def test_avg_pool(shape, kernel, options):
    dims = (
        len(shape) - 1 if len(shape) in (2, 3) and "padding" in options and len(shape) < 4 else len(shape) - 2
    )
    f = getattr(F, f"avg_pool{dims}d")
    extras = [{}, {"count_include_pad": False}]
    for extra in extras if dims == 1 else [*extras, {"divisor_override": 5}]:
        given = {**options, **extra}
        check_op(
            lambda x, o=given: f(x, kernel, **o),
            lambda x, o=given: avg_pool(x, kernel, dims, **o),
            [arr(*shape)],
            grad_tol=2,
        )


@pytest.mark.parametrize("shape,size", [((2, 2, 7), 3), ((2, 5, 6), (3, 4)), ((1, 2, 4, 5, 3), (2, 7, 1))])
def test_adaptive(shape, size):
    sizes = _tuple(size, 1) if isinstance(size, int) else size
    dims = len(sizes)
    check_op(
        lambda x: getattr(F, f"adaptive_avg_pool{dims}d")(x, size),
        lambda x: pool(x, adaptive(x.shape, sizes), lambda v, c: v.mean(-1)),
        [arr(*shape)],
        grad_tol=2,
    )
    check_op(
        lambda x: getattr(F, f"adaptive_max_pool{dims}d")(x, size),
        lambda x: pool(x, adaptive(x.shape, sizes), lambda v, c: v.max(-1)),
        [distinct(*shape)],
    )


def test_adaptive_sizes():
    x = pynn.ones(2, 3, 5, 6)
    assert F.adaptive_avg_pool2d(x, (None, 2)).shape == (2, 3, 5, 2)
    assert F.adaptive_max_pool2d(x, 0).shape == (2, 3, 0, 0)
    for size in ((1, 2, 3), (-1, 2)):
        for f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
            with raises(RuntimeError, "adaptive_", "output_size"):
                f(x, size)


def test_indices():
    """Positions in the flattened plane; NaN wins; of equal values the first."""
    x = arr(2, 3, 6, 7)
    y, i = F.max_pool2d(tensor(x), 3, 2, 1, return_indices=True)
    flat = x.reshape(2, 3, -1)
    taken = np.take_along_axis(flat, i.numpy().reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(taken, to_numpy(y).reshape(2, 3, -1))
    assert i.dtype == pynn.int64 and not i.requires_grad
    y, i = F.max_pool1d(
        pynn.tensor([[3.0, 3, float("nan"), 1, float("nan"), float("nan")]]), 2, return_indices=True
    )
    assert i.tolist() == [[0, 2, 5]] and np.isnan(y.numpy()).tolist() == [[False, True, True]]
    low = pynn.full((1, 1, 4, 4), -float("inf"))
    assert F.max_pool2d(low, 3, 2, 1, return_indices=True)[1].tolist() == [[[[0, 1], [4, 5]]]]


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize(
    "options", [{}, {"padding": 1}, {"stride": 2, "ceil_mode": True}, {"dilation": 2, "stride": 3}]
)
def test_wide_maxima(dtype, options):
    """Vectors of outputs: borders, ties, infinities and NaN, beside one window after the other."""
    x = np.rint(arr(3, 12, 61, seed=2) * 3)  # many ties
    x[0, 3:8, 5:40] = -np.inf
    x[1, ::4, ::7] = np.nan
    options = {"stride": 1, **options}
    y, i = F.max_pool2d(tensor(x, dtype), 3, return_indices=True, **options)
    rows = windows(x.shape, 2, 3, **options)
    for c, a, b in itertools.product(range(3), range(y.shape[1]), range(y.shape[2])):
        at = [p * 61 + q for p in rows[0][a][0] for q in rows[1][b][0]]
        values = x[c].ravel()[at]
        nan = np.isnan(values)
        place = np.flatnonzero(nan)[-1] if nan.any() else values.argmax()
        assert i[c, a, b].item() == at[place], (c, a, b)
        np.testing.assert_equal(y[c, a, b].item(), values[place])


def test_threads(threads):
    found = []
    for n in (1, 3):
        threads(n)
        x = tensor(arr(3, 40, 30, 31), pynn.float32, True)
        parts = [F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1), F.adaptive_avg_pool2d(x, 7)]
        grads = [pynn.autograd.grad(p.square().sum(), x)[0] for p in parts]
        found.append(parts + grads)
    assert all(same_bits(a, b) for a, b in zip(*found, strict=True))


def test_long_windows():
    """Averages over rows longer than vectors, and rows of one window."""
    x = arr(2, 3, 70, 67)
    for size in (1, 2, (3, 5)):
        y = F.adaptive_avg_pool2d(tensor(x, pynn.float32), size)
        expected = pool(x, adaptive(x.shape, _tuple(size, 2)), lambda v, c: v.mean(-1))
        np.testing.assert_allclose(to_numpy(y), expected, rtol=1e-5, atol=1e-6)
    for stride in (1, 2, 3, 5):
        y = F.avg_pool1d(tensor(x[0], pynn.float32), 5, stride)
        np.testing.assert_allclose(to_numpy(y), avg_pool(x[0], 5, 1, stride=stride), rtol=1e-5, atol=1e-6)


def test_integer_averages_are_cut():
    x = pynn.tensor([[[1, 2, -4, -3, 5]]])
    assert F.avg_pool1d(x, 2).tolist() == [[[1, -3]]]
    with raises(NotImplementedError, "avg_pool2d", "int32"):
        F.avg_pool2d(pynn.ones(1, 2, 2, dtype=pynn.int32), 2)


def test_lp_pool():
    for dims, shape in ((1, (2, 2, 6)), (2, (2, 5, 6)), (3, (1, 2, 4, 4, 4))):
        check_op(
            lambda x, d=dims: getattr(F, f"lp_pool{d}d")(x, 3, 2, 1),
            lambda x, d=dims: pool(x, windows(x.shape, d, 2, 1), lambda v, c: (v**3).sum(-1) ** (1 / 3)),
            [arr(*shape, low=0.5)],
            tol=4,
            grad_tol=4,
        )


def test_max_unpool():
    for dims, shape in ((1, (2, 3, 6)), (2, (2, 4, 6)), (3, (1, 2, 4, 2, 4))):
        x = tensor(distinct(*shape))
        y, i = getattr(F, f"max_pool{dims}d")(x, 2, return_indices=True)
        unpool = getattr(F, f"max_unpool{dims}d")
        back = unpool(y, i, 2)
        assert back.shape == x.shape
        kept = to_numpy(back)
        assert ((kept == 0) | (kept == to_numpy(x))).all() and (kept != 0).sum() == y.numel()
        assert pynn.autograd.gradcheck(lambda t, f=unpool, i=i: f(t, i, 2), (y.requires_grad_(),))
        assert pynn.autograd.gradgradcheck(lambda t, f=unpool, i=i: f(t, i, 2), (y,))
    assert F.max_unpool2d(y[0, :1, :, 0], i[0, :1, :, 0] // 4, 2, output_size=(5, 5)).shape == (1, 5, 5)
    with raises(RuntimeError, "max_unpool3d", "invalid max index"):
        unpool(y, i + 100, 2)
    with raises(RuntimeError, "max_unpool3d", "int64"):
        unpool(y, i.int(), 2)
    with raises(ValueError, "output_size"):
        unpool(y, i, 2, output_size=(9, 9, 9))


def test_fractional_max_pool():
    x = tensor(distinct(2, 3, 9, 8), requires_grad=True)
    y, i = F.fractional_max_pool2d(x, (2, 3), output_size=(4, 3), return_indices=True)
    assert y.shape == i.shape == (2, 3, 4, 3)
    taken = np.take_along_axis(to_numpy(x).reshape(2, 3, -1), i.numpy().reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(taken, to_numpy(y).reshape(2, 3, -1))
    samples = pynn.rand(2, 3, 2, dtype=pynn.float64)
    call = lambda t: F.fractional_max_pool2d(t, 2, output_ratio=(0.5, 0.6), _random_samples=samples)
    assert pynn.autograd.gradcheck(call, (x,)) and pynn.autograd.gradgradcheck(call, (x,))
    assert F.fractional_max_pool3d(pynn.rand(3, 6, 7, 8), 2, output_size=(2, 3, 4)).shape == (3, 2, 3, 4)
    with raises(ValueError, "output_size", "output_ratio"):
        F.fractional_max_pool2d(x, 2)
    with raises(RuntimeError, "pool size too large"):
        F.fractional_max_pool2d(x, 2, output_size=9)


def test_zero_batch():
    x = pynn.ones(0, 2, 4, 4, requires_grad=True)
    for f in (F.max_pool2d, F.avg_pool2d):
        y = f(x, 2)
        assert y.shape == (0, 2, 2, 2)
        y.sum().backward()
    assert F.adaptive_avg_pool2d(x, 3).shape == (0, 2, 3, 3)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize(
    "shape,options,words",
    [
        ((4, 4), {}, "3D or 4D"),
        ((1, 2, 0, 4), {}, "not zero"),
        ((2, 4, 4), {"padding": 2}, "at most half"),
        ((2, 4, 4), {"padding": -1}, "non-negative"),
        ((2, 4, 4), {"stride": 0}, "stride"),
        ((2, 4, 4), {"kernel_size": 0}, "kernel size"),
        ((2, 4, 4), {"kernel_size": (2, 2, 2)}, "kernel_size"),
        ((2, 4, 4), {"kernel_size": 5}, "too small"),
    ],
)
def test_errors(name, shape, options, words):
    with raises(RuntimeError, name, words):
        getattr(F, name)(pynn.ones(*shape), **{"kernel_size": 2, **options})


def test_more_errors():
    x = pynn.ones(2, 4, 4)
    with raises(RuntimeError, "dilation"):
        F.max_pool2d(x, 2, dilation=0)
    with raises(RuntimeError, "divisor_override"):
        F.avg_pool2d(x, 2, divisor_override=0)
    with raises(NotImplementedError, "max_pool1d", "int64"):
        F.max_pool1d(x.long()[0], 2)
    with raises(NotImplementedError, "max_pool2d", "bool"):
        F.max_pool2d(x.bool(), 2)
    with raises(NotImplementedError, "adaptive_avg_pool2d", "int64"):
        F.adaptive_avg_pool2d(x.long(), 2)
