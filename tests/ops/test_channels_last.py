"""Channels last input: values, gradients and strides of batch norm, pooling and convolution, against planes."""

import numpy as np
import pytest
from helpers import arr, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional


def both(f, x, *parameters, dtype=pynn.float32, tol=1e-5, grad=True, keeps=True):
    """f of planes and of channels last: values and gradients agree, the order of elements stays."""
    results = []
    for fmt in (pynn.contiguous_format, pynn.channels_last if x.ndim == 4 else pynn.channels_last_3d):
        leaves = [tensor(x, dtype).contiguous(memory_format=fmt), *(tensor(p, dtype) for p in parameters)]
        if grad:
            leaves = [t.detach().requires_grad_() for t in leaves]
        y = f(*leaves)
        found = [y.detach()]
        if grad:
            g = tensor(arr(*y.shape, seed=99), dtype)
            found += pynn.autograd.grad(y, leaves, g)
            if fmt != pynn.contiguous_format and y.dim() == x.ndim:  # gradients of either order
                again = pynn.autograd.grad(f(*leaves), leaves, g.contiguous(memory_format=fmt))
                for a, b in zip(found[1:], again, strict=True):
                    np.testing.assert_allclose(to_numpy(a.double()), to_numpy(b.double()), rtol=tol, atol=tol)
        results.append([to_numpy(t.double()) for t in found])
        if keeps and x.size and fmt != pynn.contiguous_format:
            assert y.is_contiguous(memory_format=fmt)
            if grad:
                assert found[1].is_contiguous(memory_format=fmt)
    for planes, last in zip(*results, strict=True):
        np.testing.assert_allclose(last, planes, rtol=tol, atol=tol * max(1, np.abs(planes).max(initial=0)))


SHAPES = [
    (2, 3, 4, 5),
    (3, 16, 5, 7),
    (2, 37, 9, 3),
    (1, 130, 2, 2),
    (2, 70, 30, 31),
    (2, 5, 3, 4, 2),
    (0, 4, 3, 3),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape, training):
    c = shape[1]
    x, mean, var = arr(*shape) + 3, arr(c, seed=7), arr(c, low=0.5, seed=8)

    def norm(x, w=None, b=None):
        m, v = tensor(mean).to(x), tensor(var).to(x)
        y = F.batch_norm(x, m, v, w, b, training=training)
        norm.running = [to_numpy(m.double()), to_numpy(v.double())]
        return y

    for dtype in (pynn.float32, pynn.float64):
        both(norm, x, arr(c, seed=1), arr(c, seed=2), dtype=dtype, tol=2e-5)
    both(norm, x)
    both(norm, x, dtype=pynn.bfloat16, tol=2e-2)
    if training and x.size:
        n = x.size / c
        axes = (0, *range(2, x.ndim))
        np.testing.assert_allclose(norm.running[0], 0.9 * mean + 0.1 * x.mean(axes), rtol=2e-2, atol=2e-2)
        np.testing.assert_allclose(
            norm.running[1], 0.9 * var + 0.1 * x.var(axes) * n / (n - 1), rtol=2e-2, atol=2e-2
        )


def test_batch_norm_of_far_means():
    # Blocks of rows around 1e4 and 0: the variance is not a difference of large numbers.
    x = arr(2, 20, 40, 40)
    x[:, ::2] += 1e4
    x[1, :5] -= 300
    t = tensor(x, pynn.float32).contiguous(memory_format=pynn.channels_last)
    x = to_numpy(t).astype(np.float64)
    var = pynn.zeros(20)
    F.batch_norm(t, pynn.zeros(20), var, training=True, momentum=1.0)
    np.testing.assert_allclose(to_numpy(var), x.var((0, 2, 3), ddof=1), rtol=1e-4)


