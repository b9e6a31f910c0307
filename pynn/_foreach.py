"""torch._foreach_*: one op over lists of tensors, as optimisers outside of torch.optim call it.

`_foreach_x(tensors, ...)` gives a tuple, `_foreach_x_(tensors, ...)` changes its tensors and gives a list of them. Each
further argument is one value for all, or a list with one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pynn._C import Tensor

_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal "
    "round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
).split()
_BINARY = "add sub mul div pow lerp clamp_min clamp_max maximum minimum".split()
_WITH_VALUE = "addcmul addcdiv".split()
_METHODS = {"maximum": "clamp_min", "minimum": "clamp_max"}  # which take numbers, and have in-place forms
_KEYWORDS = {
    "scalar",
    "scalars",
    "other",
    "exponent",
    "weight",
    "weights",
    "tensors1",
    "tensor1",
    "tensor2",
    "value",
}


def _rows(name: str, tensors: Sequence[Tensor], columns: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """For each tensor the tensor and its arguments."""
    if not tensors:
        raise RuntimeError(f"{name}: at least one tensor is required, got an empty list")
    full = [c if isinstance(c, list | tuple) else [c] * len(tensors) for c in columns]
    for c in full:
        if len(c) != len(tensors):
            raise RuntimeError(
                f"{name}: lists of one length are required, got {len(tensors)} tensors and {len(c)} values"
            )
    return zip(tensors, *full, strict=True)


def _make(op: str, inplace: bool) -> Callable[..., Any]:
    name = f"_foreach_{op}" + "_" * inplace
    method = _METHODS.get(op, op) + "_" * inplace

    def one(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return getattr(Tensor, method)(x, *args, **kwargs)  # type: ignore[no-any-return]

    def foreach(self: Any, *args: Any, alpha: Any = 1, **kwargs: Any) -> Sequence[Tensor]:
        if not kwargs.keys() <= _KEYWORDS:
            raise TypeError(f"{name}() got an unexpected keyword argument {min(kwargs.keys() - _KEYWORDS)!r}")
        if op == "pow" and not isinstance(self, list | tuple):
            return tuple(self**x for x in args[0])
        args = (*args, *kwargs.values())
        if op in _WITH_VALUE and len(args) == 3:
            values = args[2].tolist() if isinstance(args[2], Tensor) else args[2]
            out = [one(*row[:3], value=row[3]) for row in _rows(name, self, (*args[:2], values))]
        elif op in ("add", "sub"):
            out = [one(*row, alpha=alpha) for row in _rows(name, self, args)]
        else:
            out = [one(*row) for row in _rows(name, self, args)]
        return out if inplace else tuple(out)

    foreach.__name__ = foreach.__qualname__ = name
    return foreach


for _op in [*_UNARY, *_BINARY, *_WITH_VALUE]:
    globals()[f"_foreach_{_op}"] = _make(_op, False)
    globals()[f"_foreach_{_op}_"] = _make(_op, True)


def _foreach_norm(self: Sequence[Tensor], ord: Any = 2, dtype: Any = None) -> tuple[Tensor, ...]:
    """The norm of each tensor."""
    from pynn.linalg import vector_norm

    return tuple(vector_norm(x, ord, dtype=dtype) for (x,) in _rows("_foreach_norm", self, ()))


def _foreach_max(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The largest element of each tensor."""
    return tuple(x.max() for (x,) in _rows("_foreach_max", self, ()))


def _foreach_clone(self: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """A copy of each tensor."""
    return tuple(x.clone() for (x,) in _rows("_foreach_clone", self, ()))


def _foreach_copy_(self: Sequence[Tensor], src: Sequence[Tensor], non_blocking: bool = False) -> list[Tensor]:
    """Writes to each tensor what its source holds."""
    return [x.copy_(y) for x, y in _rows("_foreach_copy_", self, (list(src),))]


def _foreach_zero_(self: Sequence[Tensor]) -> list[Tensor]:
    """Fills each tensor with zeros."""
    return [x.zero_() for (x,) in _rows("_foreach_zero_", self, ())]
