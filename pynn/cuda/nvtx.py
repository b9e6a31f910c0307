"""Named ranges in the time lines of NVIDIA's profilers. Names as in torch.cuda.nvtx."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynn.cuda._device import backend

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]


def _tools() -> Any:
    if backend is None:
        raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")
    return backend


def range_push(msg: str) -> int:
    """Begin a range within those of this thread that were begun; its depth, negative where no profiler listens."""
    return int(_tools().push_range(msg))


def range_pop() -> int:
    """End the range of this thread that was begun last; its depth."""
    return int(_tools().pop_range())


def range_start(msg: str) -> int:
    """Begin a range that any thread may end; its handle."""
    return int(_tools().start_range(msg))


def range_end(range_id: int) -> None:
    """End the range of a handle."""
    _tools().end_range(range_id)


def mark(msg: str) -> None:
    """Mark this moment."""
    _tools().mark(msg)


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A with block, or a function (as a decorator), as a range; arguments are formatted into the name."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
