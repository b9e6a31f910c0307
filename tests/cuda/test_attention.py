"""Attention by tiles on a CUDA device, beside the composed attention of the CPU in float64."""

import math

import pytest
from helpers import EXACT_MEMORY

import pynn as torch
import pynn.nn.functional as F
from pynn.backends import _switch

pytestmark = pytest.mark.cuda

KINDS = {"bfloat16": 2e-2, "float16": 3e-3, "float32": 1e-5, "tf32": 3e-3}  # and their tolerances


@pytest.fixture(params=KINDS)
def kind(request):
    if request.param == "float16" and emulated():
        pytest.skip("bfloat16 takes the same way there, and these tests a minute")
    torch.backends.cuda.matmul.allow_tf32 = request.param == "tf32"
    yield request.param
    torch.backends.cuda.matmul.allow_tf32 = False


def dtype_of(kind):
    return torch.float32 if kind == "tf32" else getattr(torch, kind)


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
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(result, expected, kind, factor=1.0):
    assert result.device.type == "cuda" and result.shape == expected.shape
    tol = factor * KINDS[kind]
    torch.testing.assert_close(result.cpu().double(), expected, rtol=tol, atol=tol, equal_nan=True)


def composed(q, k, v, mask=None, is_causal=False, factors=None, scale=None):
    """In float64; factors: what dropout multiplies by."""
    shares = q.size(1) // k.size(1)
    if mask is not None and mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -math.inf)
    scores = q @ k.repeat_interleave(shares, 1).mT
    scale = 1 / math.sqrt(q.size(3)) if scale is None else scale
    p = torch._C._nn.masked_softmax(scores, None if mask is None else mask.double(), scale, is_causal)
    return (p if factors is None else p * factors) @ v.repeat_interleave(shares, 1)


def operands(shape, dtype=torch.float32):
    """[batch, rows, heads, size], as projections give them."""
    b, heads, kv_heads, rows, columns, size = shape
    leaves = [floats(b, rows, heads, size, seed=1)]
    leaves += [floats(b, columns, kv_heads, size, seed=s) for s in (2, 3)]
    return [t.to(dtype) for t in leaves]


def run(f, leaves):
    """Output and gradients."""
    leaves = [t.detach().requires_grad_() for t in leaves]
    y = f(*(t.transpose(1, 2) for t in leaves))
    y.backward(floats(*y.shape, seed=9).to(y.device, y.dtype))
    return y, [t.grad for t in leaves]


def check(kind, shape, mask=None, **kwargs):
    leaves = operands(shape, dtype_of(kind))
    on_device = {"enable_gqa": shape[1] != shape[2], "attn_mask": None if mask is None else mask.cuda()}

    def tiled(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, **on_device, **kwargs)

    y, grads = run(tiled, [t.cuda() for t in leaves])
    expected, expected_grads = run(
        lambda q, k, v: composed(q, k, v, mask, **kwargs), [t.double() for t in leaves]
    )
    assert y.dtype == leaves[0].dtype
    close(y, expected, kind)
    for g, e in zip(grads, expected_grads):
        close(g, e, kind, 4)
    return y


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
@pytest.mark.parametrize("shape", SHAPES)
def test_tiles(shape, kind, causal):
    y = check(kind, shape, is_causal=causal)
    assert y.transpose(1, 2).is_contiguous()  # joining the heads moves nothing


