"""More Tensor methods and properties that need no C++, set on Tensor by the loop at the end, and functions with them."""

from __future__ import annotations

import math
import warnings
from typing import Any

from pynn import _C, _numeric
from pynn._C import Tensor

__all__ = [
    "empty_permuted",
    "fill_",
    "get_device",
    "is_conj",
    "is_distributed",
    "is_neg",
    "is_same_size",
    "range",
    "zero_",
]


# -- Python functions of elements -----------------------------------------------------------------------------------


def _replace(self: Tensor, name: str, values: list[Any]) -> Tensor:
    if self.requires_grad:
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
        )
    if not self.is_floating_point() and self.dtype is not _C.bool:
        values = [int(v) for v in values]
    return self.copy_(_C.tensor(values, dtype=self.dtype).reshape(self.shape))


def apply_(self: Tensor, callable: Any) -> Tensor:
    """Replaces each element by callable(element); slow. Same as torch.Tensor.apply_."""
    return _replace(self, "apply_", [callable(v) for v in self.detach().flatten().tolist()])


def map_(self: Tensor, tensor: Tensor, callable: Any) -> Tensor:
    """Replaces each element by callable(element, tensor's element). Same as torch.Tensor.map_."""
    return map_all(self, "map_", (tensor,), callable)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Any) -> Tensor:
    """Replaces each element by callable(element, x's, y's). Same as torch.Tensor.map2_."""
    return map_all(self, "map2_", (x, y), callable)


def map_all(self: Tensor, name: str, others: tuple[Tensor, ...], callable: Any) -> Tensor:
    for t in others:
        if t.dtype is not self.dtype:
            raise TypeError(f"{name}: tensors of one dtype are required, got {self.dtype} and {t.dtype}")
    columns = [t.detach().expand(self.shape).flatten().tolist() for t in (self, *others)]
    return _replace(self, name, [callable(*row) for row in zip(*columns, strict=True)])


# -- Memory and layout ----------------------------------------------------------------------------------------------


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Writes one value to the main diagonal; with wrap it starts again below a square. Same as torch.Tensor.fill_diagonal_."""
    if self.dim() < 2:
        raise RuntimeError(f"fill_diagonal_: dimensions must larger than 1, got {self.dim()}")
    if self.dim() > 2 and len(set(self.shape)) > 1:
        raise RuntimeError(
            f"fill_diagonal_: all dimensions of input must be of equal length, got {tuple(self.shape)}"
        )
    step = sum(self.stride())
    count = min(self.shape)
    offset = self.storage_offset()
    parts = [(count, offset)]
    if wrap and self.dim() == 2:
        rows, columns = self.shape
        start = columns + 1
        while columns and start < rows:
            parts.append((min(columns, rows - start), offset + start * self.stride(0)))
            start += columns + 1
    for n, at in parts:
        self.as_strided((n,), (step,), at).fill_(fill_value)
    return self


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same view of the same memory. Same as torch.Tensor.is_set_to."""
    return (
        _C._storage(self)[0] == _C._storage(tensor)[0]
        and self.storage_offset() == tensor.storage_offset()
        and self.shape == tensor.shape
        and self.stride() == tensor.stride()
    )