def test_batch_norm_with_relu_and_specials():
    x = arr(2, 20, 3, 3)
    x[0, 0, 0, 0], x[0, 1, 0, 0] = np.nan, np.inf
    both(
        lambda x: pynn.batch_norm(x, None, None, pynn.zeros(20), pynn.ones(20), False, 0.1, 1e-5, relu=True),
        x,
    )
    both(lambda x: F.batch_norm(x, None, None, training=True), x, grad=False)


def test_batch_norm_second_derivative():
    x, w = arr(2, 3, 4, 2), arr(3, seed=1)
    results = []
    for fmt in (pynn.contiguous_format, pynn.channels_last):
        t, v = tensor(x).contiguous(memory_format=fmt).requires_grad_(), tensor(w).requires_grad_()
        (g,) = pynn.autograd.grad(
            F.batch_norm(t, None, None, v, training=True).pow(3).sum(), t, create_graph=True
        )
        results.append([to_numpy(s) for s in pynn.autograd.grad(g.square().sum(), (t, v))])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "shape,groups",
    [
        ((2, 8, 5, 5), 2),
        ((1, 64, 20, 30), 8),
        ((3, 12, 9, 7), 12),
        ((2, 12, 1, 3), 1),
        ((1, 37, 40, 41), 1),
        ((2, 96, 16, 17), 32),
        ((2, 6, 3, 4, 2), 3),
        ((0, 8, 3, 3), 2),
    ],
    ids=str,
)
def test_group_norm(shape, groups):
    x, w, b = arr(*shape) + 3, arr(shape[1], seed=5), arr(shape[1], seed=6)
    for dtype, tol in ((pynn.float32, 2e-5), (pynn.float64, 1e-10)):
        both(lambda x: F.group_norm(x, groups), x, dtype=dtype, tol=tol)
        both(lambda x, w, b: F.group_norm(x, groups, w, b), x, w, b, dtype=dtype, tol=tol)
    both(lambda x, w, b: F.group_norm(x, groups, w, b), x, w, b, dtype=pynn.bfloat16, tol=4e-2, keeps=False)
    last = tensor(x, pynn.float32).contiguous(
        memory_format=pynn.channels_last if x.ndim == 4 else pynn.channels_last_3d
    )
    with_threads = []
    for threads in (1, 2, 3):
        pynn.set_num_threads(threads)
        with_threads.append(F.group_norm(last, groups))
    assert same_bits(with_threads[0], with_threads[1]) and same_bits(with_threads[0], with_threads[2])


def test_group_norm_of_what_is_no_number():
    x = arr(2, 8, 6, 5)
    x[0, 1, 2, 3], x[1, 6, 0, 0] = np.nan, np.inf
    planes = F.group_norm(tensor(x, pynn.float32), 4)
    last = F.group_norm(tensor(x, pynn.float32).contiguous(memory_format=pynn.channels_last), 4)
    np.testing.assert_allclose(to_numpy(last), to_numpy(planes), rtol=1e-5, atol=1e-5)


POOLS = {
    "max 3/2": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max dilated, ceil": lambda x: F.max_pool2d(x, (2, 3), (2, 1), (1, 0), (2, 1), ceil_mode=True),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    "average 2": lambda x: F.avg_pool2d(x, 2),
    "average padded": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average with divisor": lambda x: F.avg_pool2d(x, (3, 2), 1, (1, 0), divisor_override=5),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
}


@pytest.mark.parametrize("channels", [2, 16, 21, 64, 83])
@pytest.mark.parametrize("name", POOLS)
def test_pooling(name, channels):
    x = arr(3, channels, 9, 8, seed=channels)
    x[0, 0, 2, 3] = -np.inf
    for dtype in (pynn.float32, pynn.float64):
        both(POOLS[name], x if "max" in name else arr(3, channels, 9, 8), dtype=dtype)
    both(POOLS[name], arr(3, channels, 9, 8), dtype=pynn.bfloat16, tol=1e-2)


