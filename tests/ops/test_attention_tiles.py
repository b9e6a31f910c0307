"""scaled_dot_product_attention by tiles against the composed op: values, gradients, second derivatives."""

from pathlib import Path

import numpy as np
import pytest
from helpers import run_python, to_numpy

import pynn

F = pynn.nn.functional
INF = float("inf")


def composed(q, k, v, mask=None, causal=False, scale=None, drop=None):
    """Return the same in ops that keep the matrix of scores."""
    groups = q.shape[-3] // k.shape[-3]
    k, v = k.repeat_interleave(groups, -3), v.repeat_interleave(groups, -3)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if mask is not None and mask.dtype == pynn.bool:
        mask = pynn.where(mask, 0.0, -INF).to(q.dtype)
    weights = pynn._C._nn.masked_softmax(q @ k.transpose(-1, -2), mask, scale, causal)
    return (weights if drop is None else weights * drop) @ v


def operands(batch, heads, kv_heads, rows, columns, size, v_size, dtype=pynn.float64):
    pynn.manual_seed(rows * 1000 + columns)
    shapes = (
        (heads, rows, size),
        (kv_heads, columns, size),
        (kv_heads, columns, v_size),
        (heads, rows, v_size),
    )
    *qkv, g = (pynn.randn(batch, *s, dtype=pynn.float64).to(dtype) for s in shapes)
    return [x.requires_grad_() for x in qkv], g


def assert_same(got, want, tol):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=tol, atol=tol)


def check(leaves, g, tol=1e-11, mask=None, causal=False, scale=None):
    gqa = leaves[0].shape[-3] != leaves[1].shape[-3]
    out = F.scaled_dot_product_attention(*leaves, mask, 0.0, causal, scale=scale, enable_gqa=gqa)
    want = composed(*leaves, mask, causal, scale)
    assert_same([out], [want], tol)
    assert_same(
        pynn.autograd.grad(out, leaves, g),
        pynn.autograd.grad(want, leaves, g),
        tol * max(leaves[1].shape[-2], 8),
    )


# Blocks hold 128 keys, slivers up to 48 queries, tiles 6 or 8 rows.
SIZES = [
    (1, 1, 1, 1, 1),
    (2, 3, 5, 3, 2),
    (13, 14, 15, 16, 17),
    (1, 31, 33, 8, 8),
    (2, 33, 95, 5, 1),
    (3, 96, 97, 17, 33),
    (4, 112, 128, 32, 32),
    (1, 129, 223, 7, 40),
    (1, 225, 224, 64, 64),
    (1, 300, 511, 20, 24),
    (1, 450, 449, 4, 4),
    (2, 1, 300, 64, 64),
    (3, 1, 37, 7, 80),
    (1, 1, 230, 20, 150),
    (2, 2, 40, 9, 21),
    (1, 4, 3, 16, 40),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [pynn.float64, pynn.float32])
@pytest.mark.parametrize(("heads", "rows", "columns", "size", "v_size"), SIZES)
def test_sizes(heads, rows, columns, size, v_size, dtype, causal):
    leaves, g = operands(2, heads, heads, rows, columns, size, v_size, dtype)
    check(leaves, g, 1e-11 if dtype == pynn.float64 else 3e-5, causal=causal)


def test_masks_of_float32():
    for columns in (1, 15, 16, 35, 250):
        for rows in (4, 20):
            leaves, g = operands(2, 3, 3, rows, columns, 9, 10, pynn.float32)
            for shape in [(2, 3, rows, columns), (2, 1, 1, columns), (rows, 1)]:
                check(leaves, g, 3e-5, mask=pynn.rand(shape) < 0.6)
                check(leaves, g, 3e-5, mask=pynn.randn(shape), causal=True)


@pytest.mark.parametrize("causal", [False, True])
def test_masks(causal):
    rows, columns = 37, 120
    leaves, g = operands(2, 3, 3, rows, columns, 9, 10)
    for shape in [(2, 3, rows, columns), (3, 1, columns), (rows, 1), (2, 1, 1, columns), (1,), ()]:
        added = pynn.randn(shape, dtype=pynn.float64)
        check(leaves, g, mask=added, causal=causal)
        check(leaves, g, mask=pynn.rand(shape) < 0.6, causal=causal)
    check(leaves, g, mask=(pynn.rand(columns, rows) < 0.6).T, causal=causal)
    check(leaves, g, mask=pynn.randn(rows, 2 * columns, dtype=pynn.float64)[:, ::2], causal=causal)
    check(leaves, g, mask=pynn.zeros(rows, columns, dtype=pynn.bool), causal=causal)
    check(leaves, g, mask=pynn.full((rows, columns), -INF, dtype=pynn.float64), causal=causal)
    for scale in (0.0, -0.7, 3.0):
        check(leaves, g, scale=scale, causal=causal)


