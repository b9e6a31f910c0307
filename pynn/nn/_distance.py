"""Distances and similarities, for functional.py."""

from __future__ import annotations

import pynn
from pynn import Tensor


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return the dot product of x1 / max(|x1|, eps) and x2 / max(|x2|, eps) along `dim`."""
    x1, x2 = pynn.broadcast_tensors(x1, x2)
    dtype = pynn.promote_types(x1.dtype, x2.dtype)
    if not dtype.is_floating_point:
        raise RuntimeError(
            f"cosine_similarity: expected common dtype to be floating point, yet common dtype is {dtype}"
        )
    x1, x2 = x1.to(dtype), x2.to(dtype)
    n1 = x1.norm(2, dim, keepdim=True).clamp(min=eps)
    n2 = x2.norm(2, dim, keepdim=True).clamp(min=eps)
    return ((x1 / n1) * (x2 / n2)).sum(dim)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """Return the norm of order p of x1 - x2 + eps along the last dim."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def pdist(input: Tensor, p: float = 2) -> Tensor:
    """Return the distances of order p between all pairs of rows i < j, in the order (0, 1), (0, 2) ..."""
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    n = input.size(0)
    first, second = pynn.ones(n, n, dtype=pynn.bool).triu(1).nonzero().unbind(1)
    return (input.index_select(0, first) - input.index_select(0, second)).norm(p, 1)
