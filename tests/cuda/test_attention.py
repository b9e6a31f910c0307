"""Attention by tiles on a CUDA device, beside the composed attention of the CPU in float32."""

import pytest

import pynn as torch
import pynn.nn.functional as F
from pynn.backends import _switch

pytestmark = pytest.mark.cuda

TOLERANCE = {torch.float16: 3e-3, torch.bfloat16: 2e-2}


@pytest.fixture(params=["sm90", "mma"], autouse=True)
def kernels(request):
    """Hopper's kernels, and those of every device."""
    before = _switch.read("sm90")
    if request.param == "sm90" and not (before and torch.cuda.get_device_capability() == (9, 0)):
        pytest.skip("needs a build for, and a device of, compute capability 9.0")
    _switch.write("sm90", request.param == "sm90")
    yield request.param
    _switch.write("sm90", before)


def emulated():
    return "Emulated" in torch.cuda.get_device_name()


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


def exactly(leaves, g, scale, causal):
    """Output and gradients in float64, heads repeated by hand."""
    leaves = [t.cpu().double().requires_grad_() for t in leaves]
    q, k, v = (t.transpose(1, 2) for t in leaves)
    k, v = (t.repeat_interleave(q.size(1) // t.size(1), 1) for t in (k, v))
    s = q @ k.mT * scale
    if causal:
        s = s.masked_fill(torch.ones(s.shape[-2:], dtype=torch.bool).triu(1), -float("inf"))
    y = s.softmax(-1) @ v
    y.backward(g.cpu().double())
    return y.detach(), [t.grad for t in leaves]


# Several tiles of each kernel, their ends inside, at and behind the ends of rows and columns.
LARGE = [(1, 2, 1, 383, 257, 64), (1, 1, 1, 192, 449, 128), (1, 2, 2, 321, 320, 56), (1, 1, 1, 257, 129, 104)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", LARGE)
def test_many_tiles(shape, dtype, causal):
    if emulated():
        pytest.skip("takes minutes there")
    b, heads, kv_heads, rows, columns, size = shape
    leaves = [floats(b, rows, heads, size, seed=1)]
    leaves += [floats(b, columns, kv_heads, size, seed=s) for s in (2, 3)]
    leaves = [t.to("cuda", dtype).requires_grad_() for t in leaves]
    y = F.scaled_dot_product_attention(
        *(t.transpose(1, 2) for t in leaves), is_causal=causal, scale=0.3, enable_gqa=heads != kv_heads
    )
    g = floats(*y.shape, seed=9).to("cuda", dtype)
    y.backward(g)
    expected, expected_grads = exactly([t.detach() for t in leaves], g, 0.3, causal)
    close(y, expected.float(), dtype)
    for t, e in zip(leaves, expected_grads):
        close(t.grad, e.float(), dtype, 4)


@pytest.mark.parametrize("size", [64, 128])
def test_scores_that_grow(size):
    """The maximum of a row rises from tile to tile, by little and by much, from either end."""
    rows, columns = (8, 130) if emulated() else (130, 330)
    for steps in (0.01, 0.5, 20.0):
        for flip in (False, True):
            ramp = torch.arange(columns, dtype=torch.float32)[:, None] * steps
            k = torch.cat([ramp.flip(0) if flip else ramp, floats(columns, size - 1, seed=2)], 1)
            leaves = [torch.ones(1, rows, 1, size), k[None, :, None], floats(1, columns, 1, size, seed=3)]
            leaves = [t.to(torch.bfloat16) for t in leaves]
            q, k, v = (t.to("cuda").transpose(1, 2) for t in leaves)
            for causal in (False, True):
                y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=0.2)
                expected, _ = exactly(leaves, torch.zeros(y.shape), 0.2, causal)
                close(y, expected.float(), torch.bfloat16)


def test_nan_and_infinity_stay_in_their_rows():
    q, k, v = (floats(1, 1, 200, 64, seed=s).to("cuda", torch.bfloat16) for s in (1, 2, 3))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    q[0, 0, 70] = float("nan")
    k[0, 0, 150] = float("inf")
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    keep = [i for i in range(150) if i != 70]
    assert y[0, 0, keep].equal(expected[0, 0, keep])
    assert y[0, 0, 70].isnan().all().item() and y[0, 0, 150:].isnan().any(-1).all().item()


def test_heads_that_share_memory():
    q = floats(2, 4, 70, 64, seed=1).to("cuda", torch.bfloat16)
    k, v = (floats(2, 1, 90, 64, seed=s).to("cuda", torch.bfloat16).expand(2, 4, 90, 64) for s in (2, 3))
    y = F.scaled_dot_product_attention(q, k, v)
    close(y, F.scaled_dot_product_attention(*(t.cpu().float() for t in (q, k, v))), torch.bfloat16)


@pytest.mark.parametrize("scale", [0.0, -0.5])
def test_scale_that_is_not_positive(scale):
    leaves = [floats(1, 40, 1, 16, seed=s).to(torch.bfloat16) for s in (1, 2, 3)]
    q, k, v = (t.to("cuda").transpose(1, 2) for t in leaves)
    for causal in (False, True):
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
        expected, _ = exactly(leaves, torch.zeros(y.shape), scale, causal)
        close(y, expected.float(), torch.bfloat16)


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