def test_shared_heads_dims_and_layouts():
    leaves, g = operands(2, 6, 2, 40, 50, 8, 12)
    check(leaves, g)
    check(leaves, g, causal=True)
    for cut in ((0,), (0, 0)):
        leaves, g = operands(2, 3, 3, 40, 50, 8, 12)
        leaves = [x.detach()[cut].requires_grad_() for x in leaves]
        if len(cut) == 1:
            check(leaves, g[cut], mask=pynn.rand(3, 1, 50) < 0.5)
        else:
            out = F.scaled_dot_product_attention(*leaves)
            want = composed(*(x[None] for x in leaves))[0]
            assert_same([out], [want], 1e-11)
    # the heads of a fused projection, no copy of which is made
    qkv = pynn.randn(2, 50, 3 * 24, dtype=pynn.float64, requires_grad=True)
    q, k, v = (x.view(2, 50, 3, 8).transpose(1, 2) for x in qkv.split(24, dim=2))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert out.transpose(1, 2).is_contiguous()
    want = composed(q, k, v, None, True)
    g = pynn.randn(2, 3, 50, 8, dtype=pynn.float64)
    assert_same([out], [want], 1e-11)
    assert_same(pynn.autograd.grad(out, qkv, g), pynn.autograd.grad(want, qkv, g), 1e-10)
    q, k, v = (x[:, :, ::2, 1::2] for x in (q, k, v))
    assert_same([F.scaled_dot_product_attention(q, k, v)], [composed(q, k, v)], 1e-11)
    wide = pynn.randn(1, 1, 50, 8, dtype=pynn.float64).expand(2, 3, 50, 8)
    assert_same([F.scaled_dot_product_attention(wide, wide, wide)], [composed(wide, wide, wide)], 1e-11)


def test_second_derivatives():
    leaves, g = operands(1, 4, 2, 17, 19, 5, 6)
    mask = pynn.rand(17, 19) < 0.7
    firsts = []
    for fn in (
        lambda *x: F.scaled_dot_product_attention(*x, mask, is_causal=True, enable_gqa=True),
        lambda *x: composed(*x, mask, True),
    ):
        first = pynn.autograd.grad(fn(*leaves), leaves, g, create_graph=True)
        second = pynn.autograd.grad(sum(x.sin().sum() for x in first), leaves)
        firsts.append([*first, *second])
    assert_same(*firsts, 1e-9)
    small, _ = operands(1, 2, 2, 3, 4, 2, 2)
    assert pynn.autograd.gradcheck(F.scaled_dot_product_attention, small)
    assert pynn.autograd.gradgradcheck(F.scaled_dot_product_attention, small)


def test_values_that_are_not_finite():
    leaves, _ = operands(1, 1, 1, 40, 40, 8, 8)
    for place in (0, 1, 2):
        for bad in (float("nan"), INF, -INF):
            x = [t.detach().clone() for t in leaves]
            x[place][0, 0, 20, 3] = bad
            got = to_numpy(F.scaled_dot_product_attention(*x))
            np.testing.assert_allclose(got, to_numpy(composed(*x)), rtol=1e-10, atol=1e-12)
            got = to_numpy(F.scaled_dot_product_attention(*x, is_causal=True))[0, 0]
            want = to_numpy(composed(*x, None, True))[0, 0]
            np.testing.assert_allclose(got[20:], want[20:], rtol=1e-10, atol=1e-12)  # rows that see it
    huge = pynn.tensor([[1e30, -1e30], [3e4, 2e4]])
    assert_same(
        [F.scaled_dot_product_attention(huge, huge, huge)],
        [composed(huge[None], huge[None], huge[None])[0]],
        1e-5,
    )
    # where a row sees nothing, its gradient is zero and nothing else changes
    leaves, g = operands(1, 1, 1, 5, 6, 3, 3)
    mask = pynn.ones(5, 6, dtype=pynn.bool)
    mask[2] = False
    out = F.scaled_dot_product_attention(*leaves, mask)
    grads = pynn.autograd.grad(out, leaves, g)
    assert not out[0, 0, 2].any() and not grads[0][0, 0, 2].any()
    assert all(x.isfinite().all() for x in grads)


