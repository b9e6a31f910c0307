"""Batches in page-locked memory, from which a GPU copies asynchronously."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pynn import Tensor


def pin_memory(data: Any, device: Any = None) -> Any:
    """`data` with its CPU tensors in page-locked memory, however they are nested; objects that have a pin_memory method say themselves what that means."""
    if isinstance(data, Tensor):
        return data.pin_memory() if data.device.type == "cpu" else data
    if isinstance(data, (str, bytes)):
        return data
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        pinned: Any = {key: pin_memory(value) for key, value in data.items()}
    elif isinstance(data, Sequence):
        pinned = [pin_memory(value) for value in data]
        if isinstance(data, tuple) and hasattr(data, "_fields"):
            return type(data)(*pinned)
    else:
        return data
    try:
        return type(data)(pinned)  # type: ignore[call-arg]
    except TypeError:  # a type of its own, which cannot be made so
        return pinned
