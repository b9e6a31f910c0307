"""batch_norm, instance_norm, group_norm, rms_norm, local_response_norm."""

import numpy as np
import pytest
from helpers import FLOATS, arr, arrs, check_op, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional


def _affine(x, w, b):
    shape = (1, -1, *[1] * (x.ndim - 2))
    x = x if w is None else x * w.reshape(shape)
    return x if b is None else x + b.reshape(shape)


def batch_norm(x, w=None, b=None, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return _affine((x - mean) / np.sqrt(var + eps), w, b)


def group_norm(x, groups, w=None, b=None, eps=1e-5):
    g = x.reshape(x.shape[0], groups, -1)
    g = (g - g.mean(-1, keepdims=True)) / np.sqrt(g.var(-1, keepdims=True) + eps)
    return _affine(g.reshape(x.shape), w, b)


SHAPES = [(5, 3), (4, 3, 5), (3, 4, 2, 3), (2, 3, 2, 1, 3)]
TOL = {"tol": 6, "grad_tol": 12}


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape):
    c = (shape[1],)
    check_op(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        batch_norm,
        [arrs(shape, c, c)],
        dtypes=FLOATS[:2],
        **TOL,
    )
    check_op(lambda x: F.batch_norm(x, None, None, training=True), batch_norm, [arr(*shape)], **TOL)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_by_given_statistics(shape):
    mean, var = arr(shape[1], seed=7), arr(shape[1], low=0.5, seed=8)

    def given(x, w, b):
        m, v = (tensor(a).to(w) for a in (mean, var))
        return F.batch_norm(x, m, v, w, b, eps=1e-3)

    def expected(x, w, b):
        s = (1, -1, *[1] * (x.ndim - 2))
        return _affine((x - mean.reshape(s)) / np.sqrt(var.reshape(s) + 1e-3), w, b)

    c = (shape[1],)
    check_op(given, expected, [arrs(shape, c, c)], dtypes=FLOATS[:2], **TOL)


@pytest.mark.parametrize(
    "shape,groups", [((4, 6), 3), ((3, 4, 5), 2), ((2, 6, 3, 2), 6), ((2, 4, 2, 2, 3), 1)]
)
def test_group_norm(shape, groups):
    c = (shape[1],)
    check_op(
        lambda x, w, b: F.group_norm(x, groups, w, b, 1e-3),
        lambda x, w, b: group_norm(x, groups, w, b, 1e-3),
        [arrs(shape, c, c)],
        dtypes=FLOATS[:2],
        **TOL,
    )
    check_op(lambda x: F.group_norm(x, groups), lambda x: group_norm(x, groups), [arr(*shape)], **TOL)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 2, 4)])
def test_instance_norm(shape):
    c = (3,)
    check_op(
        lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
        lambda x, w, b: group_norm(x, 3, w, b),
        [arrs(shape, c, c)],
        dtypes=FLOATS[:2],
        **TOL,
    )
    check_op(F.instance_norm, lambda x: group_norm(x, 3), [arr(*shape)], **TOL)


def test_rms_norm():
    def expected(x, w=1.0, eps=None, axes=(-1,)):
        eps = 2.0**-52 if eps is None else eps
        return x / np.sqrt((x**2).mean(axes, keepdims=True) + eps) * w

    check_op(lambda x: F.rms_norm(x, (4,)), expected, [arr(3, 4)], tol=2, grad_tol=4)
    check_op(
        lambda x, w: F.rms_norm(x, (3, 4), w, 1e-3),
        lambda x, w: expected(x, w, 1e-3, (-2, -1)),
        [arrs((2, 3, 4), (3, 4))],
        tol=3,
        grad_tol=6,
    )
    with raises(RuntimeError, "rms_norm", "normalized_shape"):
        F.rms_norm(pynn.ones(2, 3), (4,))
    with raises(RuntimeError, "rms_norm", "weight"):
        F.rms_norm(pynn.ones(2, 3), (3,), pynn.ones(2))


