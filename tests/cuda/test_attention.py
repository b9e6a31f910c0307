"""Attention by tiles on a CUDA device, beside the composed attention of the CPU in float32."""

import pytest

import pynn as torch
import pynn.nn.functional as F

pytestmark = pytest.mark.cuda

TOLERANCE = {torch.float16: 3e-3, torch.bfloat16: 2e-2}


def floats(*shape, seed=1):
    torch.manual_seed(seed)
    return torch.randn(shape)


def close(result, expected, dtype, factor=1.0):
    assert result.device.type == "cuda" and result.dtype == dtype and result.shape == expected.shape
    tol = factor * TOLERANCE[dtype]
    torch.testing.assert_close(result.cpu().float(), expected, rtol=tol, atol=tol)


def attend(leaves, device, dtype, **kwargs):
    """Output and gradients; leaves [batch, rows, heads, size], as projections give them."""
    leaves = [t.to(device, dtype).requires_grad_() for t in leaves]
    q, k, v = (t.transpose(1, 2) for t in leaves)
    y = F.scaled_dot_product_attention(q, k, v, **kwargs)
    y.backward(floats(*y.shape, seed=9).to(device, dtype))
    return y, [t.grad for t in leaves]


# batch, heads, key heads, rows, columns, size
SHAPES = [
    (1, 1, 1, 16, 16, 64),
    (2, 3, 3, 65, 65, 64),
    (1, 2, 2, 130, 70, 32),
    (1, 1, 1, 5, 200, 40),
    (2, 4, 2, 33, 96, 64),
    (1, 2, 1, 64, 64, 128),
    (1, 1, 1, 70, 100, 96),
    (1, 1, 1, 1, 1, 8),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_fused_attention(shape, dtype, causal):
    b, heads, kv_heads, rows, columns, size = shape
    leaves = [floats(b, rows, heads, size, seed=1)]
    leaves += [floats(b, columns, kv_heads, size, seed=s) for s in (2, 3)]
    leaves = [t.to(dtype).float() for t in leaves]
    kwargs = {"is_causal": causal, "enable_gqa": heads != kv_heads}
    y, grads = attend(leaves, "cuda", dtype, **kwargs)
    expected, expected_grads = attend(leaves, "cpu", torch.float32, **kwargs)
    close(y, expected, dtype)
    for g, e in zip(grads, expected_grads):
        close(g, e, dtype, 4)
    assert y.transpose(1, 2).is_contiguous()  # joining the heads moves nothing


def test_operands_anywhere():
    q, k, v = floats(3, 2, 20, 24).to("cuda", torch.bfloat16).chunk(3)
    expected = F.scaled_dot_product_attention(*(t.cpu().float() for t in (q, k, v)), scale=0.5)
    for f in (
        lambda t: t,
        lambda t: t.mT.contiguous().mT,
        lambda t: torch.cat([t, t], 3)[..., 1::2].flip(3).flip(3),
    ):
        y = F.scaled_dot_product_attention(f(q), f(k), v, scale=0.5)
        if f(q).equal(q):
            close(y, expected, torch.bfloat16)
    packed = floats(2, 20, 3 * 2 * 24).to("cuda", torch.bfloat16)
    parts = [t.reshape(2, 20, 2, 24).transpose(1, 2) for t in packed.chunk(3, -1)]
    y = F.scaled_dot_product_attention(*parts)
    close(y, F.scaled_dot_product_attention(*(t.cpu().float() for t in parts)), torch.bfloat16)


def test_large_scores_and_second_derivatives():
    q, k, v = (floats(1, 1, 8, 16, seed=s).to("cuda", torch.bfloat16).requires_grad_() for s in (1, 2, 3))
    y = F.scaled_dot_product_attention(q * 100, k, v)
    assert y.isfinite().all().item()
    (g,) = torch.autograd.grad(
        F.scaled_dot_product_attention(q, k, v, is_causal=True).sum(), q, create_graph=True
    )
    g.float().square().sum().backward()
    assert k.grad.isfinite().all().item()
    q2, k2, v2 = (t.detach().cpu().float().requires_grad_() for t in (q, k, v))
    (g2,) = torch.autograd.grad(
        F.scaled_dot_product_attention(q2, k2, v2, is_causal=True).sum(), q2, create_graph=True
    )
    g2.square().sum().backward()
    close(g, g2.detach(), torch.bfloat16)
    close(k.grad, k2.grad, torch.bfloat16, 4)
