"""A DataLoader whose workers are threads: they share the data set, and nothing is copied or pickled."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

from pynn.utils.data.parallel import _MultiProcessingDataLoaderIter
from pynn.utils.data.worker import WorkerInfo, work_in_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pynn.utils.data.dataloader import DataLoader

_PATIENCE = 5.0  # seconds until a thread that does not end is left alone


class _Tasks(SimpleQueue[Any]):
    def send(self, task: Any) -> None:  # as a pipe's end
        self.put(task)


class _Worker:
    """A thread and the queue to it."""

    def __init__(
        self, index: int, loader: DataLoader[Any], base_seed: int, results: SimpleQueue[tuple[int, Any]]
    ) -> None:
        info = WorkerInfo(
            id=index,
            num_workers=loader.num_workers,
            seed=base_seed + index,
            dataset=loader.dataset,
            rng=None,
            worker_method="thread",
        )
        fetching = (loader.collate_fn, loader._dataset_kind, loader._auto_collation, loader.drop_last)
        self.tasks = _Tasks()
        self.thread = threading.Thread(
            target=work_in_thread,
            args=(info, self.tasks, results, loader.worker_init_fn, fetching),
            name=f"DataLoader worker {index}",
            daemon=True,
        )
        self.thread.start()
        self.active = True
        self.outstanding = 0


class ThreadIterator(_MultiProcessingDataLoaderIter):
    """A pass over a loader whose batches come from threads."""

    def _start(self, loader: DataLoader[Any]) -> None:
        self._results: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        super()._start(loader)

    def _launch(self, index: int, loader: DataLoader[Any]) -> Any:
        return _Worker(index, loader, self._base_seed, self._results)

    def _receive(self) -> tuple[int, Any]:
        try:
            return self._results.get(timeout=self._timeout)
        except Empty:
            self._shutdown_workers()
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None

    def _shutdown_workers(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.tasks.send(None)
        for worker in workers:
            worker.thread.join(_PATIENCE)
