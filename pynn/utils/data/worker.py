"""What a worker process of a DataLoader does: load what is asked for, and send it back."""

from __future__ import annotations

import random
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import pynn


class WorkerInfo:
    """id, num_workers, seed and dataset of a worker, and what PyTorch adds for threads. Same as torch.utils.data's WorkerInfo."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError(f"Cannot assign attributes to {type(self).__name__} objects")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"


_info: WorkerInfo | None = None  # of a worker process
_own = threading.local()  # .info: of a worker thread


def get_worker_info() -> Any:
    """In a worker process or thread its WorkerInfo, elsewhere None. Same as torch.utils.data.get_worker_info."""
    return getattr(_own, "info", _info)


class _KeyErrorText(str):
    """A KeyError shows the repr of its argument; this one's repr is readable."""

    def __repr__(self) -> str:
        return str(self)


class RaisedInWorker:
    """The exception being handled, to be raised again in the main process with its traceback as text."""

    def __init__(self, worker: int) -> None:
        kind, _, _ = sys.exc_info()
        assert kind is not None
        self.kind: Any = kind
        where = f"DataLoader worker {'thread' if hasattr(_own, 'info') else 'process'} {worker}"
        self.text = f"Caught {kind.__name__} in {where}.\nOriginal {traceback.format_exc()}"

    def reraise(self) -> None:
        text = self.text
        if self.kind is KeyError:
            text = _KeyErrorText(text)
        try:
            exception = self.kind(message=text) if getattr(self.kind, "message", None) else self.kind(text)
        except Exception:  # it takes other arguments
            raise RuntimeError(text) from None
        raise exception


class StreamEnded:
    """A worker's IterableDataset has given all it has."""


class Resume:
    """Begin another pass."""


def _listen(tasks: Any, queue: SimpleQueue[Any]) -> None:
    """Empties the pipe of tasks at all times, so that the main process never waits to write."""
    try:
        while True:
            queue.put(tasks.recv())
    except (EOFError, OSError):
        queue.put(None)  # the main process is gone
    except Exception:
        queue.put(RaisedInWorker(-1))  # a task that cannot be unpickled here


def _seed_everything(base_seed: int, worker: int) -> int:
    seed = base_seed + worker
    random.seed(seed)
    pynn.manual_seed(seed)
    try:
        import numpy
    except ImportError:
        return seed
    entropy = [worker, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    numpy.random.seed(numpy.random.SeedSequence(entropy).generate_state(4))
    return seed


def work(
    worker: int,
    num_workers: int,
    base_seed: int,
    tasks: Any,
    results: Any,
    dataset: Any,
    init_fn: Callable[[int], None] | None,
    fetching: tuple[Any, ...],
    inherited: Sequence[Any],
) -> None:
    """The main function of a worker.

    Args:
        tasks: connection from which (number, indices), Resume or None come.
        results: connection to which (number, batch) go.
        fetching: arguments of make_fetcher after the data set.
        inherited: connections of other workers that a fork has copied; while they are open here, nobody sees them close.
    """
    from multiprocessing.reduction import ForkingPickler

    global _info
    for connection in inherited:
        connection.close()
    pynn.set_num_threads(1)
    seed = _seed_everything(base_seed, worker)
    _info = WorkerInfo(
        id=worker,
        num_workers=num_workers,
        seed=seed,
        dataset=dataset,
        rng=None,
        worker_method="multiprocessing",
    )

    def send(number: int, value: Any) -> None:
        try:
            data = ForkingPickler.dumps((number, value))
        except Exception:
            error = value if isinstance(value, RaisedInWorker) else RaisedInWorker(worker)
            try:
                data = ForkingPickler.dumps((number, error))
            except Exception:  # the class of the exception is no global name
                error.kind = RuntimeError
                data = ForkingPickler.dumps((number, error))
        results.send_bytes(data)

    queue: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(tasks, queue), daemon=True).start()
    try:
        serve(worker, queue, send, dataset, init_fn, fetching)
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass  # the main process was interrupted as well, or is gone


def work_in_thread(
    info: WorkerInfo,
    queue: SimpleQueue[Any],
    results: SimpleQueue[Any],
    init_fn: Callable[[int], None] | None,
    fetching: tuple[Any, ...],
) -> None:
    """The main function of a worker that is a thread: tasks come from `queue`, (number, batch) go to `results`."""
    _own.info = info
    try:
        serve(info.id, queue, lambda *result: results.put(result), info.dataset, init_fn, fetching)  # type: ignore[attr-defined]
    except BaseException:  # such as SystemExit: there is no process whose end would be seen
        results.put((-1, RaisedInWorker(info.id)))  # type: ignore[attr-defined]


def serve(
    worker: int,
    queue: SimpleQueue[Any],
    send: Callable[[int, Any], None],
    dataset: Any,
    init_fn: Callable[[int], None] | None,
    fetching: tuple[Any, ...],
) -> None:
    """Answers what comes from `queue` by send(number, batch), until that is None."""
    from pynn.utils.data.fetch import make_fetcher

    failed: RaisedInWorker | None = None
    fetch: Any = None
    ended = False
    try:
        if init_fn is not None:
            init_fn(worker)
        fetch = make_fetcher(dataset, *fetching)
    except Exception:
        failed = RaisedInWorker(worker)
    while (task := queue.get()) is not None:
        if isinstance(task, RaisedInWorker):
            send(-1, task)
            return
        if isinstance(task, Resume):
            ended = False
            try:
                fetch = make_fetcher(dataset, *fetching)
            except Exception:
                failed = RaisedInWorker(worker)
            send(-1, task)
            continue
        number, indices = task
        if ended:
            continue
        if failed is not None:
            send(number, failed)
            failed = None
            continue
        try:
            batch = fetch(indices)
        except Exception as e:
            if isinstance(e, StopIteration) and fetching[1]:
                ended = True
                send(number, StreamEnded())
            else:
                send(number, RaisedInWorker(worker))
        else:
            send(number, batch)
            del batch
