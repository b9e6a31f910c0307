"""From what the sampler gives to what the loader gives, in this process or in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pynn
from pynn.utils.data.collate import default_collate
from pynn.utils.data.dataset import Subset, TensorDataset


class _DatasetKind:
    Map, Iterable = 0, 1


def make_fetcher(
    dataset: Any, collate: Callable[[Any], Any], iterable: int, batched: bool, drop_last: bool
) -> Callable[[Any], Any]:
    """The function from an index, or a list of indices, to a sample or batch; a stream ends by StopIteration."""
    if iterable:
        return _stream_fetcher(dataset, collate, batched, drop_last)
    if not batched:
        return lambda index: collate(dataset[index])
    if collate is default_collate:
        rows = _row_source(dataset)
        if rows is not None:
            return rows
    if getattr(dataset, "__getitems__", None):
        return lambda indices: collate(dataset.__getitems__(indices))
    return lambda indices: collate([dataset[i] for i in indices])


def _stream_fetcher(
    dataset: Iterable[Any], collate: Callable[[Any], Any], batched: bool, drop_last: bool
) -> Callable[[Any], Any]:
    stream = iter(dataset)
    if not batched:
        return lambda _: collate(next(stream))

    def fetch(slots: list[None]) -> Any:
        samples = [sample for _, sample in zip(slots, stream, strict=False)]
        if not samples or (drop_last and len(samples) < len(slots)):
            raise StopIteration
        return collate(samples)

    return fetch


def _row_source(dataset: Any) -> Callable[[Any], Any] | None:
    """Batches of a TensorDataset, or of a Subset of one, by one gather per tensor; else None.

    The batches are those of collating the samples one by one.
    """
    if type(dataset) is Subset:
        inner = _row_source(dataset.dataset)
        if inner is None:
            return None
        return lambda batch: inner([dataset.indices[i] for i in batch])
    if type(dataset) is not TensorDataset:
        return None

    def fetch(batch: Any) -> Any:
        if type(batch) is list and batch and type(batch[0]) is int:
            index = pynn.tensor(batch)
            return [tensor[index] for tensor in dataset.tensors]
        return default_collate([dataset[i] for i in batch])

    return fetch