def test_dropout_is_the_same_in_backward():
    n, p = 70, 0.3
    (q, k, _), g = operands(2, 2, 2, n, n, 8, 8)
    eye = pynn.eye(n, dtype=pynn.float64).expand(2, 2, n, n)
    weights = composed(q, k, eye)
    pynn.manual_seed(3)
    drop = (F.scaled_dot_product_attention(q, k, eye, dropout_p=p) / weights).detach()
    kept = (drop > 0.5).double()
    assert_same([drop], [kept / (1 - p)], 1e-9)
    assert abs(to_numpy(kept).mean() - (1 - p)) < 0.01
    for dim in (-1, -2):  # neighbours are independent
        a, b = to_numpy(kept), to_numpy(kept.roll(1, dim))
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03
    leaves = [q, k, pynn.randn(2, 2, n, 8, dtype=pynn.float64, requires_grad=True)]
    results = []
    for fused in (True, False):
        pynn.manual_seed(3)
        if fused:
            out = F.scaled_dot_product_attention(*leaves, dropout_p=p)
        else:
            out = composed(*leaves, drop=kept / (1 - p))
        first = pynn.autograd.grad(out, leaves, g, create_graph=True)
        plain = pynn.autograd.grad(out, leaves, g, retain_graph=True)
        assert_same(first, plain, 1e-10)
        results.append([out, *plain, *pynn.autograd.grad(sum(x.sin().sum() for x in first), leaves)])
    assert_same(*results, 1e-9)
    assert not F.scaled_dot_product_attention(*leaves, dropout_p=1.0).any()
    pynn.manual_seed(3)
    assert (F.scaled_dot_product_attention(*leaves, dropout_p=p) == results[0][0]).all()
    assert (F.scaled_dot_product_attention(*leaves, dropout_p=p) != results[0][0]).any()


def test_dropout_of_few_queries():
    leaves, g = operands(2, 4, 2, 2, 70, 8, 8)
    out = F.scaled_dot_product_attention(*leaves, dropout_p=0.3, enable_gqa=True)
    plain = pynn.autograd.grad(out, leaves, g, retain_graph=True)
    assert_same(pynn.autograd.grad(out, leaves, g, create_graph=True), plain, 1e-10)
    assert_same([(out * g).sum()], [(leaves[2] * plain[2]).sum()], 1e-10)  # linear in the values


def both_passes(leaves, g, **options):
    options["enable_gqa"] = leaves[0].shape[-3] != leaves[1].shape[-3]
    pynn.manual_seed(3)
    out = F.scaled_dot_product_attention(*leaves, **options)
    return [to_numpy(x).astype(np.float64) for x in (out, *pynn.autograd.grad(out, leaves, g))]


def assert_accurate(leaves, g, tol=3e-6, **options):
    """Compare with the same in float64, relative to each result's largest element."""
    wide = [x.detach().double().requires_grad_() for x in leaves]
    for got, want in zip(
        both_passes(leaves, g, **options), both_passes(wide, g.double(), **options), strict=True
    ):
        assert np.abs(got - want).max() <= tol * np.abs(want).max()


@pytest.mark.parametrize("causal", [False, True])
def test_accuracy_of_float32(causal):
    for sizes in [
        (4, 2, 180, 250, 60, 61),
        (2, 2, 128, 288, 64, 64),
        (1, 1, 145, 301, 160, 100),
        (1, 1, 420, 211, 96, 90),
    ]:
        leaves, g = operands(2, *sizes, pynn.float32)
        assert_accurate(leaves, g, is_causal=causal)
        assert_accurate(leaves, g, dropout_p=0.2, is_causal=causal)
        mask = pynn.rand(2, 1, sizes[2], sizes[3]) < 0.6
        mask[..., 0] = True
        assert_accurate(leaves, g, attn_mask=mask, is_causal=causal)
        assert_accurate(leaves, g, tol=2e-5, attn_mask=pynn.randn(sizes[2], 1), is_causal=causal, scale=-0.3)


