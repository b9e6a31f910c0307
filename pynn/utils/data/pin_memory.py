"""Batches in page-locked memory, from which a GPU copies faster and without waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pynn


def pin_memory(data: Any, device: Any = None) -> Any:
    """`data` with its tensors, and whatever has a method pin_memory, in page-locked memory.

    Mappings, sequences and named tuples keep their type; all else comes back as it is.
    """
    if isinstance(data, pynn.Tensor):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        return type(data)({key: pin_memory(value) for key, value in data.items()})  # type: ignore[call-arg]
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(pin_memory(value) for value in data))
    if isinstance(data, Sequence):
        return type(data)([pin_memory(value) for value in data])  # type: ignore[call-arg]
    return data
