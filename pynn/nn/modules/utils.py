"""One number per spatial dimension, from a number or a sequence. The names are PyTorch's, which models import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def ntuple(x: Any, n: int) -> tuple[Any, ...]:
    """Return a sequence as a tuple, and anything else n times."""
    return tuple(x) if hasattr(x, "__iter__") else (x,) * n


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    def parse(x: Any) -> tuple[Any, ...]:
        return ntuple(x, n)

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t: Sequence[int], n: int) -> tuple[int, ...]:
    """Return the last number n times, then the one before it, and so on: F.pad's order."""
    return tuple(x for x in reversed(t) for _ in range(n))
