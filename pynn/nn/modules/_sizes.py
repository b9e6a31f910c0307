"""One number per spatial dimension, from a number or a sequence."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def ntuple(x: Any, n: int) -> tuple[Any, ...]:
    """Return a sequence as a tuple, and anything else n times."""
    return tuple(x) if hasattr(x, "__iter__") else (x,) * n


def reversed_pairs(padding: Sequence[int]) -> list[int]:
    """Return F.pad's order of a symmetric padding: from the last dim to the first, each number twice."""
    return [p for p in reversed(padding) for _ in range(2)]
