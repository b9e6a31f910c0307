"""DataLoader: batches of a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, Generic, TypeVar, cast

import pynn
from pynn.utils.data.collate import default_collate, default_convert
from pynn.utils.data.dataset import Dataset, IterableDataset
from pynn.utils.data.fetch import _DatasetKind
from pynn.utils.data.iteration import _BaseDataLoaderIter, _SingleProcessDataLoaderIter
from pynn.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

T_co = TypeVar("T_co", covariant=True)

_FIXED = frozenset(("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"))


class DataLoader(Generic[T_co]):
    """Iterates over a data set in batches. Same as torch.utils.data.DataLoader.

    With `num_workers` > 0 processes load batches in advance, in the same order and with the same random numbers as
    PyTorch's. Batches come to the calling process by copy.

    Args:
        dataset: with `__getitem__` (or `__getitems__`) and `__len__`, or an `IterableDataset`.
        batch_size: samples per batch; None gives single samples.
        shuffle: a new random order in every iteration, drawn as PyTorch draws it.
        sampler: the order of the samples, in place of `shuffle`.
        batch_sampler: lists of indices, in place of `batch_size`, `shuffle`, `sampler` and `drop_last`.
        num_workers: how many processes load; 0 loads in the calling one.
        collate_fn: makes a batch of a list of samples; by default `default_collate`, and without batches
            `default_convert`.
        pin_memory: batches come in page-locked memory; without effect where there is no GPU.
        pin_memory_device: accepted; pinned memory serves all devices.
        drop_last: leave out the last batch if it is short.
        timeout: seconds to wait for a batch of a worker; 0 is for ever.
        worker_init_fn: called in each worker with its number, after random numbers were seeded.
        multiprocessing_context: how processes start: a name or context of multiprocessing. By default Python's own
            way; from 3.14 on that pickles the data set (on Linux: "forkserver", no more "fork"). "thread": workers
            are threads, which share the data set and one random generator; for data sets that read files or compute
            outside of Python's lock. PyTorch has no such value.
        generator: where the order and the workers' seed are drawn from; the global generator by default.
        prefetch_factor: batches that each worker loads in advance; 2 by default.
        persistent_workers: keep the workers, with their copies of `dataset`, from one iteration to the next.
        in_order: give batches in the order of the sampler, and not as they come.

    Raises:
        ValueError: arguments that exclude each other or are out of range.

    An exception of the data set, the sampler or `collate_fn` comes through unchanged; one of a worker comes with the
    worker's traceback as its text. A worker that dies makes the next batch raise RuntimeError.
    """

    _initialized = False

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: pynn.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order

        iterable = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if iterable else _DatasetKind.Map
        if iterable:
            options = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
            for name, value in options.items():
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, "
                        f"but got {name}={value}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                    "drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if iterable:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)  # type: ignore[arg-type]
            else:
                sampler = SequentialSampler(dataset)  # type: ignore[arg-type]
        if batch_size is not None:
            batch_sampler = BatchSampler(cast(Any, sampler), batch_size, drop_last)

        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._IterableDataset_len_called: int | None = None
        self._iterator: _BaseDataLoaderIter | None = None
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and self._initialized:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized "
                "(make a new one)"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """The context given for worker processes, "thread", or None."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            context = _check_context(context, self.num_workers)
        self._multiprocessing_context = context

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def _new_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        if self.multiprocessing_context == "thread":
            from pynn.utils.data.threads import ThreadIterator

            return ThreadIterator(self)
        from pynn.utils.data.parallel import _MultiProcessingDataLoaderIter

        return _MultiProcessingDataLoaderIter(self)

    def __iter__(self) -> Iterator[Any]:
        if not self.persistent_workers:
            return self._new_iterator()
        # PyTorch keeps one iterator for persistent workers, so that later epochs draw no seed for them.
        if self._iterator is None:
            self._iterator = self._new_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        length = self._IterableDataset_len_called = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else math.ceil(length / self.batch_size)


class _Endless(Sampler[None]):
    """Stands for the indices of an `IterableDataset`."""

    def __iter__(self) -> Iterator[None]:
        return repeat(None)


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            f"num_workers option should be non-negative, got {num_workers}; "
            "use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")
    if prefetch_factor is not None:
        if num_workers == 0:
            raise ValueError(
                f"prefetch_factor option could only be specified in multiprocessing, got {prefetch_factor} "
                "(let num_workers > 0, or set prefetch_factor to None)"
            )
        if prefetch_factor < 0:
            raise ValueError(f"prefetch_factor option should be non-negative, got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_context(context: Any, num_workers: int) -> Any:
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
            f"but got num_workers={num_workers}"
        )
    import multiprocessing.context

    if isinstance(context, str):
        if context == "thread":
            return context
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                f"multiprocessing_context option should specify a valid start method in {methods!r} or 'thread', "
                f"but got multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string specifying the "
            f"start method, but got multiprocessing_context={context}"
        )
    return context


def __getattr__(name: str) -> Any:
    if name == "_MultiProcessingDataLoaderIter":
        from pynn.utils.data.parallel import _MultiProcessingDataLoaderIter

        return _MultiProcessingDataLoaderIter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
