"""What all files of linear algebra share: checks, NumPy in and out, named results, out=."""

from __future__ import annotations

import functools
from collections import namedtuple
from typing import Any

from pynn import _C
from pynn._broadcast import broadcast_shapes
from pynn._C import Tensor


class LinAlgError(RuntimeError):
    """A matrix for which an operation has no result: singular, or not positive definite."""


LinAlgError.__module__ = "torch.linalg"


def result_type(name: str, fields: str) -> Any:
    """A named tuple that prints as PyTorch's."""
    return namedtuple(name, fields, module="torch.return_types")


def check_floating(name: str, *tensors: Tensor) -> None:
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: a Tensor is required, got {type(x).__name__}")
        if x.dtype in (_C.float16, _C.bfloat16):
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {x.dtype}")
        if not (x.is_floating_point() or x.is_complex()):
            raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype}")
    if len(tensors) == 1:
        return
    if len({x.dtype for x in tensors}) > 1:
        raise RuntimeError(
            f"{name}: Expected all tensors to have the same dtype, got {[str(x.dtype) for x in tensors]}"
        )
    if len({x.device for x in tensors}) > 1:
        raise RuntimeError(
            f"{name}: Expected all tensors to be on the same device, got {[str(x.device) for x in tensors]}"
        )


def check_matrix(name: str, x: Tensor, letter: str = "A") -> None:
    check_floating(name, x)
    if x.dim() < 2:
        raise RuntimeError(
            f"{name}: The input tensor {letter} must have at least 2 dimensions, got {x.dim()}"
        )


def check_square(name: str, x: Tensor, letter: str = "A") -> None:
    check_matrix(name, x, letter)
    if x.size(-1) != x.size(-2):
        raise RuntimeError(
            f"{name}: {letter} must be batches of square matrices, but they are {x.size(-2)} by {x.size(-1)} "
            "matrices"
        )


def array(x: Tensor) -> Any:
    """The values, in NumPy. Of CUDA tensors a copy: LAPACK runs on the host, and results go back (see tensor)."""
    return x.detach().cpu().numpy()


def beside(a: Any, like: Tensor) -> Tensor:
    """The array's values, of its own type, where `like` is."""
    import numpy as np

    return _C.from_numpy(np.asarray(a)).to(like.device)


def tensor(a: Any, like: Tensor) -> Tensor:
    """Fresh contiguous memory with the array's values, real or complex, in the precision of `like` and on its device."""
    import numpy as np

    dtype = like.dtype.to_complex() if np.iscomplexobj(a) else like.dtype.to_real()
    return _C.from_numpy(np.array(a, order="C")).to(like.device, dtype)


def failed(info: Tensor) -> bool:
    return bool(info.any() if info.dim() else info.item())


def failing(name: str, info: Tensor, text: Any) -> LinAlgError:
    """The error for the first matrix of a stack whose info is not 0: text(info)."""
    for i, at in enumerate(info.reshape(-1).tolist()):
        if at:
            where = f"(Batch element {i}): " if info.dim() else ""
            return LinAlgError(f"{name}: {where}{text(at)}")
    raise AssertionError("no matrix failed")


def linked(function: Any, A: Tensor, *others: Tensor) -> Tensor:
    """function.apply, whose last argument is the result; that result where nothing asks for a gradient."""
    wanted = _C.is_grad_enabled() and any(x.requires_grad for x in (A, *others[:-1]))
    return function.apply(A, *others) if wanted else others[-1]


def batched(name: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with their common batch dims in front of the last two."""
    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    batch = _batch_shape(name, a, b)
    return a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])


def _batch_shape(name: str, a: Tensor, b: Tensor) -> tuple[int, ...]:
    try:
        return tuple(broadcast_shapes(a.shape[:-2], b.shape[:-2]))
    except RuntimeError as error:
        raise RuntimeError(f"{name}: batch dimensions do not broadcast: {error}") from None


def with_out(function: Any) -> Any:
    """Adds out=: a tensor, or one per result."""

    @functools.wraps(function)
    def wrapper(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if out is None:
            return result
        if isinstance(result, tuple):
            if len(out) != len(result):
                raise TypeError(f"{function.__name__}: out must hold {len(result)} tensors, got {len(out)}")
            for to, value in zip(out, result, strict=True):
                _C.add(value, 0, out=to)
            return type(result)(*out)
        return _C.add(result, 0, out=out)

    return wrapper
