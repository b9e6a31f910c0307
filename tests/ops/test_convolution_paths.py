"""Every way to convolve float32 on the CPU, forced in turn: values and both derivatives against a direct sum in float64."""

import numpy as np
import pytest
from helpers import arr, raises, same_bits, tensor, to_numpy
from ops.test_convolution import conv, conv_transpose

import pynn

F = pynn.nn.functional

# Images, input channels, output channels of a group, size, options. Around the edges of vectors and tiles: channels one
# more and one less than a vector (4, 8, 16 lanes) and than two, sizes that are no multiple of a tile's.
THREE = [
    ((1, 16, 32, 4, 4), {"padding": 1}),
    ((2, 17, 15, 7, 9), {"padding": 1}),
    ((3, 33, 31, 5, 6), {}),
    ((2, 7, 40, 13, 3), {"padding": 2}),
    ((1, 3, 5, 1, 1), {"padding": 1}),
    ((2, 1, 1, 3, 3), {}),
    ((5, 20, 34, 10, 11), {"padding": (0, 2)}),
    ((2, 9, 17, 8, 8), {"padding": 1, "groups": 3}),
    ((40, 16, 18, 2, 2), {"padding": 1}),
    ((1, 64, 70, 30, 29), {"padding": 1}),
    ((9, 150, 33, 14, 14), {"padding": 1}),  # more than one round of tiles
    ((4, 16, 130, 6, 7), {"padding": 1}),  # the weight's gradient: tasks own channels
    ((2, 16, 100, 60, 60), {"padding": 1}),  # ... and tiles, as the image is large
]
# ... and kernel, as these may have any.
ANY = [
    ((2, 17, 33, 9, 10), (3, 3), {"stride": 2, "padding": 1}),
    ((2, 8, 20, 7, 7), (1, 1), {}),
    ((3, 20, 8, 9, 7), (1, 1), {"stride": 2}),
    ((2, 5, 9, 8, 9), (1, 1), {"padding": 1}),
    ((1, 3, 16, 23, 24), (7, 7), {"stride": 2, "padding": 3}),
    ((2, 6, 12, 11, 12), (3, 2), {"dilation": (2, 3), "padding": (3, 1)}),
    ((2, 6, 12, 13, 12), (2, 3), {"stride": (3, 2), "dilation": (2, 1), "padding": (0, 2), "groups": 2}),
    ((2, 4, 5, 6, 6), (2, 2), {"stride": 3}),  # inputs that nothing reads
    ((3, 12, 20, 50), (5,), {"padding": 2}),
    ((1, 9, 18, 2000), (3,), {"stride": 3, "dilation": 2}),
    ((2, 5, 17, 6, 5, 7), (3, 2, 3), {"padding": 1, "stride": (2, 1, 2)}),
    ((1, 4, 6, 5, 4, 3), (2, 3, 2), {"dilation": (2, 1, 1), "padding": (1, 1, 0)}),
    ((2, 6, 40, 3, 4, 5), (1, 1, 1), {"stride": (1, 2, 1)}),
    ((1, 2, 3, 2, 2), (3, 3), {"padding": 4}),  # outputs that read nothing
    ((30, 24, 40, 5, 5), (3, 3), {"padding": 1, "stride": 2}),
    (
        (4, 40, 200, 6, 6),
        (3, 3),
        {"padding": 1, "stride": 2},
    ),  # the weight's gradient: fewer sums, each of some channels
]
CASES = [("winograd", shape, (3, 3), options) for shape, options in THREE]
CASES += [("direct", shape, (3, 3), options) for shape, options in THREE]
CASES += [("direct", *case) for case in ANY]
CASES += [("amx", shape, (3, 3), options) for shape, options in THREE]  # without AMX, the direct path again
CASES += [("amx", *case) for case in ANY]
CASES += [("unfold", *case) for case in ANY]
CASES += [("few", *case) for case in ANY]
CASES += [("windows", *case) for case in ANY]
CASES += [
    ("pointwise", shape, (1,) * (len(shape) - 3), {"groups": groups})
    for shape, groups in [
        ((3, 13, 15, 1, 1), 1),
        ((2, 20, 31, 5, 7), 2),
        ((1, 3, 29, 66), 1),
        ((2, 17, 1, 3, 4, 8), 1),
    ]
]


