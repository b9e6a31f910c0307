"""Parameter and Buffer: the tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

import pynn
from pynn import _C, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Buffer", "Parameter"]


class _ParameterMeta(type(Tensor)):  # type: ignore[misc]
    """Lets a tensor of a user's own Tensor subclass be a Parameter by its `_is_param` mark."""

    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        if cls is not Parameter or type(instance) is Tensor or not isinstance(instance, Tensor):
            return False
        return getattr(instance, "_is_param", False)


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor that becomes one of a Module's parameters when it is assigned as its attribute.

    Same as torch.nn.Parameter.

    Args:
        data: the values; the parameter shares their memory. None gives an empty tensor.
        requires_grad: whether autograd records what is done with it.

    Raises:
        TypeError: `data` is not a tensor.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = pynn.empty(0)
        kind = type(data)
        if kind is Tensor or kind is Parameter:
            return _C._make_subclass(cls, data, requires_grad)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor, got {kind.__name__}")
        # A user's subclass keeps its type, as in PyTorch.
        marked = _C._make_subclass(kind, data, requires_grad)
        marked._is_param = True
        return marked

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) in memo:
            return memo[id(self)]
        copied = type(self)(self.data.clone(), self.requires_grad)
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _rebuild_parameter, (type(self), self.data, self.requires_grad, dict(self.__dict__))


def _rebuild_parameter(cls: type, data: Tensor, requires_grad: bool, attributes: dict[str, Any]) -> Any:
    parameter = _C._make_subclass(cls, data, requires_grad)
    parameter.__dict__.update(attributes)
    return parameter


class _BufferMeta(type(Tensor)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return cls is Buffer and isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A tensor that becomes one of a Module's buffers when it is assigned as its attribute.

    Same as torch.nn.Buffer. What comes back is a plain tensor with a mark, which isinstance(x, Buffer) reads.

    Args:
        data: the values; the buffer shares their memory. None gives an empty tensor.
        persistent: whether it belongs to the module's state dict.
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = pynn.empty(0)
        marked: Any = data.detach().requires_grad_(data.requires_grad)
        marked.persistent = persistent
        marked._is_buffer = True
        return marked
