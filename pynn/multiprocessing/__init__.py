"""Python's multiprocessing with what programs expect of torch.multiprocessing.

A tensor sent to another process is copied; torch shares its memory.
"""

from __future__ import annotations

import multiprocessing as _multiprocessing
from multiprocessing import *
from typing import Any

from pynn.multiprocessing.spawn import ProcessContext, ProcessExitedException, ProcessRaisedException, spawn
from pynn.multiprocessing.spawn import start_processes as start_processes

_sharing_strategy = "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Kept without effect: tensors are copied between processes."""
    global _sharing_strategy
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(
            f"set_sharing_strategy: one of {get_all_sharing_strategies()}, got {new_strategy!r}"
        )
    _sharing_strategy = new_strategy


def get_sharing_strategy() -> str:
    """What was set."""
    return _sharing_strategy


def get_all_sharing_strategies() -> set[str]:
    """The names that torch has on Linux."""
    return {"file_descriptor", "file_system"}


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(_multiprocessing, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


__all__ = [
    *_multiprocessing.__all__,  # type: ignore[attr-defined]
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]
