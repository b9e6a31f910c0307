"""One process. Names as in torch.distributed, where nothing but a group of one is possible.

is_available() is False, so programs that ask go the way of a single process. Those that do not ask, and start a group
with a world size of 1, get one in which every collective leaves its tensor as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = [
    "ReduceOp",
    "all_gather",
    "all_gather_object",
    "all_reduce",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "destroy_process_group",
    "get_backend",
    "get_rank",
    "get_world_size",
    "init_process_group",
    "is_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "new_group",
    "reduce",
]

_backend: str | None = None


class ReduceOp:
    """How values of several processes become one."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR = (
        "sum",
        "avg",
        "product",
        "min",
        "max",
        "band",
        "bor",
        "bxor",
    )


class _Done:
    """The handle of an asynchronous collective, which has ended."""

    def wait(self, timeout: Any = None) -> bool:
        return True

    def is_completed(self) -> bool:
        return True


def is_available() -> bool:
    """False: pynn runs one process."""
    return False


def is_nccl_available() -> bool:
    """False."""
    return False


def is_gloo_available() -> bool:
    """False."""
    return False


def is_mpi_available() -> bool:
    """False."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_initialized() -> bool:
    """Whether init_process_group was called."""
    return _backend is not None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Start a group of one process.

    Raises:
        RuntimeError: a world size other than 1, given or in the environment variable WORLD_SIZE.
        ValueError: there is a group already.
    """
    global _backend
    if _backend is not None:
        raise ValueError("init_process_group: trying to initialize the default process group twice!")
    size = world_size if world_size > 0 else int(os.environ.get("WORLD_SIZE", "1"))
    if size != 1:
        raise RuntimeError(f"init_process_group: pynn runs one process, got a world size of {size}")
    _backend = backend or "gloo"


def destroy_process_group(group: Any = None) -> None:
    """End the group."""
    global _backend
    _group("destroy_process_group")
    _backend = None


def _group(op: str) -> None:
    if _backend is None:
        raise ValueError(
            f"{op}: Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )


def get_rank(group: Any = None) -> int:
    """0."""
    _group("get_rank")
    return 0


def get_world_size(group: Any = None) -> int:
    """1."""
    _group("get_world_size")
    return 1


def get_backend(group: Any = None) -> str:
    """The name given to init_process_group."""
    _group("get_backend")
    return str(_backend)


def new_group(ranks: Any = None, *args: Any, **kwargs: Any) -> Any:
    """A group of the one process there is."""
    _group("new_group")
    return object()


def _collective(name: str, doc: str) -> Callable[..., Any]:
    def collective(*args: Any, async_op: bool = False, **kwargs: Any) -> Any:
        _group(name)
        return _Done() if async_op else None

    collective.__name__ = collective.__qualname__ = name
    collective.__doc__ = doc
    return collective


all_reduce = _collective("all_reduce", "The tensor stays: it is the sum of one.")
broadcast = _collective("broadcast", "The tensor stays.")
reduce = _collective("reduce", "The tensor stays.")
barrier = _collective("barrier", "Nobody to wait for.")
broadcast_object_list = _collective("broadcast_object_list", "The list stays.")


def all_gather(tensor_list: list[Any], tensor: Any, group: Any = None, async_op: bool = False) -> Any:
    """tensor_list[0] gets the values of `tensor`."""
    _group("all_gather")
    tensor_list[0].copy_(tensor)
    return _Done() if async_op else None


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """object_list[0] becomes `obj`."""
    _group("all_gather_object")
    object_list[0] = obj
