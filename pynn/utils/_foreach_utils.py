"""Lists of tensors by their kind. Names as in torch.utils._foreach_utils."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pynn import Tensor


def _group_tensors_by_device_and_dtype(
    tensorlistlist: Sequence[Sequence[Tensor | None]], with_indices: bool = False
) -> dict[tuple[Any, Any], tuple[list[list[Tensor | None]], list[int]]]:
    """(device, dtype) of the first list's tensors -> the items of all lists at their places, and the places if asked."""
    groups: dict[tuple[Any, Any], tuple[list[list[Tensor | None]], list[int]]] = {}
    for i, first in enumerate(tensorlistlist[0]):
        if first is None:
            raise RuntimeError("_group_tensors_by_device_and_dtype: the first list must hold tensors only")
        lists, places = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for to, items in zip(lists, tensorlistlist, strict=True):
            if items:
                to.append(items[i])
        if with_indices:
            places.append(i)
    return groups