@pytest.fixture(autouse=True)
def forced():
    yield pynn._C._nn.convolution_path
    pynn._C._nn.convolution_path("auto")


def operands(shape, kernel, options):
    n, ci, co, *size = shape
    groups = options.get("groups", 1)
    return arr(n, ci * groups, *size), arr(co * groups, ci, *kernel, seed=2), arr(co * groups, seed=3)


def error(found, expected):
    """Relative to the largest result: a tile of Winograd's has one scale."""
    return np.abs(to_numpy(found) - expected).max() / (np.abs(expected).max() + 1e-30)


@pytest.mark.parametrize("path,shape,kernel,options", CASES)
def test_path(path, shape, kernel, options, forced, threads):
    x, w, b = operands(shape, kernel, options)
    f = getattr(F, f"conv{len(kernel)}d")
    found = []
    for n in (1, 2, 16):
        threads(n)
        forced(path)
        leaves = [tensor(t, pynn.float32, requires_grad=True) for t in (x, w, b)]
        y = f(*leaves, **options)
        g = tensor(arr(*y.shape, seed=5), pynn.float32)
        found.append([y, *pynn.autograd.grad(y, leaves, g)])
        assert same_bits(f(*leaves, **options, relu=True), F.relu(y))
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))
    y, dx, dw, _ = found[0]
    x, w, b, g = (to_numpy(tensor(t, pynn.float32)).astype(np.float64) for t in (x, w, b, to_numpy(g)))
    assert error(y, conv(x, w, b, **options)) < 5e-6
    # The adjoints, by their definition: dx is the transposed convolution of g, and <g, conv(x, t)> = <dw, t> for any t.
    if options.get("stride", 1) == 1:
        assert error(dx, conv_transpose(g, w, **options)) < 5e-6
    for d, t, image in (
        (dx, arr(*x.shape, seed=8), lambda t: conv(t, w, **options)),
        (dw, arr(*w.shape, seed=9), lambda t: conv(x, t, **options)),
    ):
        d = to_numpy(d).astype(np.float64)
        assert abs((d * t).sum() - (g * image(t)).sum()) < 1e-5 * (np.abs(d * t).sum() + 1)
    forced("unfold")
    leaves = [tensor(t, pynn.float64, requires_grad=True) for t in (x, w, b)]
    exact = pynn.autograd.grad(f(*leaves, **options), leaves[:2], tensor(g, pynn.float64))
    assert error(dx, to_numpy(exact[0])) < 5e-6
    assert error(dw, to_numpy(exact[1])) < 1e-5


@pytest.mark.parametrize("path", ["direct", "winograd"])
def test_transposed(path, forced):
    """The transpose takes the paths of the adjoint, with a bias."""
    x, w, b = arr(2, 18, 6, 7), arr(18, 20, 3, 3, seed=2), arr(20, seed=3)
    forced(path)
    y = F.conv_transpose2d(*(tensor(t, pynn.float32) for t in (x, w, b)), padding=1)
    assert error(y, conv_transpose(x, w, b, padding=1)) < 5e-6
    if path == "direct":
        options = {"stride": (2, 3), "padding": 1, "output_padding": (1, 0), "dilation": (1, 2)}
        y = F.conv_transpose2d(*(tensor(t, pynn.float32) for t in (x, w, b)), **options)
        assert error(y, conv_transpose(x, w, b, **options)) < 5e-6


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e38])
@pytest.mark.parametrize("path", ["direct", "winograd", "amx", "auto"])
def test_not_finite(path, value, forced):
    """A value that is not finite reaches the outputs that read it and no others; large ones do not overflow on the way."""
    x, w = arr(2, 20, 12, 13), arr(24, 20, 3, 3, seed=2) / 20
    x[1, 3, 5, 7] = value
    x[0, 2, 0, 0] = value
    scale = 1 if np.isfinite(value) else value  # of the gradient
    grads = {}
    for p in (path, "unfold"):
        forced(p)
        xs, ws = (tensor(t, pynn.float32, requires_grad=True) for t in (x, w))
        y = F.conv2d(xs, ws, padding=1)
        assert same_bits(F.conv2d(xs, ws, padding=1, relu=True), F.relu(y))
        grads[p] = [y, *pynn.autograd.grad(y, [xs, ws], tensor(arr(*y.shape, seed=4) * scale, pynn.float32))]
    for found, expected in zip(grads[path], grads["unfold"], strict=True):
        found, expected = to_numpy(found), to_numpy(expected)
        usual = np.isfinite(expected)
        assert (np.isfinite(found) == usual).all()
        np.testing.assert_array_equal(found[~usual], expected[~usual])
        if usual.any():
            scale = np.abs(expected[usual]).max()
            assert np.abs(found[usual] / scale - expected[usual] / scale).max() < 1e-5


