"""Tensors by other classes: there are none but subclasses of Tensor. Names as in torch.overrides."""

from __future__ import annotations

from typing import Any

from pynn import Tensor


def has_torch_function(relevant_args: Any) -> bool:
    """False: `__torch_function__` is not asked."""
    return False


has_torch_function_unary = has_torch_function


def has_torch_function_variadic(*relevant_args: Any) -> bool:
    """False: `__torch_function__` is not asked."""
    return False


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(inp, Tensor)


def handle_torch_function(public_api: Any, relevant_args: Any, *args: Any, **kwargs: Any) -> Any:
    """Raises: nothing has a `__torch_function__`."""
    raise TypeError(f"no implementation found for {public_api}: pynn does not ask __torch_function__")
