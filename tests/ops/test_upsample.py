"""interpolate and grid_sample, against matrices and points computed in NumPy."""

import itertools
import math

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional


def cubic(x, a):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def matrix(n, size, mode, align=False, antialias=False, scale=None):
    """The linear map of one dim, [size, n]."""
    m = np.zeros((size, n))
    step = (n - 1) / max(size - 1, 1) if align else (1 / scale if scale else n / size)
    for o in range(size):
        if antialias:
            half = 2 if mode == "cubic" else 1
            wide = max(step, 1.0)
            for i in range(n):
                x = (i + 0.5 - step * (o + 0.5)) / wide
                if abs(x) < half:
                    m[o, i] = cubic(x, -0.5) if mode == "cubic" else 1 - abs(x)
            m[o] /= m[o].sum()
            continue
        if mode in ("nearest", "nearest-exact"):
            m[o, min(int((o + (0.5 if mode == "nearest-exact" else 0)) * step), n - 1)] = 1
            continue
        at = step * o if align else step * (o + 0.5) - 0.5
        if mode == "linear":
            at = min(max(at, 0), n - 1)
            i = int(at)
            m[o, i] += 1 - (at - i)
            m[o, min(i + 1, n - 1)] += at - i
            continue
        i = math.floor(at)
        for k in range(-1, 3):
            m[o, min(max(i + k, 0), n - 1)] += cubic(at - i - k, -0.75)
    return m


def resize(x, size, mode, **options):
    axis = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    for d, s in enumerate(size):
        x = np.moveaxis(np.moveaxis(x, d + 2, -1) @ matrix(x.shape[d + 2], s, axis, **options).T, -1, d + 2)
    return x


CASES = [
    ("nearest", (2, 2, 5), (3,), {}),
    ("nearest-exact", (1, 2, 4, 5), (6, 3), {}),
    ("linear", (2, 2, 5), (8,), {}),
    ("linear", (2, 2, 5), (3,), {"align_corners": True}),
    ("bilinear", (1, 2, 4, 5), (7, 3), {}),
    ("bilinear", (1, 2, 4, 5), (7, 3), {"align_corners": True}),
    ("bilinear", (1, 2, 7, 5), (3, 8), {"antialias": True}),
    ("bicubic", (1, 2, 4, 5), (7, 3), {}),
    ("bicubic", (1, 2, 7, 5), (3, 8), {"antialias": True}),
    ("trilinear", (1, 1, 3, 4, 2), (5, 3, 4), {}),
    ("nearest", (1, 2, 2, 3, 2), (4, 2, 3), {}),
    ("nearest", (2, 1, 20), (40,), {}),
    ("linear", (2, 1, 20), (45,), {}),
    ("linear", (2, 1, 75), (41,), {}),
    ("bicubic", (1, 1, 3, 21), (4, 50), {}),
    ("bicubic", (1, 1, 3, 36), (4, 24), {}),
]


@pytest.mark.parametrize("mode,shape,size,options", CASES)
def test_interpolate(mode, shape, size, options):
    names = {"align_corners": "align", "antialias": "antialias"}
    check_op(
        lambda x: F.interpolate(x, size, mode=mode, **options),
        lambda x: resize(x, size, mode, **{names[k]: v for k, v in options.items()}),
        [arr(*shape)],
        tol=2,
        grad_tol=2,
    )


def test_scales():
    x = arr(1, 2, 5)
    y = F.interpolate(tensor(x), scale_factor=1.5, mode="linear")
    np.testing.assert_allclose(to_numpy(y), resize(x, (7,), "linear", scale=1.5))
    y = F.interpolate(tensor(x), scale_factor=1.5, mode="linear", recompute_scale_factor=True)
    np.testing.assert_allclose(to_numpy(y), resize(x, (7,), "linear"))
    same = tensor(x)
    assert F.interpolate(same, 5).data_ptr() != same.data_ptr()


def test_area_is_adaptive_pooling():
    x = tensor(arr(2, 3, 7, 5))
    assert same_bits(F.interpolate(x, (3, 4), mode="area"), F.adaptive_avg_pool2d(x, (3, 4)))


def test_bytes():
    x = pynn.tensor([[[[0, 255], [255, 0]]]], dtype=pynn.uint8)
    assert F.interpolate(x, (1, 1), mode="bilinear").tolist() == [[[[128]]]]
    assert F.interpolate(x, 4).dtype == pynn.uint8
    assert F.interpolate(x, 4, mode="bicubic").max().item() == 255  # overshoot is cut


