"""Reductions over runs of neighbouring elements."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor

__all__ = ["segment_reduce"]

_NEUTRAL = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -pynn.inf, "amin": pynn.inf}


def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> Tensor:
    """The sum, mean, max, min or prod of each segment along `axis`. Same as torch.segment_reduce.

    Args:
        lengths: the segments' lengths along the last dimension, which is number `axis`; those before it are batch
            dimensions, as in `data`.
        offsets: instead of lengths, where segments begin, and the end of the last.
        unsafe: leave out the checks of lengths.
        initial: reduced along with each segment; what an empty one gives.
    """
    kind = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    if kind not in _NEUTRAL:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if not data.is_floating_point():
        raise NotImplementedError(f"segment_reduce: a floating dtype is required, got {data.dtype}")
    bounds = _bounds(data, lengths, offsets, axis, unsafe)
    segments = bounds.size(-1) - 1

    # Each element's segment; what lies before the first or after the last goes to one more, cut off below.
    place = pynn.arange(data.size(axis), device=data.device).expand(data.shape[: axis + 1]).contiguous()
    segment = pynn.searchsorted(bounds, place, right=True) - 1
    segment = segment.masked_fill(segment < 0, segments)
    spread = segment.reshape(segment.shape + (1,) * (data.dim() - axis - 1)).expand(data.shape)
    shape = (*data.shape[:axis], segments + 1, *data.shape[axis + 1 :])
    start = data.new_full(shape, _NEUTRAL[kind] if initial is None else initial)
    total = start.scatter_reduce(axis, spread, data, "sum" if kind == "mean" else kind, include_self=True)
    total = total.narrow(axis, 0, segments)
    if kind != "mean":
        return total
    count = bounds.diff().to(data.dtype)
    if initial is not None:
        count = count.masked_fill(count == 0, 1.0)
    return total / count.reshape(count.shape + (1,) * (data.dim() - axis - 1))


def _bounds(data: Tensor, lengths: Tensor | None, offsets: Tensor | None, axis: int, unsafe: bool) -> Tensor:
    """Where segments begin, and the end of the last."""
    given = lengths if lengths is not None else offsets
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if given.dim() - 1 != axis or given.shape[:-1] != data.shape[:axis]:
        raise RuntimeError(
            "segment_reduce: lengths or offsets must have axis + 1 dimensions, those before the last as in data, got "
            f"{tuple(given.shape)} for data {tuple(data.shape)} and axis {axis}"
        )
    if lengths is None:
        return given.contiguous()
    if not unsafe:
        if (given < 0).any():
            raise RuntimeError("lengths contains negative value!")
        if (given.sum(-1) != data.size(axis)).any():
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
                "!unsafe."
            )
    return pynn.cat([given.new_zeros((*given.shape[:-1], 1)), given.cumsum(-1)], -1)
