"""conv1d to conv3d and their transposes: values and derivatives of any order, by a direct sum in NumPy."""

import itertools

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional


def _tuple(x, n):
    return (x,) * n if isinstance(x, int) else tuple(x)


def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    """The sum over taps, one shifted slice of the padded input each."""
    n = w.ndim - 2
    if x.ndim == n + 1:
        return conv(x[None], w, b, stride, padding, dilation, groups)[0]
    s, p, d = _tuple(stride, n), _tuple(padding, n), _tuple(dilation, n)
    x = np.pad(x, [(0, 0), (0, 0), *[(q, q) for q in p]])
    out = [(x.shape[i + 2] - d[i] * (w.shape[i + 2] - 1) - 1) // s[i] + 1 for i in range(n)]
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    ci, co = w.shape[1], w.shape[0] // groups
    for taps in itertools.product(*[range(k) for k in w.shape[2:]]):
        at = [slice(t * d[i], t * d[i] + s[i] * (out[i] - 1) + 1, s[i]) for i, t in enumerate(taps)]
        for g in range(groups):
            part = x[(slice(None), slice(g * ci, (g + 1) * ci), *at)]
            w_g = w[(slice(g * co, (g + 1) * co), slice(None), *taps)]
            y[:, g * co : (g + 1) * co] += np.einsum("nc...,oc->no...", part, w_g)
    return y if b is None else y + b.reshape(-1, *[1] * n)


def conv_transpose(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    n = w.ndim - 2
    if x.ndim == n + 1:
        return conv_transpose(x[None], w, b, stride, padding, output_padding, groups, dilation)[0]
    s, p, d, e = (_tuple(t, n) for t in (stride, padding, dilation, output_padding))
    full = [(x.shape[i + 2] - 1) * s[i] + d[i] * (w.shape[i + 2] - 1) + 1 + e[i] for i in range(n)]
    co, ci = w.shape[1], w.shape[0] // groups
    y = np.zeros((x.shape[0], co * groups, *full))
    for taps in itertools.product(*[range(k) for k in w.shape[2:]]):
        at = [slice(t * d[i], t * d[i] + s[i] * (x.shape[i + 2] - 1) + 1, s[i]) for i, t in enumerate(taps)]
        for g in range(groups):
            w_g = w[(slice(g * ci, (g + 1) * ci), slice(None), *taps)]
            y[(slice(None), slice(g * co, (g + 1) * co), *at)] += np.einsum(
                "nc...,co->no...", x[:, g * ci : (g + 1) * ci], w_g
            )
    y = y[(slice(None), slice(None), *[slice(p[i], full[i] - p[i]) for i in range(n)])]
    return y if b is None else y + b.reshape(-1, *[1] * n)


# Input, weight, options: plain, strided, dilated, grouped, depthwise, pointwise, wide borders.
CASES = [
    ((2, 3, 6), (4, 3, 3), {}),
    ((3, 7), (2, 3, 2), {"stride": 2, "padding": 1}),
    ((2, 4, 9), (6, 2, 3), {"groups": 2, "dilation": 2, "padding": 2}),
    ((2, 3, 4, 5), (2, 3, 3, 2), {"padding": (1, 0), "stride": (1, 2)}),
    ((2, 4, 4, 6), (4, 2, 3, 3), {"groups": 2, "padding": 1, "dilation": (1, 2)}),
    ((2, 3, 5, 5), (6, 1, 3, 3), {"groups": 3, "padding": 1, "stride": 2}),
    ((2, 4, 3, 3), (5, 4, 1, 1), {}),
    ((2, 4, 3, 3), (4, 2, 1, 1), {"groups": 2}),
    ((3, 4, 4), (2, 3, 2, 2), {"padding": 3}),
    ((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), {"padding": (1, 0, 1)}),
    ((2, 2, 3, 3, 4), (2, 1, 2, 2, 3), {"groups": 2, "padding": 1, "stride": (1, 1, 3)}),
]
TRANSPOSED = [
    ((2, 3, 4), (3, 4, 3), {}),
    ((4, 3), (4, 1, 3), {"groups": 4, "stride": 2, "output_padding": 1, "padding": 1}),
    ((2, 3, 3, 4), (3, 2, 3, 3), {"stride": 2, "padding": 1, "output_padding": (1, 0)}),
    ((2, 4, 3, 3), (4, 1, 2, 2), {"groups": 2, "dilation": 2}),
    ((2, 4, 3, 3), (4, 2, 1, 1), {}),
    ((1, 2, 2, 3, 2), (2, 2, 2, 3, 2), {"stride": (2, 1, 2)}),
]


@pytest.mark.parametrize("x,w,options", CASES)
def test_conv(x, w, options):
    f = getattr(F, f"conv{len(w) - 2}d")
    check_op(f, conv, [(*arrs(x, w, (w[0],)), options)], tol=4, grad_tol=8)
    check_op(f, conv, [(*arrs(x, w), options)], tol=4, grad_tol=8, gradgrad=False)


@pytest.mark.parametrize("x,w,options", TRANSPOSED)
def test_conv_transpose(x, w, options):
    f = getattr(F, f"conv_transpose{len(w) - 2}d")
    bias = (w[1] * options.get("groups", 1),)
    check_op(f, conv_transpose, [(*arrs(x, w, bias), options)], tol=4, grad_tol=8)


# Beyond one block of pixels, several images in a block, many channels, few or many tasks, wide depthwise rows.
LARGE = [
    ((2, 3, 40, 41), (8, 3, 3, 3), {"padding": 1}),
    ((40, 16, 2, 2), (17, 16, 3, 3), {"padding": 1}),
    ((37, 16, 2, 3), (20, 16, 1, 1), {}),
    ((1, 64, 20, 20), (32, 64, 3, 3), {"padding": 1, "stride": 2}),
    ((3, 2, 700), (3, 2, 5), {"padding": 2}),
    ((2, 6, 33, 37), (6, 1, 3, 3), {"groups": 6, "padding": 1}),
    ((2, 6, 33, 37), (12, 1, 5, 4), {"groups": 6, "padding": 2, "stride": (2, 3), "dilation": (1, 2)}),
    ((1, 1, 300, 300), (2, 1, 3, 3), {}),
]


@pytest.mark.parametrize("x,w,options", LARGE)
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
def test_large(x, w, options, dtype, threads):
    """Values, and the same bits for any number of threads; gradients by the adjoints' definition."""
    f = getattr(F, f"conv{len(w) - 2}d")
    found = []
    for n in (1, 2, 3):
        threads(n)
        xs, ws = (tensor(arr(*s), dtype, requires_grad=True) for s in (x, w))
        y = f(xs, ws, **options)
        g = tensor(arr(*y.shape, seed=5), dtype)
        found.append([y, *pynn.autograd.grad(y, (xs, ws), g)])
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))
    y, dx, dw = map(to_numpy, found[0])
    x, w, g = (to_numpy(tensor(a, dtype)) for a in (arr(*x), arr(*w), arr(*y.shape, seed=5)))
    tol = 1e-10 if dtype == pynn.float64 else 3e-4
    np.testing.assert_allclose(y, conv(x, w, **options), rtol=tol, atol=tol)
    # <g, conv(t, w)> = <dx, t> and <g, conv(x, t)> = <dw, t> for any t
    for d, t, image in (
        (dx, arr(*x.shape, seed=8), lambda t: conv(t, w, **options)),
        (dw, arr(*w.shape, seed=9), lambda t: conv(x, t, **options)),
    ):
        expected = (g * image(t)).sum()
        assert abs((d * t).sum() - expected) < 10 * tol * (np.abs(d * t).sum() + 1)


