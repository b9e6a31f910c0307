"""The main process's side of a DataLoader with workers.

Every worker has two pipes: tasks go in, batches come out. The main process waits for all pipes and for the end of any
process at once, so that a dead worker is noticed without a timer.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import time
from typing import Any

from pynn.utils.data.iteration import _BaseDataLoaderIter
from pynn.utils.data.worker import RaisedInWorker, Resume, StreamEnded, work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pynn.utils.data.dataloader import DataLoader

_PATIENCE = 5.0  # seconds until a worker that does not end is terminated
_WAITING = object()


class _Worker:
    """A process, the pipe to it and the pipe from it."""

    def __init__(
        self, context: Any, index: int, loader: DataLoader[Any], base_seed: int, others: list[_Worker]
    ) -> None:
        theirs, self.tasks = context.Pipe(duplex=False)
        self.results, results = context.Pipe(duplex=False)
        method = context.get_start_method()
        mine = [c for w in others for c in (w.tasks, w.results)] + [self.tasks, self.results]
        fetching = (loader.collate_fn, loader._dataset_kind, loader._auto_collation, loader.drop_last)
        self.process = context.Process(
            target=work,
            args=(
                index,
                loader.num_workers,
                base_seed,
                theirs,
                results,
                loader.dataset,
                loader.worker_init_fn,
                fetching,
                mine if method == "fork" else [],
            ),
            daemon=True,
        )
        self.process.start()
        theirs.close()
        results.close()
        self.active = True  # still has something to give in this pass
        self.outstanding = 0  # tasks whose batch has not been given out


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """A pass over a loader whose batches come from worker processes."""

    _workers: list[Any]

    def _start(self, loader: DataLoader[Any]) -> None:
        self._workers = []
        self._prefetch = int(loader.prefetch_factor or 2)
        self._timeout = loader.timeout or None
        self._in_order = loader.in_order
        self._iterable = loader._dataset_kind
        self._persistent = loader.persistent_workers
        try:
            for i in range(loader.num_workers):
                self._workers.append(self._launch(i, loader))
        except BaseException:
            self._shutdown_workers()
            raise

    def _launch(self, index: int, loader: DataLoader[Any]) -> Any:
        context = loader.multiprocessing_context or multiprocessing.get_context()
        return _Worker(context, index, loader, self._base_seed, self._workers)

    def _begin(self, loader: DataLoader[Any], first: bool) -> None:
        self._sent = self._given = 0  # numbers of the next task to send and of the next batch to give
        self._tasks: dict[int, list[Any]] = {}  # number -> [worker, batch or _WAITING]
        self._turn = 0
        if not first:
            for worker in self._workers:
                worker.tasks.send(Resume())
            resumed = 0
            while resumed < len(self._workers):  # batches of a pass that was not finished come first
                _, value = self._receive()
                resumed += isinstance(value, Resume)
        for worker in self._workers:
            worker.active, worker.outstanding = True, 0
        for _ in range(self._prefetch * len(self._workers)):
            self._send_task()

    def _send_task(self) -> None:
        """Ask the next active worker, in turn, for the next batch."""
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        count = len(self._workers)
        share = self._prefetch * count // max(sum(w.active for w in self._workers), 1)
        for _ in range(count):
            worker = self._workers[self._turn]
            self._turn = (self._turn + 1) % count
            if worker.active and (self._in_order or worker.outstanding < share):
                break
        else:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is reported by _receive
            worker.tasks.send((self._sent, indices))
        self._tasks[self._sent] = [worker, _WAITING]
        worker.outstanding += 1
        self._sent += 1

    def _receive(self) -> tuple[int, Any]:
        """What comes next from any worker."""
        while True:
            by_connection = {w.results: w for w in self._workers}
            sentinels = {w.process.sentinel: w for w in self._workers if w.active or w.process.is_alive()}
            ready = multiprocessing.connection.wait([*by_connection, *sentinels], self._timeout)
            if not ready:
                self._shutdown_workers()
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
            for connection in ready:
                if connection in by_connection:
                    try:
                        return by_connection[connection].results.recv()  # type: ignore[index]
                    except (EOFError, ConnectionResetError):
                        pass
            dead = [w for w in self._workers if not w.process.is_alive()]
            if dead:
                self._shutdown_workers()
                raise RuntimeError(_last_words([w.process for w in dead]))

    def _next(self) -> Any:
        while True:
            while self._given < self._sent:
                entry = self._tasks.get(self._given)
                if entry is not None and (entry[1] is not _WAITING or entry[0].active):
                    break
                self._tasks.pop(self._given, None)  # given out before, or of a stream that has ended
                self._given += 1
            else:
                if not self._persistent:
                    self._shutdown_workers()
                raise StopIteration
            if entry[1] is not _WAITING:
                del self._tasks[self._given]
                self._given += 1
                return self._give(entry[0], entry[1])
            if not self._workers:
                raise StopIteration  # shut down by an error
            number, value = self._receive()
            if number < 0:
                self._shutdown_workers()
                value.reraise()
            entry = self._tasks[number]
            if isinstance(value, StreamEnded):
                entry[0].active = False
                self._send_task()
            elif number == self._given or not self._in_order:
                del self._tasks[number]
                return self._give(entry[0], value)
            else:
                entry[1] = value

    def _give(self, worker: _Worker, value: Any) -> Any:
        worker.outstanding -= 1
        self._send_task()
        if isinstance(value, RaisedInWorker):
            value.reraise()
        return value

    def _shutdown_workers(self) -> None:
        """End all workers; those that are writing a batch are read from until they are done."""
        workers, self._workers = self._workers, []
        for worker in workers:
            with contextlib.suppress(OSError):
                worker.tasks.send(None)
        deadline = time.monotonic() + _PATIENCE
        waiting: dict[Any, _Worker] = {w.process.sentinel: w for w in workers}
        pipes = {w.results for w in workers}
        while waiting and (left := deadline - time.monotonic()) > 0:
            for ready in multiprocessing.connection.wait([*waiting, *pipes], left):
                if ready in waiting:
                    del waiting[ready]
                    continue
                try:
                    ready.recv_bytes()  # type: ignore[union-attr]
                except (EOFError, OSError):
                    pipes.discard(ready)  # type: ignore[arg-type]
        for end in ("terminate", "kill"):
            for worker in waiting.values():
                getattr(worker.process, end)()
            for worker in waiting.values():
                worker.process.join(_PATIENCE)
        for worker in workers:
            worker.process.join(_PATIENCE)
            worker.tasks.close()
            worker.results.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the interpreter's end modules are half gone
            if self._workers:
                self._shutdown_workers()


def _last_words(processes: list[Any]) -> str:
    pids = ", ".join(str(process.pid) for process in processes)
    reasons = []
    for process in processes:
        code = process.exitcode
        if code is not None and code < 0:
            try:
                reasons.append(f"killed by signal: {signal.Signals(-code).name}")
            except ValueError:
                reasons.append(f"killed by signal {-code}")
        else:
            reasons.append(f"exit code {code}")
    return f"DataLoader worker (pid(s) {pids}) exited unexpectedly ({', '.join(reasons)})"
