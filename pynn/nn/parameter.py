"""Parameter and Buffer: the tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

import pynn
from pynn import _C, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


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

    __torch_function__ = _C._disabled_torch_function_impl

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

    __torch_function__ = _C._disabled_torch_function_impl

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = pynn.empty(0)
        marked: Any = data.detach().requires_grad_(data.requires_grad)
        marked.persistent = persistent
        marked._is_buffer = True
        return marked


class _Uninitialized:
    """What a parameter or buffer is before its shape is known."""

    _becomes: type = Tensor

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become a tensor of this shape, uninitialised; device and dtype are the old ones by default."""
        old = self.data
        self.data = pynn.empty(shape, device=device or old.device, dtype=dtype or old.dtype)
        self.__class__ = self._becomes

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters "
            "before calling `module.share_memory()`."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]

    def __reduce_ex__(self: Any, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad, None, self.data.dtype)


def _refuse(operator: str) -> Any:
    def refuse(self: Any, *args: Any) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {operator}. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using "
            "LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions"
        )

    return refuse


for _name in ("add", "sub", "mul", "truediv", "matmul", "pow"):
    for _prefix in ("", "r", "i"):
        setattr(_Uninitialized, f"__{_prefix}{_name}__", _refuse(f"__{_prefix}{_name}__"))
for _name in ("__getitem__", "__setitem__", "__neg__"):
    setattr(_Uninitialized, _name, _refuse(_name))


class UninitializedParameter(_Uninitialized, Parameter):  # type: ignore[misc]
    """A parameter whose shape the first forward decides. Same as torch.nn.parameter.UninitializedParameter."""

    _becomes = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        return _C._make_subclass(cls, pynn.empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(_Uninitialized, Tensor):  # type: ignore[misc]
    """A buffer whose shape the first forward decides. Same as torch.nn.parameter.UninitializedBuffer."""

    __torch_function__ = _C._disabled_torch_function_impl

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> UninitializedBuffer:
        made = _C._make_subclass(cls, pynn.empty(0, device=device, dtype=dtype), requires_grad)
        made.persistent = persistent
        made._is_buffer = True
        return made


def is_lazy(param: Any) -> bool:
    """Return whether a parameter or buffer has no shape yet."""
    return isinstance(param, _Uninitialized)