@pytest.mark.parametrize(
    "scale", [(1e-20, 1e-10), (1e-30, 1), (1e-30, 1e30), (1e-37, 1e10), (1e30, 1e-20), (1e25, 1e-30)]
)
@pytest.mark.parametrize("path", ["direct", "winograd", "amx", "auto"])
@pytest.mark.parametrize(
    "shape",
    [
        ((2, 40, 16, 15), (70, 40, 3, 3), 1),
        ((2, 40, 16, 15), (70, 40, 3, 3), 2),
        ((2, 40, 9, 8), (40, 40, 1, 1), 1),
    ],
)
def test_sizes_of_values(path, scale, shape, forced):
    """Very small and large operands, subnormal ones too, lose no accuracy in the parts of a sum."""
    x_shape, w_shape, stride = shape
    x, w = (
        tensor(arr(*t, seed=i) * f, pynn.float32)
        for i, (t, f) in enumerate(zip((x_shape, w_shape), scale, strict=True))
    )
    results = []
    for p, dtype in ((path, pynn.float32), ("unfold", pynn.float64)):
        forced(p if p != "winograd" or (stride == 1 and w_shape[-1] == 3) else "auto")
        xs, ws = (t.detach().to(dtype).requires_grad_() for t in (x, w))
        y = F.conv2d(xs, ws, stride=stride)
        g = tensor(arr(*y.shape, seed=5), pynn.float32).to(dtype)
        results.append([to_numpy(t.double()) for t in (y.detach(), *pynn.autograd.grad(y, [xs, ws], g))])
    for found, expected in zip(*results, strict=True):
        assert np.abs(found - expected).max() < 5e-6 * np.abs(expected).max() + 1e-43


def test_zero_weight_and_bias(forced):
    for path in ("direct", "winograd", "amx"):
        forced(path)
        y = F.conv2d(pynn.zeros(2, 16, 5, 5), pynn.ones(16, 16, 3, 3), pynn.arange(16.0), padding=1)
        assert (y == pynn.arange(16.0).reshape(1, 16, 1, 1)).all()
        assert F.conv2d(pynn.ones(0, 16, 5, 5), pynn.ones(16, 16, 3, 3)).shape == (0, 16, 3, 3)


def test_channels_last_and_views(forced):
    x, w = arr(2, 18, 9, 10), arr(20, 18, 3, 3, seed=2)
    for path in ("direct", "winograd", "amx"):
        forced(path)
        xs = tensor(x, pynn.float32).contiguous(memory_format=pynn.channels_last)
        ws = tensor(w, pynn.float32).contiguous(memory_format=pynn.channels_last)
        assert error(F.conv2d(xs, ws, padding=1), conv(x, w, padding=1)) < 5e-6
        assert error(F.conv2d(xs[:, :, ::2].transpose(2, 3), ws), conv(x[:, :, ::2].swapaxes(2, 3), w)) < 5e-6


def test_a_path_that_does_not_fit_is_an_error(forced):
    forced("winograd")
    with raises(RuntimeError, "convolution", "winograd", "does not fit"):
        F.conv2d(pynn.ones(1, 16, 5, 5), pynn.ones(16, 16, 3, 3), stride=2)
    with raises(RuntimeError, "winograd"):
        F.conv2d(pynn.ones(1, 16, 5, 5).double(), pynn.ones(16, 16, 3, 3).double())
    with raises(ValueError, "convolution_path", "got 'fft'"):
        forced("fft")
