"""One process. Names as in torch.distributed, where nothing but a group of one is possible.

is_available() is False, so programs that ask go the way of a single process. Those that do not ask, and start a group
with a world size of 1, get one in which every collective leaves its tensor as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = [
    "GroupMember",
    "ProcessGroup",
    "ReduceOp",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "irecv",
    "is_available",
    "is_backend_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "isend",
    "monitored_barrier",
    "new_group",
    "recv",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "scatter_object_list",
    "send",
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


class ProcessGroup:
    """A group of processes: of the one there is."""

    def rank(self) -> int:
        """0"""
        return 0

    def size(self) -> int:
        """1"""
        return 1


class group:
    """WORLD: the group of all processes."""

    WORLD = ProcessGroup()


GroupMember = group


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
    return ProcessGroup()


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


def all_gather_into_tensor(
    output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False
) -> Any:
    """The output gets the values of the input."""
    _group("all_gather_into_tensor")
    output_tensor.copy_(input_tensor.reshape(output_tensor.shape))
    return _Done() if async_op else None


def reduce_scatter_tensor(
    output: Any, input: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """The output gets the values of the input."""
    return all_gather_into_tensor(output, input, group, async_op)


def all_to_all_single(
    output: Any,
    input: Any,
    output_split_sizes: Any = None,
    input_split_sizes: Any = None,
    group: Any = None,
    async_op: bool = False,
) -> Any:
    """The output gets the values of the input."""
    return all_gather_into_tensor(output, input, group, async_op)


def reduce_scatter(
    output: Any, input_list: list[Any], op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """The output gets the values of input_list[0]."""
    _group("reduce_scatter")
    output.copy_(input_list[0])
    return _Done() if async_op else None


def all_to_all(
    output_tensor_list: list[Any], input_tensor_list: list[Any], group: Any = None, async_op: bool = False
) -> Any:
    """output_tensor_list[0] gets the values of input_tensor_list[0]."""
    return reduce_scatter(output_tensor_list[0], input_tensor_list, None, group, async_op)


def gather(
    tensor: Any, gather_list: list[Any] | None = None, dst: int = 0, group: Any = None, async_op: bool = False
) -> Any:
    """gather_list[0] gets the values of `tensor`."""
    _group("gather")
    if gather_list is None:
        raise ValueError("gather: Argument gather_list must be specified on destination rank")
    gather_list[0].copy_(tensor)
    return _Done() if async_op else None


def scatter(
    tensor: Any,
    scatter_list: list[Any] | None = None,
    src: int = 0,
    group: Any = None,
    async_op: bool = False,
) -> Any:
    """`tensor` gets the values of scatter_list[0]."""
    _group("scatter")
    if scatter_list is None:
        raise ValueError("scatter: Argument scatter_list must be specified on source rank")
    tensor.copy_(scatter_list[0])
    return _Done() if async_op else None


def gather_object(
    obj: Any, object_gather_list: list[Any] | None = None, dst: int = 0, group: Any = None
) -> None:
    """object_gather_list[0] becomes `obj`."""
    _group("gather_object")
    if object_gather_list is not None:
        object_gather_list[0] = obj


def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int = 0,
    group: Any = None,
) -> None:
    """scatter_object_output_list[0] becomes scatter_object_input_list[0]."""
    _group("scatter_object_list")
    if scatter_object_input_list is not None:
        scatter_object_output_list[0] = scatter_object_input_list[0]


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Nobody to wait for."""
    _group("monitored_barrier")


def _no_partner(*args: Any, **kwargs: Any) -> Any:
    """Raises: there is no other process to send to or receive from."""
    raise RuntimeError("send, recv: another process is required, got a group of one")


send = recv = isend = irecv = _no_partner


def get_process_group_ranks(group: Any = None) -> list[int]:
    """[0]"""
    _group("get_process_group_ranks")
    return [0]


def get_global_rank(group: Any, group_rank: int) -> int:
    """The same number: a group is all there is."""
    return group_rank


def get_group_rank(group: Any, global_rank: int) -> int:
    """The same number: a group is all there is."""
    return global_rank


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """The environment variable LOCAL_RANK, or what is given."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is None:
        raise RuntimeError("LOCAL_RANK is not in the environment. Consider passing fallback_rank")
    return fallback_rank


def is_backend_available(backend: str) -> bool:
    """False."""
    return False
