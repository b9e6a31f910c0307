"""Attention whose scores a function changes or masks. Names as in torch.nn.attention.flex_attention.

`score_mod(score, b, h, q_idx, kv_idx)` and `mask_mod(b, h, q_idx, kv_idx)` are called once, with all scores (B, H, Q, K)
and with indices that broadcast to them; what they compute element by element, or look up by those indices, is the same
as for one score at a time. Scores are computed in full: a BlockMask saves no work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pynn
from pynn import Tensor

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """What flex_attention shall give beside its result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """Of each query: the logarithm of the sum over its keys, and its largest score."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """Every query sees every key."""
    return batch.new_ones((), dtype=pynn.bool)


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """Visible where all say so."""
    if not all(callable(m) for m in mask_mods):
        raise RuntimeError(f"and_masks: callables are required, got {mask_mods}")

    def mask(*at: Tensor) -> Tensor:
        seen = noop_mask(*at)
        for m in mask_mods:
            seen = seen & m(*at)
        return seen

    return mask


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """Visible where any says so."""
    if not all(callable(m) for m in mask_mods):
        raise RuntimeError(f"or_masks: callables are required, got {mask_mods}")

    def mask(*at: Tensor) -> Tensor:
        seen = at[0].new_zeros((), dtype=pynn.bool)
        for m in mask_mods:
            seen = seen | m(*at)
        return seen

    return mask


def _indices(sizes: tuple[int, ...], device: Any) -> list[Tensor]:
    """Four ranges, each along its own dim."""
    return [
        pynn.arange(n, device=device).reshape([n if i == d else 1 for i in range(4)])
        for d, n in enumerate(sizes)
    ]


def create_mask(
    mod_fn: Any, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = "cpu"
) -> Tensor:
    """The mask (B, H, Q_LEN, KV_LEN) of a mask_mod: True where the key is seen."""
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    return mod_fn(*_indices(sizes, device)).to(pynn.bool).expand(sizes)  # type: ignore[no-any-return]


class BlockMask:
    """A mask_mod and the sizes that it is for.

    Raises:
        TypeError: mask_mod is no callable.
    """

    def __init__(
        self, mask_mod: MaskMod, shape: tuple[int, int, int, int], BLOCK_SIZE: Any, device: Any
    ) -> None:
        if not callable(mask_mod):
            raise TypeError(f"BlockMask: a callable is required, got {type(mask_mod).__name__}")
        self.mask_mod = mask_mod
        self.BLOCK_SIZE = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
        self.seq_lengths = shape[2:]
        self.shape = shape
        self.device = device

    def to_dense(self) -> Tensor:
        """(B, H, blocks of queries, blocks of keys), int32: 1 for blocks in which anything is seen."""
        rows, columns = self.BLOCK_SIZE
        mask = create_mask(self.mask_mod, *self.shape, device=self.device)
        down, right = -mask.shape[2] % rows, -mask.shape[3] % columns
        full = pynn.nn.functional.pad(mask.int(), (0, right, 0, down))
        tiles = full.unflatten(3, (-1, columns)).unflatten(2, (-1, rows))
        return tiles.amax((3, 5))

    def sparsity(self) -> float:
        """Percentage of the blocks in which nothing is seen."""
        return 100.0 * (1.0 - self.to_dense().float().mean().item())

    def numel(self) -> int:
        """The number of scores."""
        return math.prod(self.shape)

    def to(self, device: Any) -> BlockMask:
        """The same mask for another device."""
        return BlockMask(self.mask_mod, self.shape, self.BLOCK_SIZE, device)

    def __repr__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = "cpu",
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
) -> BlockMask:
    """The mask of a mask_mod for flex_attention; None for B or H is 1, which broadcasts."""
    return BlockMask(mask_mod, (B or 1, H or 1, Q_LEN, KV_LEN), BLOCK_SIZE, device)


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: Any = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """softmax(mask(score_mod(query @ key^T * scale))) @ value; a query that sees no key gives zeros.

    Shape: query (B, H, Q, E), key (B, H, K, E), value (B, H, K, V) to (B, H, Q, V); with enable_gqa key and value may
    have fewer heads, each for as many of query's. return_lse also gives the logarithms of the sums (B, H, Q); return_aux an
    AuxOutput.

    Raises:
        ValueError: a size does not fit.
    """
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.dim() != 4:
            raise ValueError(f"flex_attention: {name} of 4 dims is required, got {x.dim()}")
    heads, fewer = query.shape[1], key.shape[1]
    if heads != fewer:
        if not enable_gqa or heads % fewer:
            raise ValueError(
                f"flex_attention: as many heads are required, got {heads} and {fewer} (enable_gqa=True lets keys have a divisor)"
            )
        key, value = (x.repeat_interleave(heads // fewer, 1) for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    at = _indices(tuple(scores.shape), query.device)
    if score_mod is not None:
        scores = score_mod(scores, *at).to(scores.dtype).expand(scores.shape)
    if block_mask is not None:
        longest = block_mask.seq_lengths
        if scores.shape[2] > longest[0] or scores.shape[3] > longest[1]:
            raise ValueError(
                f"flex_attention: at most {longest} queries and keys are required (block_mask), got {tuple(scores.shape[2:])}"
            )
        scores = scores.masked_fill(~block_mask.mask_mod(*at).to(pynn.bool), -math.inf)
    blind = scores.amax(-1, keepdim=True) == -math.inf
    weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    out = weights @ value
    if return_aux is not None:
        lse = scores.logsumexp(-1) if return_aux.lse else None
        return out, AuxOutput(lse, scores.amax(-1) if return_aux.max_scores else None)
    return (out, scores.logsumexp(-1)) if return_lse else out
