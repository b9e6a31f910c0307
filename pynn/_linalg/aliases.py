"""The older names: torch.svd, torch.lu, torch.inverse and their kin, which are functions of the package and methods."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg import factor, spectral
from pynn._linalg.common import array, check_matrix, result_type, tensor, with_out
from pynn._linalg.factor import FactorsEx, lu_factor_ex, lu_unpack
from pynn._linalg.factor import householder_product as orgqr
from pynn._linalg.norms import vector_norm
from pynn._linalg.products import chain_matmul, matrix_exp, matrix_power
from pynn._linalg.solve import cholesky_inverse, cholesky_solve, det, logdet, slogdet
from pynn._linalg.solve import inv as inverse
from pynn._linalg.solve import lu_solve as _lu_solve

__all__ = [
    "chain_matmul",
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "det",
    "frobenius_norm",
    "geqrf",
    "inverse",
    "logdet",
    "lu",
    "lu_solve",
    "lu_unpack",
    "matrix_exp",
    "matrix_power",
    "norm_except_dim",
    "nuclear_norm",
    "orgqr",
    "ormqr",
    "pca_lowrank",
    "pinverse",
    "qr",
    "slogdet",
    "svd",
    "svd_lowrank",
    "triangular_solve",
]

QR = result_type("qr", "Q R")
SVD = result_type("svd", "U S V")
Triangular = result_type("triangular_solve", "solution cloned_coefficient")
Geqrf = result_type("geqrf", "a tau")


@with_out
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """See linalg.cholesky. Same as torch.cholesky."""
    return factor.cholesky(input, upper=upper)


@with_out
def qr(input: Tensor, some: bool = True) -> Any:
    """See linalg.qr. Same as torch.qr."""
    return QR(*factor.qr(input, "reduced" if some else "complete"))


@with_out
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """input = U diag(S) V^H. Same as torch.svd; see linalg.svd."""
    if compute_uv:
        u, s, vh = spectral.svd(input, not some)
        return SVD(u, s, vh.mH)
    m, n = input.shape[-2:]
    batch = input.shape[:-2]
    u, v = (_C.zeros(*batch, k, k, dtype=input.dtype, device=input.device) for k in (m, n))
    return SVD(u, spectral.svdvals(input), v)


@with_out
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """See linalg.pinv. Same as torch.pinverse."""
    return spectral.pinv(input, rcond)


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """L and U in one matrix, row exchanges, and (get_infos) where U's first zero stands. Same as torch.lu."""
    factors, pivots, info = lu_factor_ex(A, pivot=pivot)
    results: Any = FactorsEx(factors, pivots, info) if get_infos else (factors, pivots)
    if out is None:
        return results
    for to, value in zip(out, results, strict=True):
        _C.add(value, 0, out=to)
    return out


@with_out
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """A^-1 b from what lu gave. Same as torch.lu_solve."""
    return _lu_solve(LU_data, LU_pivots, b)


@with_out
def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """A^-1 b for triangular A, and a copy of A. Same as torch.triangular_solve; see linalg.solve_triangular."""
    a = A.mT if transpose else A
    x = _C._linalg.solve_triangular(a, b, upper=upper != transpose, unitriangular=unitriangular)
    return Triangular(x, A.clone().expand(*x.shape[:-2], *A.shape[-2:]))


@with_out
def geqrf(input: Tensor) -> Any:
    """R in the upper triangle, and below it the vectors of the reflections whose factors are tau. Same as torch.geqrf."""
    import numpy as np

    check_matrix("geqrf", input)
    a, tau = np.linalg.qr(array(input), mode="raw")
    return Geqrf(tensor(np.swapaxes(a, -1, -2), input), tensor(tau, input))


@with_out
def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """Q other, Q^H other (transpose), or other Q (not left), Q the product of the reflections that geqrf gave. Same as torch.ormqr."""
    check_matrix("ormqr", input)
    if not left:
        return ormqr(input, tau, other.mH, True, not transpose).mH
    m = input.size(-2)
    if other.size(-2) != m:
        raise RuntimeError(
            f"ormqr: other.shape[-2] must be equal to input.shape[-2], got {other.size(-2)} and {m}"
        )
    unit = input.tril(-1) + _C.eye(m, input.size(-1), dtype=input.dtype, device=input.device)
    count = range(tau.size(-1))
    tau = tau.conj() if transpose else tau
    for i in count if transpose else reversed(count):
        v = unit[..., i : i + 1]
        other = other - tau[..., i : i + 1, None] * (v @ (v.mH @ other))
    return other


@with_out
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """The sum of the singular values. Same as torch.nuclear_norm."""
    from pynn._linalg.norms import matrix_norm

    return matrix_norm(input, "nuc", dim, keepdim)


@with_out
def frobenius_norm(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The root of the sum of squares over dims. Same as torch.frobenius_norm."""
    return vector_norm(input, 2, dim or None, keepdim)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of the slices along dim. Same as torch.norm_except_dim."""
    if dim == -1:
        return vector_norm(v, pow)
    dims = [d for d in range(v.dim()) if d != dim]
    return vector_norm(v, pow, dims, True) if dims else v.abs()


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S, V of about the q largest singular values of A - M, by random projection. Same as torch.svd_lowrank.

    Args:
        niter: how often the projection is sharpened by another product with A and its adjoint.
    """
    q = 6 if q is None else q
    m, n = A.shape[-2:]
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    x = A if M is None else A - M
    if m < n:
        x = x.mH
    basis = factor.qr(x @ _C.randn(x.size(-1), q, dtype=A.dtype, device=A.device)).Q
    for _ in range(2 if niter is None else niter):
        basis = factor.qr(x.mH @ basis).Q
        basis = factor.qr(x @ basis).Q
    u, s, vh = spectral.svd(basis.mH @ x, full_matrices=False)
    u, v = basis @ u, vh.mH
    return (v, s, u) if m < n else (u, s, v)


def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """svd_lowrank of A with its columns' means taken off. Same as torch.pca_lowrank."""
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
