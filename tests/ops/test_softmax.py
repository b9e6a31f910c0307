"""softmax and log_softmax: any dim, large logits, -inf rows, and agreement with what they are made of."""

import math

import numpy as np
import pytest
from helpers import FLOATS, arr, check_op, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan
F = pynn.nn.functional


def softmax(x, dim):
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def log_softmax(x, dim):
    x = x - x.max(axis=dim, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=dim, keepdims=True))


OPS = {"softmax": softmax, "log_softmax": log_softmax}
DIMS = [(arr(3, 4), 0), (arr(3, 4), 1), (arr(2, 3, 4), 1), (arr(2, 3, 4), -1), (arr(5), 0), (arr(2, 1, 3), 1)]


@pytest.mark.parametrize("name", OPS)
def test_values_and_gradients(name):
    bad = [
        ((arr(2, 3), 2), IndexError, f"{name}.*2"),
        ((arr(2, 3), -3), IndexError, f"{name}.*-3"),
        ((np.array([1, 2]), 0), RuntimeError, name),
        ((arr(2, 3), "row"), TypeError, name),
    ]
    check_op(getattr(pynn, name), OPS[name], DIMS, grad_tol=2, errors=bad)


@pytest.mark.parametrize("name", OPS)
def test_equals_its_parts(name):
    """The fused op and the composite agree: forward, backward and double backward."""

    def parts(x):
        z = x - x.amax(1, keepdim=True).detach()
        log = z - z.exp().sum(1, keepdim=True).log()
        return log.exp() if name == "softmax" else log

    x = tensor(arr(4, 6) * 3, requires_grad=True)
    w = tensor(arr(4, 6, seed=1))
    results = []
    for f in (lambda t: getattr(pynn, name)(t, 1), parts):
        y = f(x)
        (g,) = pynn.autograd.grad((y * w).sum(), x, create_graph=True)
        (h,) = pynn.autograd.grad((g * w).sum(), x)
        results.append([to_numpy(t) for t in (y, g, h)])
    for fused, composite in zip(*results, strict=True):
        np.testing.assert_allclose(fused, composite, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (5, 2), (3, 7), (4, 16), (2, 17), (3, 33), (2, 65), (2, 1000), (300, 10), (21, 150), (37, 50)],
)
def test_sizes(name, dtype, shape):
    x = tensor(arr(*shape, low=-20, high=20), dtype)
    rtol = 5e-6 if dtype == pynn.float32 else 1e-12
    for dim in (0, 1):
        got = to_numpy(getattr(pynn, name)(x, dim))
        np.testing.assert_allclose(got, OPS[name](to_numpy(x), dim), rtol=rtol, atol=rtol)
        turned = getattr(pynn, name)(x.t(), 1 - dim).t()
        np.testing.assert_allclose(to_numpy(turned), got, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_large_logits(name, dtype):
    big = 1e4 if dtype == pynn.float16 else 1e30
    x = pynn.tensor([[big, 0.0, -big], [big, big, -big], [-big, -big, -big]], dtype=dtype)
    got = to_numpy(pynn.softmax(x, 1))
    np.testing.assert_allclose(
        got, [[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3], rtol=2e-2 if dtype in FLOATS[2:] else 1e-6
    )
    assert not getattr(pynn, name)(x, 1).isnan().any()


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize("width", [3, 40])
def test_infinities(dtype, width):
    x = pynn.zeros(4, width, dtype=dtype)
    x[0, 1] = -INF
    x[1] = -INF
    x[2, 0] = INF
    x[3, 2] = NAN
    y, log = pynn.softmax(x, 1), pynn.log_softmax(x, 1)
    assert y[0, 1] == 0 and log[0, 1] == -INF
    np.testing.assert_allclose(y[0, 0].item(), 1 / (width - 1), rtol=1e-6)
    for row in (1, 2, 3):  # nothing to choose from, an infinite winner, NaN: all as PyTorch
        assert y[row, 0].isnan() and log[row, 0].isnan()
    x = pynn.zeros(1, width, dtype=dtype)
    x[0, 1:] = -INF
    x.requires_grad_()
    pynn.softmax(x, 1)[0, 0].backward()
    assert x.grad.tolist() == [[0.0] * width]


def test_rows_sum_to_one():
    x = tensor(arr(50, 77, low=-30, high=30), pynn.float32)
    np.testing.assert_allclose(pynn.softmax(x, 1).sum(1).numpy(), 1, rtol=1e-6)
    np.testing.assert_allclose(pynn.softmax(x, 0).sum(0).numpy(), 1, rtol=1e-6)
    np.testing.assert_allclose(pynn.log_softmax(x, -1).exp().sum(1).numpy(), 1, rtol=1e-5)


@pytest.mark.parametrize("name", OPS)
def test_degenerate(name):
    op = getattr(pynn, name)
    assert op(pynn.tensor(3.0), 0).item() == (1.0 if name == "softmax" else 0.0)
    assert op(pynn.empty(0, 3), 1).shape == (0, 3) and op(pynn.empty(3, 0), 1).shape == (3, 0)
    x = pynn.empty(2, 0, requires_grad=True)
    op(x, 1).sum().backward()
    assert x.grad.shape == (2, 0)


def test_dtype_argument_and_forms():
    whole = pynn.tensor([[1, 2, 3]])
    y = pynn.softmax(whole, 1, dtype=pynn.float64)
    assert y.dtype == pynn.float64
    np.testing.assert_allclose(y.numpy(), softmax(np.array([[1.0, 2.0, 3.0]]), 1))
    half = pynn.ones(2, 3, dtype=pynn.float16)
    assert pynn.softmax(half, 1).dtype == pynn.float16
    assert pynn.softmax(half, 1, dtype=pynn.float32).dtype == pynn.float32
    x = tensor(arr(2, 3))
    for name in OPS:
        expected = getattr(pynn, name)(x, dim=1)
        assert same_bits(getattr(x, name)(1), expected)
        assert same_bits(getattr(F, name)(x, dim=1), expected)
        assert same_bits(getattr(x, name)(dim=-1), expected)
    with pytest.raises(TypeError):
        pynn.softmax(x)
    with raises(TypeError, "softmax"):
        pynn.softmax([1.0, 2.0], 0)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("shape", [(1000, 3), (257, 2), (400, 16), (2, 300, 5)])
def test_few_columns_equal_rows(name, shape):
    """Rows of few columns are worked on as one wide row: values, gradients and NaN stay where they belong."""
    a = arr(*shape, low=-9, high=9)
    a[..., 7, 1] = math.nan
    for dtype in (pynn.float64, pynn.float32, pynn.float16):
        x, w = tensor(a, dtype), tensor(arr(*shape, seed=1), dtype)
        pairs = []
        for turn in (False, True):
            t = (x.transpose(-1, -2).contiguous() if turn else x.clone()).requires_grad_()
            y = getattr(pynn, name)(t, -1 if turn else -2)
            (g,) = pynn.autograd.grad((y * (w.transpose(-1, -2) if turn else w)).sum(), t)
            pairs.append([to_numpy((v.transpose(-1, -2) if turn else v).double()) for v in (y, g)])
        tol = {pynn.float64: 1e-12, pynn.float32: 1e-4}.get(dtype, 2e-2)
        for columns, rows in zip(*pairs, strict=True):
            np.testing.assert_allclose(columns, rows, rtol=tol, atol=tol)
            assert np.isnan(columns[..., 1]).all() and not np.isnan(columns[..., 0]).any()


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("shape", [(2100, 130), (3, 700, 257), (40_001, 3), (70, 1100), (2, 500, 1025)])
def test_tiles_of_long_columns(name, shape, dtype):
    """Long columns are cut into tiles: values, gradients, infinities and NaN as along rows, bits for any threads."""
    a = arr(*shape, low=-9, high=9)
    n = shape[-2]
    a[..., : n - 3, 0] = -INF  # whole tiles without a finite number
    a[..., :, 1] = -INF
    a[..., n // 2, 2] = NAN
    a[..., n - 1, -1] = INF if shape[-1] > 3 else NAN
    x, w = tensor(a, dtype), tensor(arr(*shape, seed=1), dtype)
    results = []
    for turned in (False, True):
        t = (x.transpose(-1, -2).contiguous() if turned else x.clone()).requires_grad_()
        y = getattr(pynn, name)(t, -1 if turned else -2)
        (g,) = pynn.autograd.grad(y, t, w.transpose(-1, -2).contiguous() if turned else w)
        results.append([to_numpy((v.transpose(-1, -2) if turned else v).double()) for v in (y, g)])
    tol = 1e-11 if dtype == pynn.float64 else 2e-4
    for columns, rows in zip(*results, strict=True):
        np.testing.assert_allclose(columns, rows, rtol=tol, atol=tol)
    threads, first = pynn.get_num_threads(), getattr(pynn, name)(x, -2)
    try:
        for count in (1, 3):
            pynn.set_num_threads(count)
            assert same_bits(getattr(pynn, name)(x, -2), first)
    finally:
        pynn.set_num_threads(threads)