def test_pooling_to_one_pixel_and_in_3d():
    both(lambda x: F.adaptive_avg_pool2d(x, 1), arr(2, 37, 7, 5), keeps=False)
    assert F.adaptive_avg_pool2d(
        tensor(arr(2, 3, 4, 4)).contiguous(memory_format=pynn.channels_last), 1
    ).shape == (
        2,
        3,
        1,
        1,
    )
    for pool in (
        lambda x: F.max_pool3d(x, 2, 1),
        lambda x: F.avg_pool3d(x, 2),
        lambda x: F.adaptive_max_pool3d(x, 2),
    ):
        both(pool, arr(2, 19, 4, 3, 5))
    x = tensor(np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4))
    last = x.contiguous(memory_format=pynn.channels_last)
    assert same(F.max_pool2d(x, 2), F.max_pool2d(last, 2)) and same(F.avg_pool2d(x, 2), F.avg_pool2d(last, 2))


def same(a, b):
    return np.array_equal(to_numpy(a), to_numpy(b), equal_nan=True)


def test_positions_of_maxima():
    x = arr(2, 40, 6, 6)
    x[:, 3] = -np.inf  # then the first of the window
    x[0, 4, 1, 1] = x[1, 5, 2, 3] = np.nan
    x[:, 6] = 1
    planes = tensor(x, pynn.float32)
    last = planes.contiguous(memory_format=pynn.channels_last)
    for pool in (F.max_pool2d, F.adaptive_max_pool2d):
        for a, b in zip(
            pool(planes, 3, return_indices=True), pool(last, 3, return_indices=True), strict=True
        ):
            assert same(a, b) and b.is_contiguous(memory_format=pynn.channels_last)


