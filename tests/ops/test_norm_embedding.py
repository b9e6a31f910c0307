"""layer_norm, embedding, dropout and the rest of nn.functional that has its own kernels."""

import numpy as np
import pytest
from helpers import FLOATS, arr, arrs, check_op, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional


def layer_norm(x, w=1.0, b=0.0, axes=(-1,), eps=1e-5):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True) + eps) * w + b


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4), (4,), (5, 1, 4)])
def test_layer_norm(shape):
    check_op(lambda x: F.layer_norm(x, (4,)), layer_norm, [arr(*shape)], tol=3, grad_tol=6)
    check_op(
        lambda x, w, b: F.layer_norm(x, (4,), w, b), layer_norm, [arrs(shape, (4,), (4,))], tol=3, grad_tol=6
    )
    check_op(lambda x, w: F.layer_norm(x, [4], w), layer_norm, [arrs(shape, (4,))], tol=3, grad_tol=6)


def test_layer_norm_over_several_dims():
    check_op(
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b, 1e-3),
        lambda x, w, b: layer_norm(x, w, b, (-2, -1), 1e-3),
        [arrs((2, 3, 4), (3, 4), (3, 4))],
        tol=3,
        grad_tol=6,
    )


def test_layer_norm_equals_its_parts():
    """The fused op and the composite agree: forward, backward and double backward."""
    w, b, weights = (tensor(a) for a in arrs((6,), (6,), (5, 6), seed=3))

    def parts(x):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w + b

    found = []
    for f in (lambda x: F.layer_norm(x, (6,), w, b), parts):
        x = tensor(arr(5, 6), requires_grad=True)
        y = f(x)
        (g,) = pynn.autograd.grad((y * weights).sum(), x, create_graph=True)
        (h,) = pynn.autograd.grad((g * weights).sum(), x)
        found.append([to_numpy(t) for t in (y, g, h)])
    for fused, composite in zip(*found, strict=True):
        np.testing.assert_allclose(fused, composite, rtol=1e-8, atol=1e-10)


def test_layer_norm_numerics():
    x = tensor(1e4 + arr(4, 100), pynn.float32)  # E[x^2] - E[x]^2 would have no digit left
    expected = layer_norm(to_numpy(x))
    np.testing.assert_allclose(to_numpy(F.layer_norm(x, (100,))), expected, rtol=3e-3, atol=3e-3)
    assert F.layer_norm(pynn.full((2, 3), 7.0), (3,)).tolist() == [[0.0] * 3] * 2
    for n in (1, 7, 16, 17, 65, 1000):
        x = tensor(arr(9, n), pynn.float32)
        np.testing.assert_allclose(
            to_numpy(F.layer_norm(x, (n,))), layer_norm(to_numpy(x)), rtol=1e-4, atol=1e-5
        )
    assert F.layer_norm(pynn.empty(0, 4), (4,)).shape == (0, 4)
    for dtype in FLOATS:
        assert F.layer_norm(pynn.ones(2, 4, dtype=dtype), (4,)).dtype == dtype


def test_layer_norm_errors():
    x = pynn.ones(2, 3)
    with raises(RuntimeError, "layer_norm", "4", "3"):
        F.layer_norm(x, (4,))
    with raises(RuntimeError, "layer_norm"):
        F.layer_norm(x, (3,), pynn.ones(2))
    with raises(RuntimeError, "layer_norm"):
        F.layer_norm(x, ())
    with pytest.raises(TypeError):
        F.layer_norm(x, 3.5)
    with raises((RuntimeError, NotImplementedError), "layer_norm"):
        F.layer_norm(pynn.tensor([[1, 2, 3]]), (3,))


