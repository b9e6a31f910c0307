"""One pass over a DataLoader."""

from __future__ import annotations

import warnings
from typing import Any

import pynn
from pynn.utils.data.fetch import make_fetcher
from pynn.utils.data.pin_memory import pin_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pynn.utils.data.dataloader import DataLoader


class _BaseDataLoaderIter:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        if loader.timeout != 0 and loader.num_workers == 0:
            raise AssertionError(f"DataLoader: timeout needs num_workers > 0, got timeout={loader.timeout}")
        # Drawn even if there are no workers: later random numbers are PyTorch's.
        self._base_seed = int(pynn.empty((), dtype=pynn.int64).random_(generator=loader.generator).item())
        self._start(loader)
        self._reset(loader, first=True)

    def _start(self, loader: DataLoader[Any]) -> None:
        """Before the first pass."""

    def _reset(self, loader: DataLoader[Any], first: bool = False) -> None:
        """Begin a pass."""
        self._index_sampler = loader._index_sampler
        self._indices = iter(self._index_sampler)
        self._dataset = loader.dataset
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._pin = loader.pin_memory and pynn.cuda.is_available()
        self._yielded = 0
        self._begin(loader, first)

    def _begin(self, loader: DataLoader[Any], first: bool) -> None:
        self._fetch = make_fetcher(
            loader.dataset, loader.collate_fn, loader._dataset_kind, loader._auto_collation, loader.drop_last
        )

    def _next(self) -> Any:
        return self._fetch(next(self._indices))

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def __next__(self) -> Any:
        batch = self._next()
        if self._IterableDataset_len_called is not None:
            self._check_length()
        return pin_memory(batch) if self._pin else batch

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")

    def _check_length(self) -> None:
        # counts batches against samples, as PyTorch does
        self._yielded += 1
        assert self._IterableDataset_len_called is not None
        if self._yielded > self._IterableDataset_len_called:
            warnings.warn(
                f"Length of IterableDataset {self._dataset} was reported to be {self._IterableDataset_len_called} "
                f"(when accessing len(dataloader)), but {self._yielded} samples have been fetched.",
                stacklevel=3,
            )


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """A pass without workers."""
