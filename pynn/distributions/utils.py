"""What distributions share: broadcasting of parameters, probabilities and logits, triangles, cached properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import pynn
from pynn import Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one shape from tensors and numbers; numbers take the first tensor's dtype, or the default dtype."""
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    first = next((v for v in values if isinstance(v, Tensor)), None)
    dtype = pynn.get_default_dtype() if first is None else first.dtype
    device = None if first is None else first.device
    tensors = [v if isinstance(v, Tensor) else pynn.tensor(v, dtype=dtype, device=device) for v in values]
    if len(tensors) == 1:
        return (tensors[0],)
    return tuple(pynn.broadcast_tensors(*tensors))


def _standard_normal(shape: Sequence[int], dtype: Any, device: Any) -> Tensor:
    return pynn.normal(
        pynn.zeros(shape, dtype=dtype, device=device), pynn.ones(shape, dtype=dtype, device=device)
    )


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last `dim` dimensions."""
    return value if dim == 0 else value.reshape(value.shape[: value.dim() - dim] + (-1,)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from log odds (binary) or from log probabilities up to a constant."""
    return pynn.sigmoid(logits) if is_binary else pynn.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities at least one rounding error away from 0 and 1."""
    eps = pynn.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Log odds (binary) or log probabilities."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


class lazy_property:
    """A property that is computed once, with gradients, and then kept in the instance."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__
        self.__name__ = wrapped.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with pynn.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The entries on and below diagonal `diag`, row by row, as vectors."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = pynn.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The square matrices, zero above diagonal `diag`, of which tril_matrix_to_vec gives `vec`."""
    size = vec.shape[-1]
    n = 0
    while _tril_size(n, diag) < size:
        n += 1
    if _tril_size(n, diag) != size:
        raise RuntimeError(
            f"vec_to_tril_matrix: expected the entries of a triangle in the last dimension, got {size}"
        )
    rows, columns = pynn.tril_indices(n, n, diag, device=vec.device)
    mat = pynn.zeros(vec.shape[:-1] + (n, n), dtype=vec.dtype, device=vec.device)
    mat[..., rows, columns] = vec
    return mat


def _tril_size(n: int, diag: int) -> int:
    low = max(n + min(diag, 0), 0)  # rows below the diagonal's first
    return low * (low + 1) // 2 if diag <= 0 else sum(min(i + 1 + diag, n) for i in range(n))
