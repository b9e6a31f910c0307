"""Inputs shared out to devices, and results put together. Names as in torch.nn.parallel.scatter_gather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Any:
    """For each device its share: tensors, alone or in containers, in chunks along `dim`; anything else as it is."""
    count = len(target_gpus)
    if isinstance(inputs, Tensor):
        chunks = inputs.chunk(count, dim)
        return tuple(c.to(d) for c, d in zip(chunks, target_gpus, strict=False))
    if isinstance(inputs, dict):
        parts = [scatter(v, target_gpus, dim) for v in inputs.values()]
        return [type(inputs)(zip(inputs, values, strict=True)) for values in zip(*parts, strict=False)] or [
            inputs for _ in range(count)
        ]
    if isinstance(inputs, (tuple, list)) and inputs:
        shares = zip(*(scatter(v, target_gpus, dim) for v in inputs), strict=False)
        named = hasattr(inputs, "_fields")
        return [type(inputs)(*s) if named else type(inputs)(s) for s in shares]
    return [inputs for _ in range(count)]


def scatter_kwargs(
    inputs: tuple[Any, ...], kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]:
    """The arguments and keywords of a call for each device, as many of both."""
    shares = scatter(inputs, target_gpus, dim) if inputs else []
    keywords = scatter(kwargs, target_gpus, dim) if kwargs else []
    count = max(len(shares), len(keywords))
    return (
        (*shares, *[()] * (count - len(shares))),
        (*keywords, *[{} for _ in range(count - len(keywords))]),
    )


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """The results of the devices as one: tensors joined along `dim` (scalars as a vector), containers item by item."""
    first = outputs[0]
    if isinstance(first, Tensor):
        moved = [t.to(target_device).reshape(1) if t.dim() == 0 else t.to(target_device) for t in outputs]
        return pynn.cat(moved, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(first) != len(o) for o in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((k, gather([o[k] for o in outputs], target_device, dim)) for k in first)
    joined = [gather(parts, target_device, dim) for parts in zip(*outputs, strict=True)]
    return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)
