"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import LinAlgError, check_matrix, check_square, with_out
from pynn._linalg.solve import inv, inv_ex
from pynn._linalg.spectral import svdvals

_INF = float("inf")


def _typed(name: str, x: Tensor, dtype: Any) -> Tensor:
    if not (x.is_floating_point() or x.is_complex()):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype}")
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {dtype}")
    return x if dtype is None else x.to(dtype)


@with_out
def vector_norm(
    x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over dims, or over all elements. Same as torch.linalg.vector_norm."""
    x = _typed("linalg.vector_norm", x, dtype)
    dims = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if dims == []:
        dims = None
    order = float(ord)
    if x.numel() == 0 and (order < 0 or order == _INF):
        over = range(x.dim()) if dims is None else [d % x.dim() for d in dims]
        if any(x.size(d) == 0 for d in over):
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not "
                "have an identity"
            )
    return _C.norm(x, order, dims, keepdim)


@with_out
def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of matrices: "fro", "nuc", 1, -1, 2, -2, inf or -inf. Same as torch.linalg.matrix_norm."""
    check_matrix("linalg.matrix_norm", A) if A.dim() < 2 else None
    A = _typed("linalg.matrix_norm", A, dtype)
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    for d in dim:
        if not -A.dim() <= d < A.dim():
            raise IndexError(
                f"linalg.matrix_norm: Dimension out of range (expected to be in range of [{-A.dim()}, {A.dim() - 1}], "
                f"but got {d})"
            )
    row, column = (d % A.dim() for d in dim)
    if row == column:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return vector_norm(A, 2, [row, column], keepdim)
    if ord == "nuc" or (not isinstance(ord, str) and abs(ord) == 2):
        s = svdvals(A.movedim((row, column), (-2, -1)))
        # The largest of no singular values is 0; there is no smallest one.
        found = (
            s.sum(-1)
            if ord == "nuc" or (ord == 2 and s.size(-1) == 0)
            else s.amax(-1)
            if ord == 2
            else s.amin(-1)
        )
        if keepdim:
            for d in sorted((row, column)):
                found = found.unsqueeze(d)
        return found
    if isinstance(ord, str) or abs(ord) not in (1, _INF):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    inner, outer = (row, column) if abs(ord) == 1 else (column, row)
    sums = vector_norm(A, 1, [inner], True)
    empty = ord > 0 and sums.size(outer) == 0
    found = sums.sum(outer, True) if empty else sums.amax(outer, True) if ord > 0 else sums.amin(outer, True)
    return found if keepdim else found.squeeze((row, column))


@with_out
def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """A vector norm, or a matrix norm where dim names two dims or the tensor has two. Same as torch.linalg.norm."""
    if ord is not None:
        if dim is None and A.dim() not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.dim()}D."
            )
        two = A.dim() == 2 if dim is None else isinstance(dim, (tuple, list)) and len(dim) == 2
        if two:
            return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
        if isinstance(ord, str):
            raise RuntimeError(f"linalg.norm: the order {ord!r} needs matrices, got dim={dim}")
        return vector_norm(A, ord, dim, keepdim, dtype=dtype)
    return vector_norm(A, 2, dim, keepdim, dtype=dtype)


@with_out
def cond(A: Tensor, p: Any = None) -> Tensor:
    """Condition numbers with respect to a matrix norm, by default the 2-norm. Same as torch.linalg.cond."""
    check_matrix("linalg.cond", A)
    if A.numel() == 0 and (A.size(-1) == A.size(-2) or p in (None, 1, -1, 2, -2)):
        return _C.zeros(A.shape[:-2], dtype=A.dtype.to_real(), device=A.device)
    if p is None or p in (2, -2):
        s = svdvals(A)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    check_square("linalg.cond", A)
    if p == "nuc":
        try:
            return matrix_norm(A, p) * matrix_norm(inv(A), p)
        except LinAlgError:
            return _C.full(A.shape[:-2], float("inf"), dtype=A.dtype.to_real(), device=A.device)
    inverse, info = inv_ex(A)
    found = matrix_norm(A, p) * matrix_norm(inverse, p)
    return _C.where(info != 0, float("inf"), found) if info.any() else found