def test_embedding():
    index = np.array([[0, 2, 2], [4, 1, 0]])
    check_op(
        lambda w, i: F.embedding(i, w), lambda w, i: w[i], [(arr(5, 3), index), (arr(5, 1), np.array(3))]
    )
    w = pynn.zeros(4, 2)
    assert F.embedding(pynn.tensor([], dtype=pynn.int64), w).shape == (0, 2)
    assert F.embedding(pynn.tensor([1], dtype=pynn.int32), w).shape == (1, 2)
    for bad in (pynn.tensor([4]), pynn.tensor([-1])):
        with raises((IndexError, RuntimeError), "embedding.*(4|-1)"):
            F.embedding(bad, w)
    with raises(RuntimeError, "embedding.*int"):
        F.embedding(pynn.tensor([1.0]), w)


def test_embedding_padding():
    w = tensor(arr(5, 3), requires_grad=True)
    F.embedding(pynn.tensor([0, 2, 2, 4]), w, padding_idx=2).sum().backward()
    assert w.grad[:, 0].tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    w.grad = None
    F.embedding(pynn.tensor([0, 2, 2, 4]), w, padding_idx=-1).sum().backward()
    assert w.grad[:, 0].tolist() == [1.0, 0.0, 2.0, 0.0, 0.0]
    with raises((AssertionError, RuntimeError, ValueError), "(?i)padding_idx"):
        F.embedding(pynn.tensor([0]), w, padding_idx=5)


def test_embedding_renormalises_with_max_norm():
    w = pynn.tensor([[3.0, 4.0], [0.3, 0.4]])
    y = F.embedding(pynn.tensor([0, 1]), w, max_norm=1.0)
    np.testing.assert_allclose(y.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-5)


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_dropout(p):
    x = pynn.ones(200, 500, requires_grad=True)
    y = F.dropout(x, p)
    kept = (y != 0).double().mean().item()
    assert abs(kept - (1 - p)) < 0.01
    if p < 1:
        np.testing.assert_allclose(y.max().item(), 1 / (1 - p), rtol=1e-6)
    y.sum().backward()
    assert same_bits(x.grad, y.detach())  # the same mask and scale
    assert F.dropout(x, p, training=False) is x or same_bits(F.dropout(x, p, training=False), x.detach())
    pynn.manual_seed(3)
    first = F.dropout(x, p)
    pynn.manual_seed(3)
    assert same_bits(F.dropout(x, p), first)


def test_dropout_errors_and_edges():
    for bad in (-0.1, 1.1):
        with raises(ValueError, "dropout"):
            F.dropout(pynn.ones(2), bad)
    assert F.dropout(pynn.empty(0), 0.5).shape == (0,)
    half = F.dropout(pynn.ones(1000, dtype=pynn.float16), 0.5)
    assert half.dtype == pynn.float16 and half.max() == 2
    rows = F.dropout(pynn.ones(64, 64), 0.5)
    assert len({tuple(r) for r in (rows != 0).tolist()}) == 64  # rows differ
    x = pynn.ones(50)
    assert F.dropout(x, 0.5, inplace=True) is x and set(x.tolist()) <= {0.0, 2.0}


def test_bilinear():
    def ref(a, b, w, c):
        return np.einsum("bi,oij,bj->bo", a, w, b) + c

    check_op(F.bilinear, ref, [arrs((3, 2), (3, 4), (5, 2, 4), (5,))], tol=4, grad_tol=4)


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag_sums_half_types_in_float32(dtype, mode):
    weight = tensor(arr(1000, 3, low=0.5, high=1.5), dtype).requires_grad_()
    factors = tensor(arr(1, 1000, low=0.5, high=1.5), dtype) if mode == "sum" else None
    index = pynn.arange(1000).unsqueeze(0)
    y = F.embedding_bag(index, weight, mode=mode, per_sample_weights=factors)
    rows = to_numpy(weight.detach().double()) * (1 if factors is None else to_numpy(factors.double()).T)
    exact = rows.sum(0) if mode == "sum" else rows.mean(0)
    step = 2.0 ** (-7 if dtype == pynn.bfloat16 else -10)
    assert y.dtype == dtype
    np.testing.assert_allclose(to_numpy(y.double())[0], exact, rtol=step / 2 + 1e-5)  # rounded once
    y.sum().backward()
    assert weight.grad.dtype == dtype
