"""Tensor methods that need no C++, and the functions and constants that go with them.

The plain functions under "Methods" are set on Tensor by the loop at the end.
"""

from __future__ import annotations

from typing import Any

import pynn
from pynn import _C, _legacy
from pynn._C import Tensor
from pynn._legacy import *  # noqa: F403
from pynn.autograd.graph import _end_pass, _waiting
from pynn.storage import UntypedStorage, is_storage

__all__ = [
    *_legacy.__all__,
    "UntypedStorage",
    "asarray",
    "is_complex",
    "is_floating_point",
    "is_inference",
    "is_nonzero",
    "is_signed",
    "is_storage",
    "is_tensor",
    "layout",
    "nonzero",
    "numel",
    "strided",
]

_backward_one = _C._backward_one


class _Named:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class layout(_Named):
    """How a tensor is stored. There is one layout: strided."""


strided = layout("strided")


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor. Same as torch.is_tensor."""
    return isinstance(obj, Tensor)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """`obj` as a tensor, sharing memory where possible. Same as torch.asarray.

    Args:
        obj: a tensor, an array, an object with DLPack or the buffer protocol, or (nested) numbers.
        copy: True always copies, False never does, None only where needed.

    Raises:
        ValueError: copy=False, and a copy would be needed.
    """
    if isinstance(obj, Tensor):
        shared = obj
    elif isinstance(obj, UntypedStorage):
        shared = obj._as(dtype or _C.uint8)
    elif type(obj).__module__ == "numpy":
        shared = _C.as_tensor(obj)
    elif isinstance(obj, (list, tuple, bool, int, float, complex)):
        shared = None
    elif hasattr(obj, "__dlpack__"):
        shared = _C.from_dlpack(obj)  # type: ignore
    else:
        try:
            memoryview(obj)
        except TypeError:
            shared = None
        else:
            shared = _C.frombuffer(obj, dtype=dtype or _C.get_default_dtype())
    if shared is None:
        if copy is False:
            raise ValueError("asarray: can't alias arbitrary sequence into a tensor.")
        return _C.tensor(obj, dtype=dtype, device=device, requires_grad=requires_grad)
    out = shared.to(device=device, dtype=dtype, copy=bool(copy))
    if copy is False and out is not shared:
        raise ValueError(
            f"asarray: can't alias a tensor of {shared.dtype} on {shared.device} without a copy."
        )
    if requires_grad:
        return out.detach().requires_grad_() if out is obj and not out.is_leaf else out.requires_grad_()
    return out.detach() if out.requires_grad else out


# Methods.


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add this tensor's gradients to the .grad of the leaves it came from. Same as torch.Tensor.backward."""
    if gradient is None and inputs is None:
        mark = len(_waiting)
        try:
            _backward_one(self, create_graph if retain_graph is None else retain_graph, create_graph)
        except BaseException:
            _end_pass(mark, True)
            raise
        if len(_waiting) > mark:
            _end_pass(mark, False)
    else:
        from pynn import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def register_hook(self: Tensor, hook: Any) -> Any:
    """Call hook(grad) whenever the gradient is computed; what it returns, if not None, replaces it."""
    return _C._register_hook(self, hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Any) -> Any:
    """Call hook(self) after a gradient was added to .grad of this leaf."""
    return _C._register_post_accumulate_grad_hook(self, hook)


def retain_grad(self: Tensor) -> None:
    """Keep the gradient of this tensor, which is no leaf, in .grad too."""
    _C._retain_grad(self)


def _init_subclass(cls: Any, **kwargs: Any) -> None:
    super(Tensor, cls).__init_subclass__(**kwargs)
    _C._overriding_class(cls)


