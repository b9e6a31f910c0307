"""nn.attention.flex_attention beside PyTorch, which has no gradient of it on a CPU: that is checked by differences."""

import numpy as np
import pytest

import pynn
from pynn.nn.attention import flex_attention as ours

torch = pytest.importorskip("torch")

from torch.nn.attention import flex_attention as theirs  # noqa: E402

PAIRS = [(pynn, ours), (torch, theirs)]


def causal(b, h, q, k):
    return q >= k


def near(b, h, q, k):
    return (q - k).abs() <= 2


def blind_rows(b, h, q, k):
    return (q % 3 != 0) & (q >= k)


def relative(score, b, h, q, k):
    return score + (q - k) * (h + 1) * 0.1


@pytest.mark.parametrize("mask", [None, causal, near, blind_rows])
@pytest.mark.parametrize("mod", [None, relative, "table"])
@pytest.mark.parametrize("kwargs", [{}, {"scale": 0.3}])
def test_values(mask, mod, kwargs):
    r = np.random.default_rng(0)
    arrays = [r.standard_normal((2, 3, n, 4)) for n in (7, 9, 9)]
    table = r.standard_normal((3, 20))
    results = []
    for lib, flex in PAIRS:
        xs = [lib.tensor(a) for a in arrays]
        t = lib.tensor(table)
        score_mod = (lambda s, b, h, q, k, t=t: s + t[h, q - k + 9]) if mod == "table" else mod
        block = (
            None
            if mask is None
            else flex.create_block_mask(mask, None, None, 7, 9, device="cpu", BLOCK_SIZE=4)
        )
        results.append([flex.flex_attention(*xs, score_mod=score_mod, block_mask=block, **kwargs)])
        if block is not None:
            results[-1] += [flex.create_mask(mask, 1, 1, 7, 9, device="cpu"), block.to_dense()]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


def test_fewer_heads_sums_and_combined_masks():
    r = np.random.default_rng(0)
    arrays = [r.standard_normal((1, h, 5, 4)) for h in (4, 2, 2)]
    results = []
    for lib, flex in PAIRS:
        xs = [lib.tensor(a) for a in arrays]
        both = flex.and_masks(causal, flex.or_masks(near, causal))
        block = flex.create_block_mask(both, 1, 1, 5, 5, device="cpu", BLOCK_SIZE=16)
        out, lse = flex.flex_attention(*xs, block_mask=block, enable_gqa=True, return_lse=True)
        _, aux = flex.flex_attention(
            *xs, block_mask=block, enable_gqa=True, return_aux=flex.AuxRequest(lse=True)
        )
        results.append([out, lse, aux.lse, flex.create_mask(flex.noop_mask, 1, 1, 2, 2, device="cpu")])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9)


def test_largest_scores():  # which PyTorch has on GPUs alone
    r = np.random.default_rng(0)
    q, k = r.standard_normal((1, 2, 5, 4)), r.standard_normal((1, 2, 5, 4))
    _, aux = ours.flex_attention(
        *map(pynn.tensor, (q, k, k)),
        block_mask=ours.create_block_mask(causal, 1, 1, 5, 5),
        return_aux=ours.AuxRequest(max_scores=True),
    )
    scores = np.where(np.tri(5, dtype=bool), q @ k.swapaxes(-1, -2) / 2, -np.inf)
    np.testing.assert_allclose(aux.max_scores.numpy(), scores.max(-1), rtol=1e-9)


@pytest.mark.parametrize("mask", [None, blind_rows])
def test_gradients(mask):
    r = np.random.default_rng(0)
    xs = [pynn.tensor(r.standard_normal((1, 2, n, 2)), requires_grad=True) for n in (4, 5, 5)]
    slope = pynn.tensor([0.1, -0.2], dtype=pynn.float64, requires_grad=True)
    block = None if mask is None else ours.create_block_mask(mask, 1, 1, 4, 5)

    def f(q, k, v, slope):
        return ours.flex_attention(q, k, v, lambda s, b, h, i, j: s + slope[h] * (i - j), block)

    assert pynn.autograd.gradcheck(f, (*xs, slope))


def test_errors():
    x = pynn.ones(1, 2, 3, 4)
    for call in (
        lambda: ours.flex_attention(x[0], x, x),
        lambda: ours.flex_attention(x, x[:, :1], x[:, :1]),
        lambda: ours.flex_attention(x, x, x, block_mask=ours.create_block_mask(causal, 1, 1, 2, 2)),
    ):
        with pytest.raises(ValueError, match="flex_attention"):
            call()
    with pytest.raises(TypeError):
        ours.create_block_mask(3, 1, 1, 2, 2)
    with pytest.raises(RuntimeError):
        ours.and_masks(causal, 3)
