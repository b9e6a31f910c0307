"""Shapes of tensors together."""

from __future__ import annotations

from collections.abc import Sequence

from pynn import _C


def broadcast_shapes(*shapes: int | Sequence[int]) -> _C.Size:
    """The shape that tensors of these shapes have together. Same as torch.broadcast_shapes."""
    common: list[int] = []
    for shape in shapes:
        sizes = [shape] if isinstance(shape, int) else list(shape)
        common = [1] * (len(sizes) - len(common)) + common
        for i in range(-1, -len(sizes) - 1, -1):
            n = sizes[i]
            if n < 0:
                raise RuntimeError(f"broadcast_shapes: sizes must not be negative, got {n}")
            if n != 1 and common[i] not in (1, n):
                raise RuntimeError(
                    f"broadcast_shapes: the shapes do not broadcast, got {shapes}; {common[i]} != {n}"
                )
            if n != 1:
                common[i] = n
    return _C.Size(common)