# in, out, kernel, stride, padding, dilation, groups, height, width
CONVOLUTIONS = [
    (19, 33, 1, 1, 0, 1, 1, 7, 6),
    (64, 96, 1, 1, 0, 1, 1, 12, 11),
    (24, 36, 1, 1, 0, 1, 3, 5, 4),
    (40, 48, 1, 2, 0, 1, 1, 9, 8),
    (32, 48, 3, 1, 1, 1, 1, 17, 14),
    (37, 41, 3, 1, 1, 1, 1, 9, 10),
    (32, 40, 3, 2, 1, 1, 1, 13, 12),
    (16, 32, 3, 1, 2, 2, 2, 9, 8),
    (3, 20, 7, 2, 3, 1, 1, 21, 22),
    (5, 5, 1, 1, 0, 1, 5, 4, 3),
    (16, 16, 3, 1, 1, 1, 16, 9, 11),
    (37, 37, 3, 2, 1, 1, 37, 9, 12),
    (70, 70, 5, 1, 2, 1, 70, 8, 8),
    (20, 20, 3, 1, 2, 2, 20, 7, 9),
    (18, 18, (2, 3), (3, 1), (1, 0), (1, 2), 18, 9, 10),
    (16, 32, 3, 1, 1, 1, 16, 6, 7),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution(case):
    ci, co, kernel, stride, padding, dilation, groups, h, w = case
    kh, kw = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    x, weight, bias = arr(3, ci, h, w), arr(co, ci // groups, kh, kw, seed=1), arr(co, seed=2)

    def f(x, w, b=None):
        return F.conv2d(x, w, b, stride, padding, dilation, groups)

    both(f, x, weight, bias, tol=2e-5)
    both(f, x, weight, dtype=pynn.float64)
    both(f, x, weight, bias, dtype=pynn.bfloat16, tol=3e-2)
    both(
        lambda x, w, b: pynn.conv2d(x, w, b, stride, padding, dilation, groups, relu=True),
        x,
        weight,
        bias,
        tol=2e-5,
    )
    last = [tensor(t, pynn.float32).contiguous(memory_format=pynn.channels_last) for t in (x, weight)]
    assert f(*last).is_contiguous(memory_format=pynn.channels_last)
    results = []
    for w in (last[1], last[1].contiguous()):
        leaves = [last[0].detach().requires_grad_(), w.detach().requires_grad_()]
        y = f(*leaves)
        results.append([y.detach(), *pynn.autograd.grad(y, leaves, y.detach())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def test_convolution_of_large_pictures():
    both(
        lambda x, w: F.conv2d(x, w, padding=1, groups=20),
        arr(2, 20, 70, 66),
        arr(20, 1, 3, 3, seed=1),
        tol=2e-4,
    )
    both(lambda x, w: F.conv2d(x, w, padding=1), arr(1, 64, 40, 44), arr(64, 64, 3, 3, seed=1), tol=2e-4)


def test_transposed_and_3d_convolution():
    both(
        lambda x, w: F.conv_transpose2d(x, w, stride=2), arr(2, 20, 5, 4), arr(20, 7, 3, 3, seed=1), tol=2e-5
    )
    both(
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, groups=20),
        arr(2, 20, 5, 4),
        arr(20, 1, 4, 4, seed=1),
        tol=2e-5,
    )
    for groups in (1, 24):
        w = arr(24, 24 // groups, 2, 3, 3, seed=1)
        both(lambda x, w, g=groups: F.conv3d(x, w, padding=1, groups=g), arr(2, 24, 3, 5, 4), w, tol=2e-5)
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    t, w = tensor(x), tensor(np.arange(12).reshape(4, 3, 1, 1))
    assert same(F.conv2d(t, w), F.conv2d(t.contiguous(memory_format=pynn.channels_last), w))


def test_convolution_second_derivative():
    for case in ((20, 24, 1, 1, 0), (20, 20, 3, 1, 20), (16, 16, 3, 2, 1)):
        ci, co, k, stride, groups = case
        groups = max(groups, 1)
        x, w = arr(2, ci, 6, 5), arr(co, ci // groups, k, k, seed=1)
        results = []
        for fmt in (pynn.contiguous_format, pynn.channels_last):
            t, v = tensor(x).contiguous(memory_format=fmt).requires_grad_(), tensor(w).requires_grad_()
            y = F.conv2d(t, v, stride=stride, padding=k // 2, groups=groups)
            g = pynn.autograd.grad(y.pow(3).sum(), (t, v), create_graph=True)
            results.append(
                [to_numpy(s) for s in pynn.autograd.grad(sum(p.square().sum() for p in g), (t, v))]
            )
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(a).max())


def test_convolution_of_specials():
    x, w = arr(2, 32, 9, 9), arr(32, 32, 3, 3, seed=1)
    x[0, 3, 2, 2], x[1, 4, 8, 8] = np.inf, np.nan
    both(lambda x, w: F.conv2d(x, w, padding=1), x, w, grad=False)
    both(lambda x, w: F.conv2d(x, w), x, arr(16, 32, 1, 1, seed=1), grad=False)


def test_bits_do_not_depend_on_threads():
    cases = {
        "norm": (lambda x, w: F.batch_norm(x, None, None, w[:, 0, 0, 0], training=True), arr(64, 1, 1, 1)),
        "depthwise": (lambda x, w: F.conv2d(x, w, padding=1, groups=64), arr(64, 1, 3, 3)),
        "1x1": (F.conv2d, arr(64, 64, 1, 1)),
        "3x3/2": (lambda x, w: F.conv2d(x, w, stride=2), arr(64, 64, 3, 3)),
        "pool": (lambda x, w: F.avg_pool2d(F.max_pool2d(x, 3, 2), 2) * w, arr(64, 1, 1)),
    }
    x = tensor(arr(3, 64, 34, 33), pynn.float32).contiguous(memory_format=pynn.channels_last).requires_grad_()
    before = pynn.get_num_threads()
    for f, weight in cases.values():
        w, found = tensor(weight, pynn.float32).requires_grad_(), []
        try:
            for threads in (1, 2):
                pynn.set_num_threads(threads)
                y = f(x, w)
                found.append([y, *pynn.autograd.grad(y, (x, w), y.detach())])
        finally:
            pynn.set_num_threads(before)
        assert all(same_bits(a, b) for a, b in zip(*found, strict=True))