def test_infinities_stay_where_they_are():
    """No output sees a value that its taps do not read: padding lanes are not multiplied."""
    x = np.ones((1, 2, 3, 19))
    x[..., -1] = np.inf
    w = np.ones((2, 1, 2, 2))
    xs, ws = tensor(x, pynn.float32, True), tensor(w, pynn.float32, True)
    y = F.conv2d(xs, ws, stride=2, groups=2)  # reads columns 0 to 17
    assert to_numpy(y).max() == 4
    y.sum().backward()
    assert np.isfinite(to_numpy(ws.grad)).all()


def test_same_and_valid():
    x, w = arrs((2, 3, 7, 6), (4, 3, 4, 3))
    for dilation in (1, 2):
        total = [dilation * 3, dilation * 2]
        padded = np.pad(x, [(0, 0), (0, 0), *[(t // 2, t - t // 2) for t in total]])
        check_op(
            lambda x, w, d=dilation: F.conv2d(x, w, padding="same", dilation=d),
            lambda x, w, p=total, d=dilation: conv(
                np.pad(x, [(0, 0), (0, 0), *[(t // 2, t - t // 2) for t in p]]), w, dilation=d
            ),
            [(x, w)],
            tol=4,
            grad_tol=8,
        )
        assert F.conv2d(tensor(x), tensor(w), padding="same", dilation=dilation).shape == (2, 4, 7, 6)
        assert padded.shape
    assert F.conv2d(tensor(x), tensor(w), None, 1, "valid").shape == (2, 4, 4, 4)


def test_any_dims():
    x, w = arrs((2, 3, 6), (4, 3, 3))
    y = pynn.convolution(tensor(x), tensor(w), None, [2], [1], [1], False, [0], 1)
    np.testing.assert_allclose(to_numpy(y), conv(x, w, stride=2, padding=1))
    w = arr(3, 2, 3)
    y = pynn.convolution(tensor(x), tensor(w), None, [2], [1], [1], True, [1], 1)
    np.testing.assert_allclose(to_numpy(y), conv_transpose(x, w, stride=2, padding=1, output_padding=1))


def test_integers_wrap_and_bool_is_refused():
    for dtype in (pynn.uint8, pynn.int32, pynn.int64):
        y = F.conv2d(pynn.full((1, 2, 3, 3), 100, dtype=dtype), pynn.full((1, 2, 2, 2), 2, dtype=dtype))
        assert y.dtype == dtype and y[0, 0, 0, 0].item() == (1600 % 256 if dtype == pynn.uint8 else 1600)
    y = F.conv_transpose1d(pynn.ones(1, 1, 3, dtype=pynn.int64), pynn.ones(1, 1, 2, dtype=pynn.int64))
    assert y.tolist() == [[[1, 2, 2, 1]]]
    for f in (F.conv1d, F.conv_transpose1d):
        with raises(NotImplementedError, "conv", "bool"):
            f(pynn.ones(1, 1, 3, dtype=pynn.bool), pynn.ones(1, 1, 2, dtype=pynn.bool))


def test_zero_sizes():
    w = pynn.ones(4, 3, 3, 3, requires_grad=True)
    y = F.conv2d(pynn.ones(0, 3, 5, 5), w, pynn.ones(4))
    assert y.shape == (0, 4, 3, 3)
    y.sum().backward()
    assert w.grad.abs().sum() == 0
    assert F.conv_transpose2d(pynn.ones(0, 4, 5, 5), w).shape == (0, 3, 7, 7)
    with raises(RuntimeError, "conv2d", "zero batch", r"\(1, 3, 0, 5\)"):
        F.conv2d(pynn.ones(1, 3, 0, 5), w, padding=3)


X, W = np.ones((1, 2, 4, 4)), np.ones((3, 2, 2, 2))
ERRORS = [
    ((X, np.ones((3, 1, 2, 2))), {}, "1 channels, but got 2"),
    ((X, np.ones((3, 1, 2, 2))), {"groups": 2}, "divisible by 2"),
    ((X, W, np.ones(2)), {}, "3 elements, but got"),
    ((X, np.ones((3, 2, 2))), {}, "4 dims"),
    ((np.ones((2, 4)), W), {}, "3D .* or 4D"),
    ((np.ones((1, 2, 1, 4)), W), {}, "Kernel size can't be greater"),
    ((X, W), {"stride": 0}, "stride"),
    ((X, W), {"stride": (1, 2, 3)}, "list of 2 values"),
    ((X, W), {"padding": -1}, "negative padding"),
    ((X, W), {"padding": "full"}, "'same' or 'valid'"),
    ((X, W), {"padding": "same", "stride": 2}, "strided"),
    ((X, W), {"dilation": 0}, "dilation"),
    ((X, W), {"groups": 0}, "groups"),
]


@pytest.mark.parametrize("args,options,words", ERRORS)
def test_errors(args, options, words):
    with raises(RuntimeError, "conv2d", words):
        F.conv2d(*[tensor(a) for a in args], **options)


def test_transposed_errors():
    x, w = pynn.ones(1, 2, 4, 4), pynn.ones(2, 3, 2, 2)
    for options, words in (
        ({"output_padding": 1}, "output padding must be smaller"),
        ({"output_padding": -1}, "negative output_padding"),
        ({"padding": 8}, "too small"),
    ):
        with raises(RuntimeError, "conv_transpose2d", words):
            F.conv_transpose2d(x, w, **options)
    with raises(RuntimeError, "same dtype", "float32", "float64"):
        F.conv2d(x, w.double())
