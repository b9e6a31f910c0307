"""Collectives that give their result and have gradients: in a group of one process, the tensor itself."""

from __future__ import annotations

from typing import Any

from pynn._tensor import Tensor
from pynn.distributed import ReduceOp, _group

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]


def all_reduce(tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The tensor: it is the sum of one."""
    _group("all_reduce")
    return tensor.view_as(tensor)


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """The tensor, in a tuple of one."""
    return (all_reduce(tensor),)


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    """The tensor."""
    return all_reduce(tensor)


def reduce(tensor: Tensor, dst: int, op: Any = ReduceOp.SUM, group: Any = None) -> Tensor:
    """The tensor."""
    return all_reduce(tensor)


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    """The tensor, in a tuple of one."""
    return (all_reduce(tensor),)


def scatter(tensors: list[Tensor], src: int = 0, group: Any = None) -> Tensor:
    """tensors[0]."""
    return all_reduce(tensors[0])


def reduce_scatter(
    output: Tensor, input_list: list[Tensor], op: Any = ReduceOp.SUM, group: Any = None
) -> Tensor:
    """input_list[0]; `output` is left alone."""
    return all_reduce(input_list[0])


def all_to_all(
    output_tensor_list: list[Tensor], input_tensor_list: list[Tensor], group: Any = None
) -> tuple[Tensor, ...]:
    """input_tensor_list[0], in a tuple of one; the outputs are left alone."""
    return (all_reduce(input_tensor_list[0]),)