def by_integers(x, out, weights_of):
    """Along the last dim: weights are multiples of a power of two that fit 16 bits, sums are integers."""
    w = np.array([weights_of(o) for o in range(out)])
    bits = next(b for b in range(23) if b == 22 or int(w.max() * 2 ** (b + 1) + 0.5) >= 1 << 15)
    w = np.trunc(w * 2**bits + np.copysign(0.5, w)).astype(np.int64)
    return np.clip((x.astype(np.int64) @ w.T + (1 << (bits - 1))) >> bits, 0, 255)


@pytest.mark.parametrize(("size", "out"), [(4, 5), (4, 6), (4, 3), (7, 40), (61, 9)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_bytes_by_integer_weights(mode, size, out):
    def filtered(t, a=-0.75):
        t = np.abs(t)
        if mode == "bilinear":
            return np.maximum(1 - t, 0)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        return np.where(t <= 1, near, np.where(t < 2, ((t - 5) * t + 8) * t * a - 4 * a, 0))

    def weights_of(o):
        at = (o + 0.5) * (size / out) - 0.5
        at = max(at, 0.0) if mode == "bilinear" else at
        w = np.zeros(size)
        for i in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            w[min(max(i, 0), size - 1)] += filtered(at - i)  # the ends repeat
        return w

    x = np.random.default_rng(size).integers(0, 256, (1, 2, size, size)).astype(np.uint8)
    x[0, 0] = x[0, 0] > 128  # many ties
    wide = by_integers(x, out, weights_of)
    expected = by_integers(wide.swapaxes(2, 3), out, weights_of).swapaxes(2, 3)
    found = F.interpolate(pynn.from_numpy(x), (out, out), mode=mode)
    np.testing.assert_array_equal(to_numpy(found), expected)


def test_bytes_of_a_size_that_stays_are_left_alone():
    x = pynn.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 1, 3, 3)).astype(np.uint8))
    assert pynn.equal(F.interpolate(x, scale_factor=1.3, mode="bicubic"), x)


def test_bytes_shrunk_much_are_summed_exactly():
    """Small weights need more than float32's 24 bits."""
    x = np.random.default_rng(0).integers(0, 256, (1, 1, 4, 4096)).astype(np.uint8)
    found = F.interpolate(pynn.from_numpy(x), (4, 2), mode="bilinear", antialias=True)
    exact = F.interpolate(pynn.from_numpy(x).double(), (4, 2), mode="bilinear", antialias=True)
    assert np.abs(to_numpy(found) - to_numpy(exact)).max() <= 0.51


def test_threads(threads):
    found = []
    for n in (1, 3):
        threads(n)
        x = tensor(arr(2, 16, 50, 51), pynn.float32, True)
        y = F.interpolate(x, (71, 33), mode="bilinear")
        found.append([y, *pynn.autograd.grad(y.square().sum(), x)])
    assert all(same_bits(a, b) for a, b in zip(*found, strict=True))


def test_errors():
    x = pynn.ones(2, 3, 4, 5)
    for options, kind, words in (
        ({}, ValueError, "either size or scale_factor"),
        ({"size": 3, "scale_factor": 2}, ValueError, "only one of"),
        ({"size": (3, 4, 5)}, ValueError, "same number of spatial"),
        ({"size": 3, "mode": "cubic"}, NotImplementedError, "cubic"),
        ({"size": 3, "mode": "linear"}, NotImplementedError, "3D input, got 4D"),
        ({"size": 3, "align_corners": True}, ValueError, "align_corners"),
        ({"size": 3, "antialias": True}, ValueError, "antialias"),
        ({"size": 0}, RuntimeError, "greater than 0"),
        ({"size": (3, 4.0)}, TypeError, "4.0"),
    ):
        with raises(kind, "interpolate", words):
            F.interpolate(x, **options)
    with raises(NotImplementedError, "interpolate", "int64"):
        F.interpolate(x.long(), 3)


# -- grid_sample ----------------------------------------------------------------------------------------------------


