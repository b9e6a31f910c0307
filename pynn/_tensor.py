"""Methods of Tensor that are not hot: plain functions here, put onto the type at import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__: list[str] = []


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Add this tensor's gradients to the .grad of the leaves it came from. Same as torch.Tensor.backward."""
    if gradient is None and inputs is None:
        _C._backward_one(self, create_graph if retain_graph is None else retain_graph, create_graph)
        return
    import pynn.autograd

    pynn.autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Say whether gradients are wanted, in place."""
    _C._requires_grad_(self, requires_grad)
    return self


def detach_(self: Tensor) -> Tensor:
    """Take this tensor off the graph, in place."""
    _C._detach_(self)
    return self


def numpy(self: Tensor, *, force: bool = False) -> Any:
    """A NumPy array over the same memory. Same as torch.Tensor.numpy.

    bfloat16 needs the package ml_dtypes. With force, whatever stands in the way (gradient) is dropped first.
    """
    import numpy as np

    t = self.detach() if force else self
    if t.requires_grad:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    if t.dtype is _C.bfloat16:
        try:
            import ml_dtypes
        except ImportError:
            raise TypeError("numpy: got bfloat16, which NumPy lacks (install ml_dtypes, or use .float() first)") from None
        return np.asarray(memoryview(t.view(_C.int16))).view(ml_dtypes.bfloat16)
    return np.asarray(memoryview(t))


def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The tensor type's name, or the tensor in another dtype. Same as torch.Tensor.type."""
    names = {
        "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int8": "Char", "uint8": "Byte",
        "int16": "Short", "int32": "Int", "int64": "Long", "bool": "Bool",
    }  # fmt: skip
    if dtype is None:
        return f"torch.{names[str(self.dtype)[6:]]}Tensor"
    if isinstance(dtype, str):
        wanted = dtype.rpartition(".")[2].removesuffix("Tensor")
        for name, legacy in names.items():
            if legacy == wanted:
                return self.to(getattr(_C, name))
        raise ValueError(f"type: invalid type: '{dtype}'")
    return self.to(getattr(dtype, "dtype", dtype))


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A copy of data in this tensor's dtype. Same as torch.Tensor.new_tensor."""
    return _C.tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Any:
    """Call hook(grad) when this tensor's gradient is known; what it returns replaces the gradient."""
    return _C._register_hook(self, hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> Any:
    """Call hook(leaf) after backward added to the leaf's .grad."""
    return _C._register_post_accumulate_grad_hook(self, hook)


def retain_grad(self: Tensor) -> None:
    """Keep .grad also on a tensor that is not a leaf."""
    _C._retain_grad(self)


def share_memory_(self: Tensor) -> Tensor:
    """The tensor itself: workers of the data loader run in this process."""
    return self


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: there is no pinned memory without CUDA."""
    return self


def is_shared(self: Tensor) -> bool:
    """Whether the memory is shared between processes: never."""
    return False


def split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of a given size or of given sizes, as views. Same as torch.Tensor.split."""
    return _C.split(self, split_size, dim)


def __reversed__(self: Tensor) -> Tensor:
    return self.flip(*range(self.dim())) if self.dim() else self


def __contains__(self: Tensor, element: Any) -> bool:
    if not isinstance(element, (Tensor, int, float, bool)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool((self == element).any())


def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:
    import copy

    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage"
        )
    if id(self) in memo:
        return memo[id(self)]
    data = self.detach().clone()
    out = data.requires_grad_(self.requires_grad) if type(self) is Tensor else _C._make_subclass(type(self), data, self.requires_grad)
    memo[id(self)] = out
    if self.grad is not None:
        out.grad = copy.deepcopy(self.grad, memo)
    if self.__dict__:
        out.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return out


def _rebuild(cls: type, data: bytes, dtype: str, size: tuple[int, ...], requires_grad: bool, state: dict[str, Any]) -> Tensor:
    kind = getattr(_C, dtype)
    t = _C.frombuffer(bytearray(data), dtype=kind).view(size) if data else _C.empty(size, dtype=kind)
    out = t.requires_grad_(requires_grad) if cls is Tensor else _C._make_subclass(cls, t, requires_grad)
    out.__dict__.update(state)
    return out


def __reduce_ex__(self: Tensor, protocol: int) -> tuple[Any, ...]:
    if not self.is_leaf:
        raise RuntimeError("pickle: only leaf tensors can be pickled (use detach())")
    flat = self.detach().contiguous()
    data = bytes(memoryview(flat.view(-1).view(_C.uint8))) if flat.numel() else b""
    return _rebuild, (type(self), data, str(self.dtype)[6:], tuple(self.shape), self.requires_grad, dict(self.__dict__))


def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:
    from pynn._tensor_str import tensor_str

    return tensor_str(self)


def __format__(self: Tensor, spec: str) -> str:
    return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)


def _install() -> None:
    for name, value in list(globals().items()):
        if callable(value) and getattr(value, "__module__", None) == __name__ and (not name.startswith("_") or name.startswith("__")):
            setattr(Tensor, name.removesuffix("_") if name == "type_" else name, value)
    Tensor.__module__ = "torch"


_install()
