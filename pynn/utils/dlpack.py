"""Tensors of other libraries without a copy. Names as in torch.utils.dlpack."""

from __future__ import annotations

from typing import Any

from pynn import Tensor
from pynn import from_dlpack as from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule over the tensor's memory, to be taken once."""
    return tensor.__dlpack__()
