"""Convolution, unfolding, pooling and interpolation on a CUDA device, beside the CPU's results."""

import pytest

import pynn as torch
from pynn.backends import _switch

pytestmark = pytest.mark.cuda

F = torch.nn.functional
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


@pytest.fixture(params=[True, False], ids=["cudnn", "plain"])
def convolutions_by(request):
    with torch.backends.cudnn.flags(enabled=request.param, allow_tf32=False):
        yield


def beside_cpu(f, *tensors, dtype=torch.float32, grad=True, scale=1.0):
    """f on the device in `dtype`, with gradients, against f on the CPU in float64."""
    tol = TOLERANCE[dtype] * scale
    results = []
    for device in ("cpu", "cuda"):
        to = dtype if device == "cuda" else torch.float64
        inputs = [t.to(dtype).to(to).to(device).requires_grad_(grad) for t in tensors]
        y = f(*inputs)
        out = [y]
        if grad:
            torch.manual_seed(0)
            g = torch.randn(*y.shape, dtype=torch.float64).to(dtype)
            y.backward(g.to(to).to(device))
            out += [t.grad for t in inputs]
        if device == "cuda":
            assert all(t.device.type == "cuda" and t.dtype == dtype for t in out)
        results.append([t.detach().cpu().double() for t in out])
    for got, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(got, expected, rtol=tol, atol=tol * max(1.0, expected.abs().max().item()))


CONVOLUTIONS = [
    (1, (2, 4, 11), (6, 4, 3), {}),
    (1, (2, 4, 11), (6, 2, 4), {"stride": 2, "padding": 3, "groups": 2}),
    (2, (2, 3, 8, 9), (5, 3, 3, 3), {"padding": 1}),
    (2, (3, 3, 8, 9), (5, 3, 1, 1), {}),
    (2, (2, 4, 9, 7), (8, 2, 3, 2), {"stride": (2, 1), "dilation": (1, 2), "groups": 2}),
    (2, (1, 6, 7, 7), (6, 1, 3, 3), {"groups": 6, "padding": 1}),
    (3, (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"padding": (1, 0, 1), "stride": (1, 2, 1)}),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("dims, x, w, options", CONVOLUTIONS)
def test_convolution(convolutions_by, dims, x, w, options, dtype):
    conv = getattr(F, f"conv{dims}d")
    x, w = torch.randn(*x), torch.randn(*w)
    bias = torch.randn(w.size(0))
    beside_cpu(lambda x, w, b: conv(x, w, b, **options), x, w, bias, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_transposed(convolutions_by, dtype):
    x, w, bias = torch.randn(2, 4, 5, 6), torch.randn(4, 3, 3, 2), torch.randn(6)
    options = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    beside_cpu(lambda x, w, b: F.conv_transpose2d(x, w, b, **options), x, w, bias, dtype=dtype)


def test_padding_of_one_side(convolutions_by):
    x, w = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 2, 4)
    beside_cpu(lambda x, w: F.conv2d(x, w, padding="same"), x, w)


def test_integers():
    x, w = torch.randint(-5, 6, (2, 3, 6, 6)), torch.randint(-5, 6, (4, 3, 3, 3))
    assert F.conv2d(x.cuda(), w.cuda()).cpu().equal(F.conv2d(x, w))


def test_switches():
    cudnn = torch.backends.cudnn
    assert cudnn.enabled and not cudnn.benchmark and not cudnn.deterministic
    x, w = torch.randn(2, 8, 12, 12), torch.randn(8, 8, 3, 3)
    expected = F.conv2d(x.double(), w.double())
    for flags in ({"benchmark": True}, {"deterministic": True}, {"allow_tf32": False}):
        with cudnn.flags(enabled=True, **flags):
            name = next(iter(flags))
            assert getattr(cudnn, name) == flags[name]
            y = F.conv2d(x.cuda(), w.cuda()).cpu().double()
        assert (y - expected).abs().max().item() < (1e-4 if "allow_tf32" in flags else 0.2)
    assert _switch.read("cudnn") and not _switch.read("benchmark")


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_unfold_and_fold(dtype):
    options = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 0), "stride": (2, 1)}
    beside_cpu(lambda x: F.unfold(x, **options), torch.randn(2, 3, 7, 8), dtype=dtype)
    columns = F.unfold(torch.randn(2, 3, 7, 8), **options)
    beside_cpu(lambda c: F.fold(c, (7, 8), **options), columns, dtype=dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_max_pool(dtype):
    beside_cpu(lambda x: F.max_pool2d(x, 3, stride=2, padding=1), torch.randn(2, 3, 9, 11), dtype=dtype)
    beside_cpu(lambda x: F.max_pool1d(x, 2, dilation=3), torch.randn(2, 3, 12), dtype=dtype)
    beside_cpu(lambda x: F.max_pool3d(x, 2, ceil_mode=True), torch.randn(1, 2, 5, 4, 3), dtype=dtype)
    beside_cpu(lambda x: F.adaptive_max_pool2d(x, (4, 3)), torch.randn(2, 3, 9, 11), dtype=dtype)


def test_max_pool_of_special_values():
    x = torch.randn(1, 2, 6, 6)
    x[0, 0, 1, 1], x[0, 1] = float("nan"), -float("inf")
    got, expected = (F.max_pool2d(t, 2, return_indices=True) for t in (x.cuda(), x))
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g.cpu(), e, rtol=0, atol=0, equal_nan=True)
    whole = torch.randint(-9, 9, (1, 2, 6, 6))
    assert F.max_pool2d(whole.cuda(), 2).cpu().equal(F.max_pool2d(whole, 2))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_average_pool(dtype):
    x = torch.randn(2, 3, 9, 11)
    beside_cpu(lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), x, dtype=dtype)
    beside_cpu(lambda x: F.avg_pool2d(x, 3, padding=1, count_include_pad=False), x, dtype=dtype)
    beside_cpu(lambda x: F.adaptive_avg_pool2d(x, (4, 3)), x, dtype=dtype)
    whole = torch.randint(-9, 9, (1, 2, 6, 6))
    assert F.avg_pool2d(whole.cuda(), 2).cpu().equal(F.avg_pool2d(whole, 2))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_interpolate(mode):
    x = torch.randn(2, 3, 9, 11)
    corners = {"align_corners": True} if mode in ("bilinear", "bicubic") else {}
    beside_cpu(lambda x: F.interpolate(x, size=(5, 20), mode=mode, **corners), x)
    beside_cpu(lambda x: F.interpolate(x, scale_factor=2, mode=mode), x)
    # A map that is too large for a kernel's arguments.
    beside_cpu(lambda x: F.interpolate(x, size=(700, 12), mode=mode), torch.randn(1, 1, 650, 12))


def test_pixel_shuffle():
    beside_cpu(lambda x: torch.pixel_shuffle(x, 2), torch.randn(2, 8, 3, 4))
    beside_cpu(lambda x: torch.pixel_unshuffle(x, 2), torch.randn(2, 3, 4, 6))
