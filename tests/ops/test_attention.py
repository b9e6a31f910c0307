"""scaled_dot_product_attention and masked_softmax against NumPy."""

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor, to_numpy

import pynn

F = pynn.nn.functional
masked_softmax = pynn._C._nn.masked_softmax


def softmax(x, mask=0.0, scale=1.0, causal=False):
    x = x * scale + mask
    if causal:
        x = np.where(np.tril(np.ones(x.shape[-2:], bool)), x, -np.inf)
    top = np.nan_to_num(x.max(-1, keepdims=True, initial=-np.inf), neginf=0.0)
    e = np.exp(x - top)
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def attention(q, k, v, mask=0.0, causal=False, scale=None):
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    return softmax(q @ np.swapaxes(k, -1, -2), mask, scale, causal) @ v


@pytest.mark.parametrize("causal", [False, True])
def test_masked_softmax(causal):
    cases = [
        (*arrs((3, 4)), None, 0.5, causal),
        (*arrs((2, 3, 4), (3, 4)), 0.5, causal),
        (*arrs((2, 2, 3, 3), (2, 1, 1, 3)), 2.0, causal),
        (*arrs((2, 2, 3, 3), (2, 3, 1)), 2.0, causal),
        (*arrs((2, 2, 5, 3), ()), 2.0, causal),
    ]
    kinds = (pynn.float64, pynn.float32)
    check_op(
        masked_softmax, lambda x, m, *a: softmax(x, 0.0 if m is None else m, *a), cases, dtypes=kinds, tol=3
    )


def test_rows_without_anything():
    x = tensor(arr(2, 3, 4), requires_grad=True)
    mask = np.zeros((3, 4))
    mask[1] = -np.inf
    y = masked_softmax(x, tensor(mask))
    assert y[:, 1].tolist() == [[0.0] * 4] * 2
    y.square().sum().backward()
    assert to_numpy(x.grad)[:, 1].tolist() == [[0.0] * 4] * 2 and to_numpy(x.grad).any()
    for n in (1, 7, 16, 17, 65, 1000):
        x = arr(40, n, low=-80, high=80)
        np.testing.assert_allclose(
            to_numpy(masked_softmax(tensor(x, pynn.float32), None, 3.0, True)),
            softmax(to_numpy(tensor(x, pynn.float32)), 0.0, 3.0, True),
            rtol=2e-5,
            atol=1e-7,
        )


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal):
    def fn(q, k, v, mask=None):
        return F.scaled_dot_product_attention(q, k, v, mask, 0.0, causal)

    def ref(q, k, v, mask=0.0):
        return attention(q, k, v, mask, causal)

    cases = [
        arrs((2, 3, 4), (2, 5, 4), (2, 5, 6)),
        arrs((3, 4), (5, 4), (5, 6)),
        arrs((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), (3, 5)),
        arrs((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 2), (2, 1, 1, 5)),
    ]
    check_op(fn, ref, cases, tol=4, grad_tol=8)
    np.testing.assert_allclose(
        to_numpy(F.scaled_dot_product_attention(*map(tensor, cases[0]), scale=0.3)),
        attention(*cases[0], scale=0.3),
        rtol=1e-12,
    )


def test_bool_masks_and_shared_heads():
    q, k, v = arrs((2, 6, 3, 4), (2, 2, 5, 4), (2, 3, 5, 4))
    allowed = np.random.default_rng(0).random((6, 3, 5)) > 0.4
    allowed[:, :, 0] = True
    leaves = [tensor(a, requires_grad=True) for a in (q, k, v)]
    mask = pynn.from_numpy(allowed)
    out = F.scaled_dot_product_attention(*leaves, mask, enable_gqa=True)
    wide = [leaves[0], leaves[1].repeat_interleave(3, 1), leaves[2].repeat_interleave(2, 1)]
    plain = F.scaled_dot_product_attention(*wide, mask)
    want = attention(q, np.repeat(k, 3, 1), np.repeat(v, 2, 1), np.where(allowed, 0.0, -np.inf))
    np.testing.assert_allclose(to_numpy(out), want, rtol=1e-11, atol=1e-13)
    for a, b in zip(
        pynn.autograd.grad(out.sin().sum(), leaves),
        pynn.autograd.grad(plain.sin().sum(), leaves),
        strict=True,
    ):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-10, atol=1e-12)


def test_empty_and_errors():
    f = F.scaled_dot_product_attention
    q = pynn.zeros(2, 3, 4)
    assert f(q[:0], q[:0], q[:0]).shape == (0, 3, 4)
    assert f(q[:, :0], q, q).shape == (2, 0, 4)
    assert f(q, q[:, :0], q[:, :0]).tolist() == pynn.zeros(2, 3, 4).tolist()
    with raises(RuntimeError, "must have the same dtype, got float32, float64 and float32"):
        f(q, q.double(), q)
    with raises(RuntimeError, "at least 2 dims, got 1"):
        f(q[0, 0], q, q)
    with raises(RuntimeError, "attn_mask must be bool, float32 or of query's dtype, got int64"):
        f(q, q, q, pynn.zeros(3, 3).long())
    with raises(RuntimeError, "dropout probability"):
        f(q, q, q, None, 1.5)
    with raises(RuntimeError, "number of heads of key and value must divide"):
        f(pynn.zeros(1, 5, 3, 4), *[pynn.zeros(1, 2, 3, 4)] * 2, enable_gqa=True)
    with raises(RuntimeError):
        f(q, q, q, pynn.zeros(2, 2))
    with raises(RuntimeError):
        f(q, q[..., :3], q)
    with raises(RuntimeError):
        f(q.long(), q.long(), q.long())


def test_dropout():
    q, k, v = (tensor(a, pynn.float32) for a in arrs((200, 4), (50, 4), (50, 6)))
    pynn.manual_seed(0)
    out = sum(F.scaled_dot_product_attention(q, k, v, None, 0.5) for _ in range(50)) / 50
    want = F.scaled_dot_product_attention(q, k, v)
    assert not pynn.equal(out, want) and float((out - want).abs().mean()) < 0.05
    assert F.scaled_dot_product_attention(q, k, v, None, 1.0).abs().sum() == 0


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("need_weights", [False, True])
def test_multi_head_output_is_contiguous(heads, need_weights):
    x = tensor(arr(3, 2, 4))
    y, _ = F.multi_head_attention_forward(
        x, x, x, 4, heads, tensor(arr(12, 4)), None, None, None, False, 0.0, tensor(arr(4, 4)), None,
        need_weights=need_weights,
    )  # fmt: skip
    assert y.stride() == (8, 4, 1)