def new_empty_strided(
    self: Tensor,
    size: Any,
    stride: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """empty_strided of this tensor's dtype and device by default. Same as torch.Tensor.new_empty_strided."""
    out = _C.empty_strided(  # type: ignore[call-arg]
        size, stride, dtype=dtype or self.dtype, device=device or self.device, pin_memory=pin_memory
    )
    return out.requires_grad_() if requires_grad else out


def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dims from the outermost in memory to the innermost. Same as torch.Tensor.dim_order."""
    return tuple(sorted(builtin_range(self.dim()), key=lambda d: -self.stride(d)))


def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> Tensor:
    """Memory that is dense in the given order of dims, not cleared. Same as torch.empty_permuted."""
    order = list(physical_layout)
    if sorted(order) != list(builtin_range(len(size))):
        raise RuntimeError(
            f"empty_permuted: each dim must appear once in physical_layout, got {tuple(order)} for {tuple(size)}"
        )
    strides, step = [0] * len(order), 1
    for d in reversed(order):
        strides[d] = step
        step *= max(size[d], 1)
    requires_grad = options.pop("requires_grad", False)
    out = _C.empty_strided(size, strides, **options)
    return out.requires_grad_() if requires_grad else out


def resize(self: Tensor, *sizes: Any) -> Tensor:
    """The same elements with other sizes; view and resize_ are what programs want. Same as torch.Tensor.resize."""
    warnings.warn("non-inplace resize is deprecated", UserWarning, stacklevel=2)
    wanted = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if math.prod(wanted) != self.numel():
        raise RuntimeError(
            f"resize: requested resize to {tuple(wanted)}, which has another number of elements than {tuple(self.shape)}"
        )
    return self.contiguous().view(*wanted)


def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """resize to the size of another tensor. Same as torch.Tensor.resize_as."""
    return resize(self, *tensor.shape)


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
    """Itself, or cast: all tensors are dense."""
    return self if dtype is None else self.to(dtype)


def const_data_ptr(self: Tensor) -> int:
    """The address of the first element."""
    return self.data_ptr()


class TypedStorage:
    """A tensor's block of memory as elements of its dtype. Same as torch.TypedStorage, to look at."""

    def __init__(self, tensor: Tensor) -> None:
        self._untyped = tensor.untyped_storage()
        self.dtype = tensor.dtype
        count = self._untyped.nbytes() // tensor.element_size()
        self._all = tensor.detach().as_strided((count,), (1,), 0)

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._untyped.data_ptr()

    def size(self) -> int:
        """The number of elements."""
        return self._all.numel()

    __len__ = size

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._untyped.nbytes()

    def element_size(self) -> int:
        """The bytes of one element."""
        return self._all.element_size()

    def untyped(self) -> Any:
        """The block without a dtype."""
        return self._untyped

    def tolist(self) -> list[Any]:
        """All elements."""
        return self._all.tolist()

    def __getitem__(self, index: Any) -> Any:
        found = self._all[index]
        return found.item() if found.dim() == 0 else found.tolist()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._all[index] = value

    def __iter__(self) -> Any:
        return iter(self.tolist())

    @property
    def device(self) -> Any:
        return self._all.device

    @property
    def is_cuda(self) -> bool:
        return self._all.is_cuda

    def __repr__(self) -> str:
        values = "".join(f" {v}\n" for v in self.tolist())
        return f"{values}[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {len(self)}]"


def storage(self: Tensor) -> TypedStorage:
    """The block of memory that this tensor and its views lie in, as elements. Same as torch.Tensor.storage."""
    return TypedStorage(self)


# -- What complex, quantised and other tensors are asked ------------------------------------------------------------


def is_conj(input: Tensor) -> bool:
    """False: there are no lazily conjugated tensors."""
    return False


def is_neg(input: Tensor) -> bool:
    """False: there are no lazily negated tensors."""
    return False


def is_distributed(input: Tensor) -> bool:
    """False."""
    return False


# -- Functions ------------------------------------------------------------------------------------------------------


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return input.shape == other.shape


def get_device(input: Tensor) -> int:
    """The number of the GPU that holds the tensor, -1 on the CPU. Same as torch.get_device."""
    return input.get_device()


def zero_(input: Tensor) -> Tensor:
    """Zeros in place. Same as torch.zero_."""
    return input.zero_()


def fill_(input: Tensor, value: Any) -> Tensor:
    """One value in place. Same as torch.fill_."""
    return input.fill_(value)


builtin_range = range


def range(
    start: float = 0,
    end: float | None = None,
    step: float = 1,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from start to end, end included; arange is what programs want. Same as torch.range."""
    if end is None:
        start, end = 0, start
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if step == 0:
        raise RuntimeError("range: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"range: upper bound and lower bound inconsistent with step sign, got {start}, {end} and {step}"
        )
    count = int((end - start) / step) + 1
    found = _C.arange(count, dtype=_C.float64) * step + start
    found = found.to(device or "cpu", dtype or _C.get_default_dtype())
    if out is not None:
        return _C.add(found, 0, out=out)
    return found.requires_grad_() if requires_grad else found


def _from_module(name: str, module: str) -> Any:
    """A method that loads the function's module when first called."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        import importlib

        return getattr(importlib.import_module(module), name)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"See pynn.{name}."
    return method


def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What load_state_dict puts in self's place for `other`. Same as torch.Tensor.module_load."""
    return other.detach() if assign else self.copy_(other).detach()


def from_file(
    filename: Any,
    shared: bool | None = None,
    size: int = 0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """The first `size` elements of a file, mapped into memory. Same as torch.from_file.

    Args:
        shared: whether writes go to the file, which is made or grows where it is too short.
    """
    import os

    import numpy as np

    dtype = dtype or _C.get_default_dtype()
    length = size * dtype.itemsize
    if shared:
        with open(filename, "ab") as file:
            if file.tell() < length:
                file.truncate(length)
    elif os.path.getsize(filename) < length:
        raise RuntimeError(
            f"from_file: {length} bytes are required, got a file of {os.path.getsize(filename)} ({filename})"
        )
    if size == 0:
        return _C.empty(0, dtype=dtype, device=device)
    mapped = np.memmap(filename, np.uint8, "r+" if shared else "c", shape=(length,))
    return _C.from_numpy(mapped).view(dtype).to(device or "cpu")


def _is(name: str) -> Any:
    return property(lambda self: False, doc=f"False: there are no {name} tensors.")


_METHODS: dict[str, Any] = {
    "apply_": apply_,
    "const_data_ptr": const_data_ptr,
    "dense_dim": Tensor.dim,
    "dim_order": dim_order,
    "fill_diagonal_": fill_diagonal_,
    "histogram": _numeric.histogram,
    "is_conj": is_conj,
    "is_distributed": is_distributed,
    "is_neg": is_neg,
    "is_set_to": is_set_to,
    "is_shared": lambda self: False,
    "map2_": map2_,
    "map_": map_,
    "module_load": module_load,
    "name": property(lambda self: None, doc="None: tensors have no names."),
    "resize": resize,
    "resize_as": resize_as,
    "sparse_dim": lambda self: 0,
    "to_dense": to_dense,
    "new_empty_strided": new_empty_strided,
    "storage": storage,
}
for _name in "ipu maia mkldnn mtia sparse_csr vulkan xla xpu".split():
    _METHODS[f"is_{_name}"] = _is(_name)
for _name in (
    "cholesky cholesky_inverse cholesky_solve det geqrf inverse logdet lu lu_solve matrix_exp matrix_power orgqr ormqr "
    "pinverse qr slogdet svd triangular_solve"
).split():
    _METHODS[_name] = _from_module(_name, "pynn._linalg.aliases")
for _name in ("istft", "stft"):
    _METHODS[_name] = _from_module(_name, "pynn._spectral")
for _name in ("hardshrink", "prelu"):
    _METHODS[_name] = _from_module(_name, "pynn.nn.functional")
_norm = Tensor.norm


def norm(self: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """See pynn.norm."""
    if p != "nuc":
        return _norm(self, p, dim, keepdim, dtype)
    from pynn.functional import norm

    return norm(self, p, dim, keepdim, None, dtype)


Tensor.norm = norm  # type: ignore[method-assign]
for _name, _function in _METHODS.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, _function)