def masks(b, heads, rows, columns):
    allowed = torch.rand(b, 1, rows, columns, generator=torch.Generator().manual_seed(4)) > 0.4
    allowed[:, :, rows // 2] = False  # a row of which nothing is seen
    lowest = torch.zeros(rows, columns)
    lowest[rows // 3] = torch.finfo(torch.float32).min  # the same of each: as if there were no mask
    lowest[rows // 3 + 1, 2:] = torch.finfo(torch.float32).min
    return {
        "bool": allowed,
        "column": floats(b, heads, 1, columns, seed=5),
        "row": allowed[:1, :, :, 3:4],
        "number": floats(1, seed=5).reshape(()),
        "transposed": floats(heads, columns, rows, seed=6).mT,
        "strided": floats(rows, 2 * columns, seed=7)[:, 1::2],
        "lowest": lowest,
        "infinite": lowest.masked_fill(lowest < 0, -math.inf),
    }


@pytest.mark.parametrize("name", masks(1, 1, 3, 3))
@pytest.mark.parametrize("shape", [(2, 2, 2, 70, 45, 40), (1, 2, 1, 35, 144, 128)])
def test_masks(shape, kind, name):
    b, heads, _, rows, columns, _ = shape
    mask = masks(b, heads, rows, columns)[name]
    check(kind, shape, mask)
    if name == "transposed":
        check(kind, shape, mask, is_causal=True)
        check(kind, shape, mask.to(dtype_of(kind)), scale=-0.1)
    if name in ("bool", "infinite"):
        q, k, v = (t.cuda().transpose(1, 2) for t in operands(shape, dtype_of(kind)))
        y = F.scaled_dot_product_attention(q, k, v, mask.cuda(), enable_gqa=shape[1] != shape[2])
        assert y[:, :, rows // (2 if name == "bool" else 3)].abs().max().item() == 0


def test_mask_with_gradient():
    q, k, v = (floats(1, 2, 9, 16, seed=s) for s in (1, 2, 3))
    mask = floats(2, 1, 9, seed=4)
    grads = []
    for device in ("cuda", "cpu"):
        m = mask.to(device).requires_grad_()
        F.scaled_dot_product_attention(*(t.to(device) for t in (q, k, v)), m).square().sum().backward()
        grads.append(m.grad.cpu())
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-5)


def dropout_factors(b, heads, rows, columns, p):
    """What the next call of such a shape multiplies by: that of equal scores and values of one row each."""
    q = torch.zeros(b, heads, rows, 8, device="cuda")
    k, v = torch.zeros(b, heads, columns, 8, device="cuda"), torch.eye(columns, device="cuda")
    y = F.scaled_dot_product_attention(q, k, v.expand(b, heads, columns, columns), None, p)
    torch.testing.assert_close(y.max().item(), 1 / columns / (1 - p), rtol=1e-5, atol=0)
    return (y > 0).cpu().double() / (1 - p)


@pytest.mark.parametrize("shape", [(2, 2, 1, 70, 45, 40), (1, 1, 1, 37, 100, 128)])
def test_dropout(shape, kind):
    b, heads, kv_heads, rows, columns, _ = shape
    p, mask = 0.3, masks(b, heads, rows, columns)["column"]
    torch.manual_seed(3)
    factors = dropout_factors(b, heads, rows, columns, p)
    assert abs((factors == 0).double().mean().item() - p) < 0.03
    leaves = operands(shape, dtype_of(kind))

    on_device = mask.cuda()

    def tiled(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, on_device, p, True, enable_gqa=heads != kv_heads)

    torch.manual_seed(3)
    y, grads = run(tiled, [t.cuda() for t in leaves])
    expected, expected_grads = run(
        lambda q, k, v: composed(q, k, v, mask, True, factors), [t.double() for t in leaves]
    )
    close(y, expected, kind)
    for g, e in zip(grads, expected_grads):
        close(g, e, kind, 4)
    state = torch.cuda.get_rng_state()
    again = [tiled(*(t.cuda().transpose(1, 2) for t in leaves)) for _ in range(2)]
    assert not again[0].equal(again[1]) and not again[0].equal(y)
    torch.cuda.set_rng_state(state)
    assert tiled(*(t.cuda().transpose(1, 2) for t in leaves)).equal(again[0])
    q, k, v = (t.cuda().transpose(1, 2) for t in leaves)
    none = F.scaled_dot_product_attention(q, k, v, None, 1.0, enable_gqa=heads != kv_heads)
    assert none.abs().max().item() == 0


@pytest.mark.skipif(EXACT_MEMORY, reason="of the caching allocator")
def test_dropout_in_graphs():
    q = torch.zeros(1, 2, 20, 16, device="cuda")
    v = torch.eye(16, device="cuda").expand(1, 2, 16, 16).clone().requires_grad_()
    g = floats(1, 2, 20, 16, seed=2).cuda()

    def step():
        y = F.scaled_dot_product_attention(q, torch.zeros_like(v), v, None, 0.5)
        return y.detach(), torch.autograd.grad(y, v, g)[0]

    step()
    graph = torch.cuda.CUDAGraph()
    torch.manual_seed(5)
    with torch.cuda.graph(graph):
        y, grad = step()
    seen = []
    for _ in range(2):
        graph.replay()
        torch.testing.assert_close(grad, y.mT @ g, rtol=1e-5, atol=1e-6)  # y is p, as v is one row each
        seen.append(y.clone())
    assert not seen[0].equal(seen[1])
    torch.manual_seed(5)
    assert step()[0].equal(seen[0])


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
@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("shape", LARGE)
def test_many_tiles(shape, kind, causal):
    if emulated():
        pytest.skip("takes minutes there")
    b, heads, kv_heads, rows, columns, size = shape
    leaves = [floats(b, rows, heads, size, seed=1)]
    leaves += [floats(b, columns, kv_heads, size, seed=s) for s in (2, 3)]
    leaves = [t.to("cuda", dtype_of(kind)).requires_grad_() for t in leaves]
    y = F.scaled_dot_product_attention(
        *(t.transpose(1, 2) for t in leaves), is_causal=causal, scale=0.3, enable_gqa=heads != kv_heads
    )
    g = floats(*y.shape, seed=9).to("cuda", dtype_of(kind))
    y.backward(g)
    expected, expected_grads = exactly([t.detach() for t in leaves], g, 0.3, causal)
    close(y, expected, kind)
    for t, e in zip(leaves, expected_grads):
        close(t.grad, e, kind, 4)


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
                close(y, expected, "bfloat16")


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
    close(y, F.scaled_dot_product_attention(*(t.cpu().double() for t in (q, k, v))), "bfloat16")


@pytest.mark.parametrize("scale", [0.0, -0.5])
def test_scale_that_is_not_positive(scale):
    leaves = [floats(1, 40, 1, 16, seed=s).to(torch.bfloat16) for s in (1, 2, 3)]
    q, k, v = (t.to("cuda").transpose(1, 2) for t in leaves)
    for causal in (False, True):
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
        expected, _ = exactly(leaves, torch.zeros(y.shape), scale, causal)
        close(y, expected, "bfloat16")


def test_operands_anywhere():
    q, k, v = floats(3, 2, 20, 24).to("cuda", torch.bfloat16).chunk(3)
    expected = composed(*(t.cpu().double() for t in (q, k, v)), scale=0.5)
    for f in (
        lambda t: t,
        lambda t: t.mT.contiguous().mT,
        lambda t: torch.cat([t, t], 3)[..., 1::2].flip(3).flip(3),
    ):
        y = F.scaled_dot_product_attention(f(q), f(k), v, scale=0.5)
        if f(q).equal(q):
            close(y, expected, "bfloat16")
    packed = floats(2, 20, 3 * 2 * 24).to("cuda", torch.bfloat16)
    parts = [t.reshape(2, 20, 2, 24).transpose(1, 2) for t in packed.chunk(3, -1)]
    y = F.scaled_dot_product_attention(*parts)
    close(y, composed(*(t.cpu().double() for t in parts)), "bfloat16")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_other_shapes(dtype):
    """Other numbers of dims, batches that broadcast, rows of odd lengths: the same as on the CPU."""
    for q, k, v in [
        ((7, 5), (9, 5), (9, 3)),
        ((3, 7, 5), (3, 9, 5), (3, 9, 13)),
        ((3, 7, 16), (1, 9, 16), (1, 9, 16)),
        ((2, 4, 7, 8), (1, 4, 9, 8), (2, 4, 9, 8)),
        ((1, 4, 7, 8), (2, 1, 9, 8), (2, 1, 9, 10)),
        ((2, 2, 2, 7, 8), (2, 2, 2, 9, 8), (2, 2, 2, 9, 8)),
        ((1, 2, 7, 136), (1, 2, 9, 136), (1, 2, 9, 136)),
    ]:
        leaves = [floats(*s, seed=i).to(dtype) for i, s in enumerate((q, k, v))]
        results = []
        for device in ("cuda", "cpu"):
            there = [
                t.to(device, torch.float64 if device == "cpu" else dtype).requires_grad_() for t in leaves
            ]
            y = F.scaled_dot_product_attention(*there)
            y.backward(floats(*y.shape, seed=9).to(y))
            results.append([y, *(t.grad for t in there)])
        for a, e in zip(*results):
            close(a, e, str(dtype).removeprefix("torch.").removeprefix("pynn."), 4)
    q = floats(2, 2, 7, 8).cuda()
    with pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(q, q, q, torch.zeros(3, 7, 7).cuda())


def test_not_numbers():
    q, k, v = operands((1, 1, 1, 20, 40, 16))
    q[0, 3, 0, 5] = math.nan
    v[0, 39, 0, 2] = math.nan
    mask = floats(20, 40, seed=5)
    mask[7, 9] = math.nan
    for m in (None, mask):
        expected = composed(*(t.double().transpose(1, 2) for t in (q, k, v)), m)
        for kind in ("float32", "bfloat16"):
            leaves = [t.to("cuda", dtype_of(kind)).transpose(1, 2) for t in (q, k, v)]
            y = F.scaled_dot_product_attention(*leaves, None if m is None else m.cuda())
            assert y.cpu().isnan().equal(expected.isnan())


def test_large_scores_and_second_derivatives():
    q, k, v = (floats(1, 1, 8, 16, seed=s).to("cuda", torch.bfloat16).requires_grad_() for s in (1, 2, 3))
    y = F.scaled_dot_product_attention(q * 100, k, v)
    assert y.isfinite().all().item()
    (g,) = torch.autograd.grad(
        F.scaled_dot_product_attention(q, k, v, is_causal=True).sum(), q, create_graph=True
    )
    g.float().square().sum().backward()
    q2, k2, v2 = (t.detach().cpu().double().requires_grad_() for t in (q, k, v))
    (g2,) = torch.autograd.grad(composed(q2, k2, v2, is_causal=True).sum(), q2, create_graph=True)
    g2.square().sum().backward()
    close(g, g2.detach(), "bfloat16")
    close(k.grad, k2.grad, "bfloat16", 4)


def test_second_derivatives_with_mask_and_dropout():
    shape, p = (1, 4, 2, 21, 18, 16), 0.25
    mask = masks(1, 4, 21, 18)["bool"]
    torch.manual_seed(3)
    factors = dropout_factors(1, 4, 21, 18, p)
    leaves = [t.transpose(1, 2) for t in operands(shape)]
    on_device = [t.cuda().requires_grad_() for t in leaves]
    torch.manual_seed(3)
    y = F.scaled_dot_product_attention(*on_device, mask.cuda(), p, enable_gqa=True)
    wide = [t.double().requires_grad_() for t in leaves]
    expected = composed(*wide, mask, False, factors)
    results = []
    for out, these in ((y, on_device), (expected, wide)):
        first = torch.autograd.grad(out.sin().sum(), these, create_graph=True)
        results.append([*first, *torch.autograd.grad(sum(g.square().sum() for g in first), these)])
    for a, e in zip(*results):
        close(a.detach(), e.detach(), "float32", 20)


def test_memory():
    """Linear in the rows, forward and backward: the scores alone would be 256 KiB."""
    leaves = [t.cuda().transpose(1, 2).requires_grad_() for t in operands((1, 1, 1, 256, 256, 8))]
    mask = floats(1, 256).cuda()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    F.scaled_dot_product_attention(*leaves, mask, 0.1).sum().backward()
    assert torch.cuda.max_memory_allocated() - before < 120_000
