"""From a list of samples to a batch."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from copy import copy
from typing import Any

import pynn
from pynn import Tensor


def default_convert(data: Any) -> Any:
    """Turn NumPy arrays and scalars inside `data` into tensors; leave everything else as it is.

    Mappings, sequences and named tuples keep their type, tuples become lists. Same as
    torch.utils.data.default_convert.
    """
    if isinstance(data, Tensor):
        return data
    if _is_numpy(data):
        return data if data.dtype.kind in "SUO" else pynn.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(d) for d in data])
    return data


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack the samples of a batch. Same as torch.utils.data.default_collate.

    Tensors and arrays are stacked along a new first dimension; numbers become one tensor (floats a float64
    one); text stays a list; mappings, sequences and named tuples are collated entry by entry and keep their
    type, tuples become lists.

    Raises:
        TypeError: something that cannot be stacked.
        RuntimeError: sequences of unequal length, or tensors of unequal shape.
    """
    elem = batch[0]
    if isinstance(elem, Tensor):
        return pynn.stack(batch, 0)
    if _is_numpy(elem):
        return _collate_numpy(elem, batch)
    if isinstance(elem, float):
        return pynn.tensor(batch, dtype=pynn.float64)
    if isinstance(elem, int):
        return pynn.tensor(batch)
    if isinstance(elem, (str, bytes)):
        return batch
    if isinstance(elem, Mapping):
        return _like_mapping(elem, {key: default_collate([d[key] for d in batch]) for key in elem})
    if isinstance(elem, tuple) and hasattr(elem, "_fields"):
        return type(elem)(*(default_collate(samples) for samples in zip(*batch, strict=False)))
    if isinstance(elem, Sequence):
        if any(len(other) != len(elem) for other in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(samples) for samples in zip(*batch, strict=True)]
        return columns if isinstance(elem, tuple) else _like_sequence(elem, columns)
    raise TypeError(_unknown(type(elem)))


def _is_numpy(x: Any) -> bool:
    numpy = sys.modules.get("numpy")  # not imported: no NumPy object can be here
    return numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic))


def _collate_numpy(elem: Any, batch: Sequence[Any]) -> Any:
    import numpy

    if isinstance(elem, numpy.ndarray):
        if elem.dtype.kind in "SUO":
            raise TypeError(_unknown(elem.dtype))
        return pynn.stack([pynn.as_tensor(b) for b in batch], 0)
    if isinstance(elem, (str, bytes)):
        return batch
    return pynn.as_tensor(numpy.asarray(batch))


def _unknown(kind: object) -> str:
    return (
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {kind} (pass a collate_fn)"
    )


def _like_mapping(data: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """`values` in a mapping of the type of `data`, or in a dict if that type cannot be built from them."""
    try:
        if isinstance(data, MutableMapping):
            clone = copy(data)  # keeps attributes, for example the factory of a defaultdict
            clone.update(values)
            return clone
        kind: Any = type(data)
        return kind(values)
    except TypeError:
        return values


def _like_sequence(data: Sequence[Any], values: list[Any]) -> Any:
    try:
        if isinstance(data, MutableSequence):
            clone = copy(data)
            for i, value in enumerate(values):
                clone[i] = value
            return clone
        kind: Any = type(data)
        return kind(values)
    except TypeError:
        return values