def test_float32_of_any_size():
    leaves, g = operands(1, 2, 2, 140, 150, 60, 64, pynn.float32)
    for sizes in [
        (1e-20, 1e20, 1),
        (1e25, 1e-25, 1e-3),
        (1e-18, 1e-18, 1),
        (1, 1, 1e25),
        (1, 1, 1e-36),
        (1, 1, 1e-42),
    ]:
        scaled = [(x * c).detach().requires_grad_() for x, c in zip(leaves, sizes, strict=True)]
        scale = 0.2 / min(sizes[0] * sizes[1], 1)
        assert_accurate(scaled, g, 1e-2 if sizes[2] == 1e-42 else 1e-5, scale=scale)
    for place in range(3):
        for bad in (INF, -INF, float("nan")):
            x = [t.detach().clone() for t in leaves]
            x[place][0, 0, 20, 3] = bad
            x = [t.requires_grad_() for t in x]
            wide = [t.detach().double().requires_grad_() for t in x]
            got, want = both_passes(x, g), both_passes(wide, g.double())
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.bfloat16])
@pytest.mark.parametrize("heads", [1, 3, 20])
def test_threads_give_the_same_bits(heads, dtype):
    before = pynn.get_num_threads()
    leaves, g = operands(1, heads, heads, 400, 500, 64, 60, dtype)
    results = []
    try:
        for threads in (1, 2, 16):
            pynn.set_num_threads(threads)
            pynn.manual_seed(0)
            out = F.scaled_dot_product_attention(*leaves, dropout_p=0.1, is_causal=True)
            results.append(
                [to_numpy(x.float()).tobytes() for x in (out, *pynn.autograd.grad(out, leaves, g))]
            )
    finally:
        pynn.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def check_half(leaves, g, tol=2e-2, **options):
    """Compare values and gradients with those of the same numbers in float32."""
    options["enable_gqa"] = leaves[0].shape[-3] != leaves[1].shape[-3]
    wide = [x.detach().float().requires_grad_() for x in leaves]
    results = []
    for x, grad in ((leaves, g), (wide, g.float())):
        mask = options.get("attn_mask")
        if mask is not None and mask.dtype != pynn.bool:
            options["attn_mask"] = mask.to(x[0].dtype)
        pynn.manual_seed(3)
        out = F.scaled_dot_product_attention(*x, **options)
        assert out.dtype == x[0].dtype
        results.append([out, *pynn.autograd.grad(out, x, grad)])
    assert_same([results[0][0].float()], [results[1][0]], tol)
    for got, want in zip(results[0][1:], results[1][1:], strict=True):
        scale = max(float(want.abs().max()), 0.1)
        assert_same([got.float() / scale], [want / scale], tol)


def check_half_types(dtype):
    for heads, rows, columns, size, v_size in [*SIZES, (2, 1, 50, 33, 34), (1, 2, 130, 64, 16)]:
        leaves, g = operands(2, heads, heads, rows, columns, size, v_size, dtype)
        check_half(leaves, g)
        check_half(leaves, g, is_causal=True)
    for rows in (1, 4, 70):
        leaves, g = operands(2, 6, 2, rows, 151, 40, 48, dtype)
        check_half(leaves, g)
        check_half(leaves, g, scale=-0.3)
        check_half(leaves, g, dropout_p=0.4)
        for shape in [(rows, 151), (2, 1, 1, 151), (6, rows, 1)]:
            check_half(leaves, g, attn_mask=pynn.rand(shape) < 0.6)
            check_half(leaves, g, attn_mask=pynn.randn(shape), is_causal=True)
            check_half(leaves, g, attn_mask=pynn.randn(shape).to(dtype))
        q, k, v = (x.detach().clone() for x in leaves)
        q[0, 0, 0, 3] = float("nan")
        k[1, 0, 149, 0] = INF
        got, want = (
            to_numpy(F.scaled_dot_product_attention(*x, enable_gqa=True).float())
            for x in ((q, k, v), (q.float(), k.float(), v.float()))
        )
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        qkv = pynn.randn(2, rows, 3 * 80).to(dtype)  # heads of a fused projection
        q, k, v = (x.view(2, rows, 2, 40).transpose(1, 2) for x in qkv.split(80, dim=2))
        check_half([x.detach().requires_grad_() for x in (q, k, v)], pynn.randn(2, 2, rows, 40).to(dtype))


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16])
def test_half_types(dtype):
    check_half_types(dtype)


@pytest.mark.parametrize("wanted", ["0", "avx512"])
def test_bfloat16_without_amx(wanted):
    here = Path(__file__).parent
    code = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n"
    code += "import pynn, test_attention_tiles as t; t.check_half_types(pynn.bfloat16)"
    status, out = run_python(code, env={"PYNN_CPU_DOT": wanted})
    assert status == 0, out