def test_local_response_norm():
    def expected(x, size, alpha=0.1, beta=0.75, k=2.0):
        padded = np.pad(x**2, [(0, 0), (size // 2, (size - 1) // 2), *[(0, 0)] * (x.ndim - 2)])
        mean = sum(padded[:, i : i + x.shape[1]] for i in range(size)) / size
        return x / (k + alpha * mean) ** beta

    for shape in ((2, 5, 3), (2, 4, 2, 3), (1, 4, 2, 2, 2)):
        for size in (2, 3):
            check_op(
                lambda x, s=size: F.local_response_norm(x, s, 0.1, 0.75, 2.0),
                lambda x, s=size: expected(x, s),
                [arr(*shape)],
                tol=2,
                grad_tol=4,
            )
    with raises(ValueError, "3D or higher"):
        F.local_response_norm(pynn.ones(2, 3), 2)


def test_running_statistics():
    x = arr(4, 3, 5)
    for dtype in (pynn.float32, pynn.float64):
        mean, var = pynn.full((3,), 0.5, dtype=dtype), pynn.full((3,), 2.0, dtype=dtype)
        F.batch_norm(tensor(x, dtype), mean, var, training=True, momentum=0.3)
        np.testing.assert_allclose(to_numpy(mean), 0.35 + 0.3 * x.mean((0, 2)), rtol=1e-5)
        np.testing.assert_allclose(to_numpy(var), 1.4 + 0.3 * x.var((0, 2), ddof=1), rtol=1e-5)
        mean, var = pynn.zeros(3, dtype=dtype), pynn.ones(3, dtype=dtype)
        F.instance_norm(tensor(x, dtype), mean, var, momentum=0.3)
        np.testing.assert_allclose(to_numpy(mean), 0.3 * x.mean((0, 2)), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(to_numpy(var), 0.7 + 0.3 * x.var(2, ddof=1).mean(0), rtol=1e-5)


def test_numerics_and_threads(threads):
    """Far from zero, where E[x^2] - E[x]^2 has no digit left; several widths; the same bits on any threads."""
    for shape in ((3, 2, 5), (4, 17, 40, 41), (700, 33), (64, 5, 9), (2, 3, 5000)):
        x = 1e3 + arr(*shape)
        weights = [tensor(arr(shape[1], seed=s), pynn.float32, True) for s in (1, 2)]
        found = []
        for n in (1, 3):
            threads(n)
            t = tensor(x, pynn.float32, requires_grad=True)
            y = F.batch_norm(t, None, None, *weights, training=True)
            g = tensor(arr(*shape, seed=4), pynn.float32)
            found.append([y, *pynn.autograd.grad(y, [t, *weights], g)])
        assert all(same_bits(a, b) for a, b in zip(*found, strict=True))
        expected = batch_norm(to_numpy(t), *map(to_numpy, weights))
        np.testing.assert_allclose(to_numpy(found[0][0]), expected, rtol=2e-3, atol=2e-3)


def test_half_input_with_float_parameters():
    for dtype in (pynn.float16, pynn.bfloat16):
        x = tensor(arr(4, 6, 5), dtype, True)
        w, b = (tensor(arr(6, seed=s), pynn.float32, True) for s in (1, 2))
        for y, e in (
            (F.batch_norm(x, None, None, w, b, True), batch_norm(to_numpy(x), to_numpy(w), to_numpy(b))),
            (F.group_norm(x, 2, w, b), group_norm(to_numpy(x), 2, to_numpy(w), to_numpy(b))),
        ):
            assert y.dtype == dtype
            np.testing.assert_allclose(to_numpy(y), e, rtol=3e-2, atol=3e-2)
            y.float().square().sum().backward()
        assert x.grad.dtype == dtype and w.grad.dtype == b.grad.dtype == pynn.float32
    with raises(RuntimeError, "batch_norm", "mixed dtype", "float64"):
        F.batch_norm(x, None, None, w.double(), training=True)


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5, 49), (2, 3, 7), (2, 4, 32), (4, 6, 1), (5, 3)])
def test_half_inference(dtype, shape):
    """By given statistics half types are read as they are: each result is that of float32, rounded once."""
    x = tensor(arr(*shape), dtype)
    mean, var, w, b = (tensor(arr(shape[1], seed=s), pynn.float32) for s in (1, 2, 3, 4))
    var = var.abs() + 0.5
    for given in ((w, b), (None, None)):
        y = F.batch_norm(x, mean, var, *given)
        assert y.dtype == dtype
        assert same_bits(y, F.batch_norm(x.float(), mean, var, *given).to(dtype))


def test_zero_sizes():
    w = pynn.ones(3, requires_grad=True)
    running = pynn.ones(3)
    for x in (pynn.ones(0, 3), pynn.ones(0, 3, 4), pynn.ones(2, 3, 0)):
        x.requires_grad_()
        y = F.batch_norm(x, running, running.clone(), w, training=True)
        assert y.shape == x.shape
        y.sum().backward()
        assert F.group_norm(x, 3, w).shape == x.shape
    assert running.tolist() == [1, 1, 1] and w.grad.tolist() == [0, 0, 0]
    nothing = pynn.ones(0, requires_grad=True)  # no rows of no channels
    for training in (True, False):
        y = F.batch_norm(nothing, pynn.ones(0), pynn.ones(0), training=training)
        assert y.shape == (0,) and pynn.autograd.grad(y.sum(), nothing)[0].shape == (0,)


def test_errors():
    x, one = pynn.ones(2, 3, 4), pynn.ones
    for call, words in (
        (lambda: F.batch_norm(x, None, None), "running_mean must be defined"),
        (lambda: F.batch_norm(x, one(2), one(3)), "running_mean should contain 3"),
        (lambda: F.batch_norm(x, one(3), one(2)), "running_var should contain 3"),
        (lambda: F.batch_norm(x, one(3), one(3), one(2)), "weight should contain 3"),
        (lambda: F.batch_norm(x, one(3), one(3), one(3), one(2)), "bias should contain 3"),
        (lambda: F.instance_norm(x, use_input_stats=False), "running_mean"),
        (lambda: F.group_norm(x, 2), "divisible"),
        (lambda: F.group_norm(x, 3, one(2)), "weight"),
    ):
        with raises(RuntimeError, "_norm", words):
            call()
    for call, words in (
        (lambda: F.batch_norm(one(1, 3), None, None, training=True), "more than 1 value"),
        (lambda: F.batch_norm(x, None, None, training=True, eps=0), "positive"),
        (lambda: F.instance_norm(one(2, 3, 1)), "more than 1 spatial"),
        (lambda: F.group_norm(one(1, 3, 1), 3), "more than 1 value"),
    ):
        with raises(ValueError, words):
            call()
    for f in (lambda t: F.batch_norm(t, None, None, training=True), lambda t: F.group_norm(t, 3)):
        with raises(NotImplementedError, "int64"):
            f(x.long())


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize("length", [(), (1,), (3,), (7, 7), (16,), (17,), (5, 13)])
def test_group_norm_of_runs_of_any_length(length, dtype, threads):
    """Runs shorter and longer than a register, groups of one and of many channels; [N, C] takes a path of its own."""
    tol = 1e-4 if dtype == pynn.float32 else 1e-9
    for n, c, groups in ((70, 12, 4), (3, 32, 2), (2, 6, 6), (1, 5, 1)):
        xs, w, b = arrs((n, c, *length), (c,), (c,))
        if length == () and c == groups:
            continue  # the variance of one element is 0
        g = arr(n, c, *length, seed=9)
        results = []
        for count in (1, 3):
            threads(count)
            leaves = [tensor(v, dtype, requires_grad=True) for v in (xs, w, b)]
            y = F.group_norm(leaves[0], groups, leaves[1], leaves[2])
            y.backward(tensor(g, dtype))
            results.append([y.detach(), *(leaf.grad for leaf in leaves)])
        assert all(same_bits(p, q) for p, q in zip(*results, strict=True))
        np.testing.assert_allclose(to_numpy(y.detach()), group_norm(xs, groups, w, b), rtol=tol, atol=tol)
        # The kernel's gradients are those of the formula in ops.
        leaves = [tensor(v, pynn.float64, requires_grad=True) for v in (xs, w, b)]
        x = leaves[0].view(n, groups, -1)
        h = ((x - x.mean(-1, keepdim=True)) * (x.var(-1, correction=0, keepdim=True) + 1e-5).rsqrt()).view(
            xs.shape
        )
        shape = (1, c, *[1] * len(length))
        (h * leaves[1].view(shape) + leaves[2].view(shape)).backward(tensor(g))
        for got, leaf in zip(results[0][1:], leaves, strict=True):
            scale = float(leaf.grad.abs().max()) + 1
            np.testing.assert_allclose(
                to_numpy(got), to_numpy(leaf.grad), rtol=10 * tol, atol=10 * tol * scale
            )


def test_group_norm_of_vectors_differentiates_twice():
    x, w, b = (tensor(v, requires_grad=True) for v in arrs((3, 8), (8,), (8,)))
    assert pynn.autograd.gradcheck(lambda *a: F.group_norm(a[0], 2, a[1], a[2]), (x, w, b))
    assert pynn.autograd.gradgradcheck(lambda *a: F.group_norm(a[0], 2, a[1], a[2]), (x, w, b))
