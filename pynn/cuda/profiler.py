"""When an NVIDIA profiler that was started to wait (nsys --capture-range=cudaProfilerApi) records.

Names as in torch.cuda.profiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pynn.cuda._device import require

__all__ = ["profile", "start", "stop"]


def start() -> None:
    """Record from now on."""
    require().profile(True)


def stop() -> None:
    """Record no more."""
    require().profile(False)


@contextmanager
def profile() -> Iterator[None]:
    """A with block that is recorded."""
    start()
    try:
        yield
    finally:
        stop()