def _torch_function(cls: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """Keeps what functions make of tensors of a class in the class. Same as torch.Tensor.__torch_function__."""
    from pynn.overrides import _of_class

    return _of_class(cls, func, types, args, kwargs)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Set whether gradients are computed for this leaf."""
    return _C._requires_grad_(self, requires_grad)


def detach_(self: Tensor) -> Tensor:
    """Take this tensor itself off the graph."""
    return _C._detach_(self)


def numpy(self: Tensor, *, force: bool = False) -> Any:
    """A NumPy array that shares this tensor's memory. Same as torch.Tensor.numpy.

    bfloat16, which NumPy lacks, comes as ml_dtypes.bfloat16 where that package is installed.

    Args:
        force: detach and copy to host memory first where needed.

    Raises:
        RuntimeError: the tensor requires grad, outside of no_grad.
        TypeError: it is not in host memory, or of a dtype that NumPy lacks.
    """
    import numpy

    if force:
        self = self.detach().cpu()
    elif self.requires_grad and _C.is_grad_enabled():
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    self = self.detach() if self.requires_grad else self
    if self.device.type != "cpu":
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
            "memory first."
        )
    if self.dtype is not _C.bfloat16:
        return numpy.asarray(self)
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(
            "numpy: Got unsupported ScalarType BFloat16 (install ml_dtypes, or use tensor.float())"
        ) from None
    return numpy.asarray(self.view(_C.int16)).view(ml_dtypes.bfloat16)


def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    array = self.numpy()
    if dtype is not None:
        array = array.astype(dtype, copy=False)
    return array.copy() if copy else array


def __array_wrap__(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What NumPy's functions of a tensor return."""
    return _C.from_numpy(array) if getattr(array, "ndim", 0) else _C.tensor(array)


def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:
    from pynn._tensor_str import tensor_repr

    return tensor_repr(self, tensor_contents)


def __format__(self: Tensor, spec: str) -> str:
    if self.dim() == 0 and type(self) is Tensor and not self.is_meta:
        return format(self.item(), spec)
    return object.__format__(self, spec)


def __complex__(self: Tensor) -> complex:
    return complex(self.item())


def __contains__(self: Tensor, element: Any) -> bool:
    if isinstance(element, (Tensor, bool, int, float, complex)):
        return bool((element == self).any())  # type: ignore
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


def __reversed__(self: Tensor) -> Tensor:
    return self if self.dim() == 0 else self.flip(0)


def __copy__(self: Tensor) -> Tensor:
    """Another tensor over the same memory."""
    return _restored(type(self), self.detach(), self.requires_grad, self.__dict__)


def __deepcopy__(self: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A leaf with the same values; tensors that share memory share it in the copy too."""
    done = memo.get(id(self))
    if done is not None:
        return done
    if not self.is_leaf:
        raise RuntimeError(
            "deepcopy: Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment (detach() the tensor, or keep it out of what is copied)"
        )
    from copy import deepcopy

    source = self.detach()
    if self.is_meta:
        copied = _C.empty_like(source)
    else:
        address, nbytes = _C._storage(source)
        key = ("storage", address, nbytes, source.dtype)
        whole = memo.get(key)
        if whole is None:
            whole = source.as_strided((nbytes // source.element_size(),), (1,), 0).clone()
            memo[key] = whole
        copied = whole.as_strided(source.shape, source.stride(), source.storage_offset()).detach()
    copied = _restored(type(self), copied, self.requires_grad, {})
    memo[id(self)] = copied
    if self.grad is not None:
        copied.grad = deepcopy(self.grad, memo)
    if self.__dict__:
        copied.__dict__.update(deepcopy(self.__dict__, memo))
    return copied


def __reduce_ex__(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    values = _C._to_bytes(self.detach())
    return _rebuild, (
        type(self),
        values,
        self.dtype,
        tuple(self.shape),
        self.requires_grad,
        dict(self.__dict__),
        str(self.device),
    )


def _rebuild(
    kind: type,
    values: bytes,
    dtype: Any,
    shape: tuple[int, ...],
    requires_grad: bool,
    attributes: dict[str, Any],
    device: str = "cpu",
) -> Tensor:
    return _restored(kind, _C._from_bytes(values, dtype, shape).to(device), requires_grad, attributes)


def _restored(kind: type, data: Tensor, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    if kind is Tensor:
        data.requires_grad = requires_grad
    else:
        data = _C._make_subclass(kind, data, requires_grad)
    if attributes:
        data.__dict__.update(attributes)
    return data


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of this tensor's type ("torch.FloatTensor"), or the values with another dtype."""
    if dtype is None:
        return _legacy.type_name(self)
    return self.to(_legacy.place_named(dtype, self), _legacy.dtype_named(dtype))


def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor with the given values, of this one's dtype and device by default."""
    return _C.tensor(
        data,
        dtype=dtype or self.dtype,
        device=device or self.device,
        requires_grad=requires_grad,
        pin_memory=pin_memory,
    )


def new(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Like Tensor(...), of this tensor's dtype."""
    return _C._legacy_new(self.dtype, args, kwargs)


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The block of memory that this tensor and its views lie in."""
    return UntypedStorage._of(self)


_set = Tensor.set_  # replaced below


def set_(
    self: Tensor,
    source: Tensor | UntypedStorage | None = None,
    storage_offset: int = 0,
    size: Any = None,
    stride: Any = None,
) -> Tensor:
    """Lie in the memory of `source`, a tensor or a storage, from now on. Same as torch.Tensor.set_."""
    if source is None:
        return _set(self)
    if isinstance(source, UntypedStorage):
        source = source._as(self.dtype)
    return _set(self, source) if size is None else _set(self, source, storage_offset, size, stride)


def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not 0. Same as torch.is_nonzero."""
    return bool(input)


def is_inference(self: Tensor) -> bool:
    """Whether it was made in inference_mode."""
    return _C._is_inference(self)


def is_same_size(self: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return self.shape == other.shape


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is page-locked, so that a GPU copies it at full speed."""
    return pynn.cuda.is_available() and pynn.cuda.backend.is_pinned(self)


def _is_view(self: Tensor) -> bool:
    return self._base is not None


def share_memory_(self: Tensor) -> Tensor:
    """Move the values to memory that processes forked from now on share. As torch.Tensor.share_memory_."""
    import mmap

    block = mmap.mmap(-1, max(self.numel() * self.element_size(), 1))
    shared = _C.frombuffer(block, dtype=_C.uint8)[: self.numel() * self.element_size()]
    self.data = shared.view(self.dtype).view(self.shape).copy_(self.detach())
    return self


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """A copy in page-locked memory, which a GPU reads faster, and without waiting: the tensor itself if it is there.

    Raises:
        RuntimeError: there is no GPU, or the tensor is not on the CPU.
    """
    return pynn.cuda.require().pin_memory(self)


def record_stream(self: Tensor, stream: Any) -> None:
    """Memory that is freed waits for the work of that stream before it is used again."""
    pynn.cuda.require().record_stream(self, stream.cuda_stream)


_nonzero = _C.nonzero  # the method of this name is replaced below
_where = _C.where


def nonzero(input: Tensor, *, out: Tensor | None = None, as_tuple: bool = False) -> Any:
    """The positions of all nonzero elements: [count, ndim], or one vector per dim. Same as torch.nonzero."""
    if as_tuple:
        return _where(input)
    return _nonzero(input) if out is None else _nonzero(input, out=out)


for _name, _function in {
    "backward": backward,
    "detach_": detach_,
    "is_inference": is_inference,
    "is_nonzero": is_nonzero,
    "is_same_size": is_same_size,
    "_is_view": _is_view,
    "is_pinned": is_pinned,
    "new": new,
    "new_tensor": new_tensor,
    "nonzero": nonzero,
    "numpy": numpy,
    "pin_memory": pin_memory,
    "record_stream": record_stream,
    "register_hook": register_hook,
    "register_post_accumulate_grad_hook": register_post_accumulate_grad_hook,
    "requires_grad_": requires_grad_,
    "retain_grad": retain_grad,
    "set_": set_,
    "share_memory_": share_memory_,
    "type": type_,
    "untyped_storage": untyped_storage,
    "layout": property(lambda self: strided),
    "__array__": __array__,
    "__array_priority__": 1000,  # NumPy leaves mixed arithmetic to tensors
    "__array_wrap__": __array_wrap__,
    "__complex__": __complex__,
    "__copy__": __copy__,
    "__contains__": __contains__,
    "__deepcopy__": __deepcopy__,
    "__format__": __format__,
    "__reduce_ex__": __reduce_ex__,
    "__repr__": __repr__,
    "__reversed__": __reversed__,
    "__init_subclass__": classmethod(_init_subclass),
    "__torch_function__": classmethod(_torch_function),
}.items():
    setattr(Tensor, _name, _function)


# As functions of a tensor.
is_complex = Tensor.is_complex
is_floating_point = Tensor.is_floating_point
is_signed = Tensor.is_signed
numel = Tensor.numel
