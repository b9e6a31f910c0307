"""embedding_bag, for functional.py: rows of a table, reduced bag by bag."""

from __future__ import annotations

import pynn
from pynn import _C, Tensor

_nn = _C._nn


def _bags(input: Tensor, offsets: Tensor | None, include_last: bool) -> tuple[Tensor, Tensor, int]:
    """The flat indices, the bag of each, and the number of bags."""
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        rows, length = input.shape
        return input.reshape(-1), pynn.arange(rows, device=input.device).repeat_interleave(length), rows
    if input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if offsets is None or offsets.dim() != 1:
        raise ValueError(
            "embedding_bag: offsets has to be a 1D Tensor" + (" but got None" if offsets is None else "")
        )
    starts = offsets.tolist()
    n = input.numel()
    if starts and starts[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {starts[0]}"
        )
    if starts and starts[-1] > n:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of {starts[-1]}"
        )
    if starts != sorted(starts):
        raise RuntimeError(f"embedding_bag: offsets must not fall, got {starts}")
    if include_last:
        if not starts:
            raise RuntimeError("include_last_offset: number of offset should be at least 1")
        starts[-1] = n  # as in PyTorch, the last bag goes to the end
        starts.pop()
    sizes = [b - a for a, b in zip(starts, [*starts[1:], n], strict=True)]
    counts = pynn.tensor(sizes, dtype=pynn.int64)
    return input, pynn.arange(len(sizes)).repeat_interleave(counts).to(input.device), len(sizes)


def _rows_of(weight: Tensor, indices: Tensor, scale_grad_by_freq: bool = False) -> Tensor:
    try:
        return _nn.embedding(weight, indices, -1, scale_grad_by_freq)
    except IndexError:
        raise RuntimeError(
            f"embedding_bag: indices must be from 0 to {weight.size(0) - 1}, got {indices.tolist()}"
        ) from None


def limit_rows(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows that `input` names, in place, to norms of at most max_norm."""
    with pynn.no_grad():
        used = input.unique()
        rows = weight.detach()[used]
        norms = rows.norm(norm_type, 1, keepdim=True)
        scale = pynn.where(norms > max_norm, max_norm / (norms + 1e-7), pynn.ones_like(norms))
        weight.detach()[used] = rows * scale


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Return the sum, mean or maximum of the rows that each bag of `input` names; zeros for empty bags.

    Args:
        input: (bags, length), or all bags behind each other in one dim.
        offsets: where each bag of a 1-D input begins.
        per_sample_weights: factors of the rows, for mode="sum".
        include_last_offset: offsets ends with the end of the last bag.
        padding_idx: a row that counts for nothing.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in `embedding`.
    """
    if weight.dtype == pynn.int64 and input.is_floating_point():
        import warnings

        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, ...)` "
            "is deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None:
        if input.shape != per_sample_weights.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have "
                f"the same shape as the input ({input.shape})"
            )
        per_sample_weights = per_sample_weights.reshape(-1)
    if input.dtype not in (pynn.int64, pynn.int32):
        raise RuntimeError(f"embedding_bag: indices must be int64 or int32, got {input.dtype}")
    if mode == "max":
        if scale_grad_by_freq:
            raise ValueError("max mode does not support scaling the gradient by the frequency")
        if sparse:
            raise ValueError("max mode does not support sparse weights")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
                f"(got mode={mode!r}). Please open a feature request on GitHub."
            )
        if per_sample_weights.dtype != weight.dtype:
            raise RuntimeError(
                "embedding_bag: per_sample_weights must have the dtype of weight, got "
                f"{per_sample_weights.dtype} and {weight.dtype}"
            )
    indices, bag, bags = _bags(input, offsets, include_last_offset)
    rows = weight.size(0)
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise RuntimeError(
                f"padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, but got {padding_idx}"
            )
        padding_idx %= rows
    if max_norm is not None:
        _rows_of(weight.detach(), indices)  # negative ones would be counted from the end
        limit_rows(weight, indices, max_norm, norm_type)
    if padding_idx is not None:
        kept = (indices != padding_idx).nonzero().squeeze(1)
        indices, bag = indices[kept], bag[kept]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights[kept]
    taken = _rows_of(weight, indices, scale_grad_by_freq)
    if mode == "max":
        return _largest(taken, bag, bags)
    if weight.dtype in (pynn.float16, pynn.bfloat16):  # summed in float32
        taken = taken.float()
    if per_sample_weights is not None:
        taken = taken * per_sample_weights.unsqueeze(1)
    total = taken.new_zeros((bags, weight.size(1))).index_add(0, bag, taken)
    if mode == "mean":
        counts = bag.new_zeros(bags).index_add(0, bag, pynn.ones_like(bag)).clamp(min=1)
        total = total / counts.to(total.dtype).unsqueeze(1)
    return total.to(weight.dtype)


def _largest(taken: Tensor, bag: Tensor, bags: int) -> Tensor:
    """The largest element of each bag and column; among equals the first gets the gradient."""
    n = taken.size(0)
    counts = bag.new_zeros(bags).index_add(0, bag, pynn.ones_like(bag))
    longest = int(counts.max()) if bags else 0
    if not n or not longest:
        return taken.sum(0) * 0 + taken.new_zeros((bags, taken.size(1)))
    # Padded to (bags, longest), each with its own first row.
    every = pynn.arange(n, device=bag.device)
    rows = bag.new_full((bags, longest), -1)
    rows[bag, every - (counts.cumsum(0) - counts)[bag]] = every
    absent = rows < 0
    padded = taken[rows.clamp(min=0)].masked_fill(absent.unsqueeze(2), float("-inf"))
    picked = padded.gather(1, padded.detach().argmax(1, keepdim=True)).squeeze(1)
    return picked.masked_fill((counts == 0).unsqueeze(1), 0)