def sample(x, grid, padding="zeros", align=True):
    """Bilinear, one point after the other."""
    n, c, *sizes = x.shape
    dims = len(sizes)
    y = np.zeros((n, c, *grid.shape[1:-1]))
    for at in itertools.product(*[range(s) for s in (n, *grid.shape[1:-1])]):
        point = []
        for d, size in enumerate(sizes):
            g = grid[at][dims - 1 - d]
            p = (g + 1) / 2 * (size - 1) if align else ((g + 1) * size - 1) / 2
            if padding == "reflection":
                low, high = (0, size - 1) if align else (-0.5, size - 0.5)
                while not low <= p <= high:
                    p = 2 * low - p if p < low else 2 * high - p
            if padding != "zeros":
                p = min(max(p, 0), size - 1)
            point.append(p)
        low = [math.floor(p) for p in point]
        for bits in itertools.product((0, 1), repeat=dims):
            where = [q + b for q, b in zip(low, bits, strict=True)]
            if all(0 <= w < s for w, s in zip(where, sizes, strict=True)):
                weight = math.prod(
                    (p - q) if b else 1 - (p - q) for p, q, b in zip(point, low, bits, strict=True)
                )
                y[(at[0], slice(None), *at[1:])] += weight * x[(at[0], slice(None), *where)]
    return y


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [True, False])
def test_grid_sample(padding, align):
    cases = [arrs((2, 2, 3, 4), (2, 2, 3, 2), low=-1.7, high=1.7)]
    cases.append(arrs((1, 2, 2, 3, 2), (1, 2, 1, 2, 3), low=-1.7, high=1.7, seed=4))
    check_op(
        lambda x, g: F.grid_sample(x, g, padding_mode=padding, align_corners=align),
        lambda x, g: sample(x, g, padding, align),
        cases,
        dtypes=(pynn.float64, pynn.float32),
        tol=8,
        grad_tol=8,
        layouts=False,
    )


def test_grid_sample_modes():
    x = tensor(arr(1, 2, 4, 5))
    theta = pynn.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=pynn.float64)
    for align in (True, False):
        identity = F.affine_grid(theta, (1, 2, 4, 5), align)
        for mode in ("bilinear", "nearest", "bicubic"):
            y = F.grid_sample(x, identity, mode, "border", align)
            np.testing.assert_allclose(to_numpy(y), to_numpy(x), atol=1e-12)
    grid = tensor(arr(1, 3, 2, 2, low=-0.9, high=0.9), requires_grad=True)
    x.requires_grad_()
    call = lambda x, g: F.grid_sample(x, g, "bicubic", align_corners=False)
    assert pynn.autograd.gradcheck(call, (x, grid)) and pynn.autograd.gradgradcheck(call, (x, grid))
    far = pynn.tensor([[[[float("nan"), 0.0], [float("inf"), 0.0], [1e30, 0.0]]]], dtype=pynn.float64)
    assert np.isfinite(to_numpy(F.grid_sample(x, far, padding_mode="border", align_corners=False))).all()


def gradients(call, x, grid, graph):
    """Of x and the grid: by the kernels, or, with a graph of their own, composed."""
    x, grid = tensor(x, requires_grad=True), tensor(grid, requires_grad=True)
    y = call(x, grid)
    g = tensor(arr(*y.shape, seed=5), y.dtype)
    return [to_numpy(t.detach()) for t in (y, *pynn.autograd.grad(y, (x, grid), g, create_graph=graph))]


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample_of_kernels_is_the_composed_one(mode, padding):
    for count, align in itertools.product((0, 1, 7, 16, 19, 65, 530), (True, False)):
        call = lambda x, g, a=align: F.grid_sample(x, g, mode, padding, a)
        cases = [((2, 3, 5, 4), (2, 1, count, 2)), ((1, 2, 1, 3), (1, count, 1, 2))]
        if mode != "bicubic":
            cases.append(((2, 2, 3, 4, 5), (2, 1, count, 1, 3)))
        for shapes in cases:
            x, grid = arrs(*shapes, low=-1.7, high=1.7, seed=count)
            ours, composed = gradients(call, x, grid, False), gradients(call, x, grid, True)
            for a, b in zip(ours, composed, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-11)
            x, grid = x.astype(np.float32), grid.astype(np.float32)
            ours = gradients(call, x, grid, False)
            for a, b in zip(ours[1:], gradients(call, x, grid, True)[1:], strict=True):
                np.testing.assert_allclose(a, b, atol=2e-3)


def test_grid_sample_values():
    x, grid = arrs((2, 3, 5, 4), (2, 4, 9, 2), low=-1.3, high=1.3)
    np.testing.assert_allclose(
        to_numpy(F.grid_sample(tensor(x), tensor(grid), align_corners=False)),
        sample(x, grid, align=False),
        atol=1e-12,
    )
    half = F.grid_sample(tensor(x).half(), tensor(grid).half(), align_corners=False)
    wide = F.grid_sample(tensor(x).half().float(), tensor(grid).half().float(), align_corners=False)
    assert half.dtype == pynn.float16 and same_bits(half, wide.half())
    turned = tensor(np.ascontiguousarray(x.transpose(0, 3, 2, 1))).permute(0, 3, 2, 1)
    assert same_bits(
        F.grid_sample(turned, tensor(grid), align_corners=False),
        F.grid_sample(tensor(x), tensor(grid), align_corners=False),
    )


