"""Conversions of a whole Module: dtype, device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pynn
from pynn import _C, Tensor

from ..parameter import Parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self


class Convert:
    """What Module inherits for conversions, all in place.

    All methods are the same as those of torch.nn.Module.
    """

    _parameters: Any
    _buffers: Any

    if TYPE_CHECKING:

        def children(self) -> Iterator[Any]: ...

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Put `fn(tensor)` in the place of every parameter, gradient and buffer."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is None:
                continue
            grad = param.grad
            with pynn.no_grad():
                new = fn(param)
                new_grad = None if grad is None else fn(grad)
            if new.is_meta == param.is_meta:
                # The Parameter object stays, so that optimisers and tied modules keep it.
                if new is not param:
                    param.data = new
            else:  # tensors with and without storage cannot trade data
                param = Parameter(new, param.requires_grad)
                self._parameters[name] = param
            if new_grad is not None and new_grad is not grad:
                param.grad = new_grad.requires_grad_(grad.requires_grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device and, floating tensors only, to a dtype.

        The forms are `to(device, dtype)`, `to(dtype)` and `to(tensor)`. Each takes `non_blocking` and
        `memory_format`, which is for parameters of 4 or 5 dimensions.
        """
        device, dtype, non_blocking, memory_format = _parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            kind = dtype if tensor.is_floating_point() or tensor.is_complex() else None
            if memory_format is not None and tensor.dim() in (4, 5):
                return tensor.to(device, kind, non_blocking, memory_format=memory_format)
            return tensor.to(device, kind, non_blocking)

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to a device without copying the values, for example to leave the meta device."""
        return self._apply(lambda tensor: pynn.empty_like(tensor, device=device), recurse=recurse)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self, device: Any = None) -> Self:
        """Move to a GPU."""
        return self._apply(lambda tensor: tensor.cuda(device))

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers, those of integers too, to `dst_type`."""
        return self._apply(lambda tensor: tensor.type(dst_type))

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self._floating_to(pynn.float32)

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self._floating_to(pynn.float64)

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self._floating_to(pynn.float16)

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16."""
        return self._floating_to(pynn.bfloat16)

    def _floating_to(self, dtype: Any) -> Self:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def share_memory(self) -> Self:
        """Move the parameters and buffers to shared memory."""
        return self._apply(lambda tensor: tensor.share_memory_())


def _parse_to(
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    *,
    tensor: Tensor | None = None,
    memory_format: Any = None,
) -> tuple[Any, Any, bool, Any]:
    """Read the forms of `to`; return (device, dtype, non_blocking, memory_format)."""
    if isinstance(device, (Tensor, pynn.dtype)):  # to(tensor, non_blocking) and to(dtype, non_blocking)
        first, second = device, dtype
        device, dtype = (first.device, first.dtype) if isinstance(first, Tensor) else (None, first)
        non_blocking = non_blocking if second is None else second
    if tensor is not None:
        device, dtype = tensor.device, tensor.dtype
    if device is not None:
        device = pynn.device(device)
    if dtype is not None and not isinstance(dtype, pynn.dtype):
        raise TypeError(f"to: dtype must be a dtype, got {type(dtype).__name__}")
    return device, dtype, non_blocking, memory_format


_C._nn._parse_to = _parse_to  # type: ignore[attr-defined]  # where subclasses of Module look for it