def test_grid_sample_beyond_numbers():
    nan, inf = float("nan"), float("inf")
    x = pynn.arange(1.0, 13).view(1, 1, 3, 4)
    grid = pynn.tensor([[nan, 0], [inf, 0], [1e30, 0], [-inf, 0], [0, nan], [2.5, 0], [nan, nan]])
    call = lambda x, g, *how: F.grid_sample(x, g, *how, align_corners=False).flatten().tolist()
    flat = grid.view(1, 1, -1, 2)
    for mode in ("bilinear", "bicubic"):
        np.testing.assert_equal(call(x, flat, mode), [nan, nan, 0, nan, nan, 0, nan])
    assert call(x, flat, "bilinear", "border") == [5, 8, 8, 5, 2.5, 8, 1]
    assert call(x, flat, "bilinear", "reflection") == [5, 5, 5, 5, 2.5, 5.5, 1]
    assert call(x, flat, "nearest") == [0] * 7
    assert call(x, flat, "nearest", "border") == [5, 8, 8, 5, 3, 8, 1]
    deep = pynn.cat([grid, pynn.zeros(7, 1)], 1).view(1, 1, 1, -1, 3)
    assert call(x.view(1, 1, 1, 3, 4), deep) == [0] * 7
    # What lies outside is never read.
    x = pynn.full((1, 1, 3, 4), inf)
    assert call(x, pynn.full((1, 1, 20, 2), 3.0)) == [0] * 20
    # Nothing moves on the outermost elements.
    grid = pynn.tensor([[[[-1.0, -1.0], [1.0, 0.1]]]], requires_grad=True)
    F.grid_sample(pynn.arange(12.0).view(1, 1, 3, 4), grid, "bilinear", "border", True).sum().backward()
    np.testing.assert_allclose(grid.grad.flatten().tolist(), [0, 0, 0, 4], atol=1e-6)


def test_grid_sample_on_threads():
    x, grid = (t.astype(np.float32) for t in arrs((3, 5, 20, 30), (3, 40, 50, 2), low=-1.2, high=1.2))
    before = pynn.get_num_threads()
    try:
        for mode in ("bilinear", "nearest", "bicubic"):
            call = lambda x, g, m=mode: F.grid_sample(x, g, m, "reflection", False)
            found = []
            for threads in (1, 3):
                pynn.set_num_threads(threads)
                found.append(gradients(call, x, grid, False))
            for a, b in zip(*found, strict=True):
                assert a.tobytes() == b.tobytes()
    finally:
        pynn.set_num_threads(before)


def test_affine_grid():
    theta = arr(2, 2, 3)
    grid = to_numpy(F.affine_grid(tensor(theta), (2, 1, 3, 4), align_corners=False))
    for i, j in itertools.product(range(3), range(4)):
        point = np.array([(2 * j + 1) / 4 - 1, (2 * i + 1) / 3 - 1, 1])
        np.testing.assert_allclose(grid[:, i, j], theta @ point, atol=1e-12)
    assert pynn.autograd.gradcheck(
        lambda t: F.affine_grid(t, (2, 1, 3, 4), True), (tensor(theta, requires_grad=True),)
    )


def test_grid_errors():
    x, grid = pynn.ones(2, 3, 4, 5), pynn.ones(2, 6, 7, 2)
    for call, kind, words in (
        (lambda: F.grid_sample(x, grid, "cubic", align_corners=True), ValueError, "cubic"),
        (lambda: F.grid_sample(x, grid, padding_mode="wrap", align_corners=True), ValueError, "wrap"),
        (lambda: F.grid_sample(x, grid[:1], align_corners=True), RuntimeError, "batch size"),
        (lambda: F.grid_sample(x, grid[..., :1], align_corners=True), RuntimeError, "spatial dim"),
        (lambda: F.grid_sample(x, grid.double(), align_corners=True), RuntimeError, "same dtype"),
        (lambda: F.affine_grid(pynn.ones(2, 3, 3), (2, 1, 3, 4), True), ValueError, "2D affine"),
    ):
        with raises(kind, words):
            call()
