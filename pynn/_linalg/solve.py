"""Inverses, determinants and linear systems."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import (
    LinAlgError,
    array,
    batched,
    check_floating,
    check_matrix,
    check_square,
    failed,
    failing,
    linked,
    result_type,
    tensor,
    with_out,
)
from pynn._linalg.factor import _order, _permuted, _unit_lower, lu_values
from pynn.autograd.function import Function

InvEx = result_type("linalg_inv_ex", "inverse info")
SolveEx = result_type("linalg_solve_ex", "result info")
Slogdet = result_type("linalg_slogdet", "sign logabsdet")


def _singular(name: str, info: Tensor, what: str) -> LinAlgError:
    return failing(
        name,
        info,
        lambda at: (
            f"The diagonal element {at} is zero, {what} could not be completed because the input matrix is singular."
        ),
    )


def _solved(A: Tensor, b: Tensor) -> Any:
    """A^-1 b and info; A's batch dims may be fewer than b's. No gradient."""
    import numpy as np

    if not A.is_complex():
        lu, pivots, info = _C._linalg.real_lu(A.cpu())
        if A.dim() < b.dim() or A.shape[:-2] != b.shape[:-2]:
            lu, pivots = lu.expand(*b.shape[:-2], *lu.shape[-2:]), pivots.expand(*b.shape[:-2], -1)
        return _C._linalg.real_lu_solve(lu, pivots, b.cpu()).to(A.device), info.to(A.device)
    values = array(A)
    try:
        return tensor(np.linalg.solve(values, array(b)), b), _C.zeros(
            A.shape[:-2], dtype=_C.int32, device=A.device
        )
    except np.linalg.LinAlgError:
        info = lu_values(A)[2]
        safe = np.where(
            array(info)[..., None, None] != 0, np.eye(values.shape[-1], dtype=values.dtype), values
        )
        return tensor(np.linalg.solve(safe, array(b)), b), info


def _eye(A: Tensor) -> Tensor:
    eye = _C.eye(A.size(-1), dtype=A.dtype, device=A.device)
    return eye if A.dim() == 2 else eye.expand(A.shape)


# -- Inverse --------------------------------------------------------------------------------------------------------


class _Inverse(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, values: Tensor) -> Tensor:
        y = values.detach()  # a tensor of its own, which gets the graph
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return -(y.mH @ g @ y.mH), None


@with_out
def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices. Same as torch.linalg.inv.

    Raises:
        LinAlgError: a matrix is singular.
    """
    inverse, info = inv_ex(A)
    if failed(info):
        raise _singular("linalg.inv", info, "the inversion")
    return inverse


@with_out
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """inv without an error: info holds 0, or where U's first zero stands; such an inverse is not meaningful."""
    check_square("linalg.inv", A)
    values, info = _solved(A, _eye(A))
    if check_errors and failed(info):
        raise _singular("linalg.inv_ex", info, "the inversion")
    return InvEx(linked(_Inverse, A, values), info)


# -- Determinants ---------------------------------------------------------------------------------------------------


def _cofactors(a: Tensor) -> Tensor:
    """The conjugate derivative of det, also of singular matrices."""
    import numpy as np

    u, s, vh = np.linalg.svd(array(a))
    n = s.shape[-1]
    others = np.ones_like(s)
    for i in range(n):
        others[..., i] = np.prod(np.delete(s, i, -1), -1)
    signs = np.linalg.det(u) * np.linalg.det(vh)
    return tensor(np.conj(signs)[..., None, None] * (u * others[..., None, :]) @ vh, a)


def _diagonal(a: Tensor) -> Any:
    """The permutation's sign, and U's diagonal."""
    lu, pivots, _ = lu_values(a)
    moved = (pivots != _C.arange(1, a.size(-1) + 1, dtype=_C.int32, device=a.device)).sum(-1)
    return (1 - 2 * (moved % 2)).to(a.dtype), lu.diagonal(0, -2, -1)


class _Det(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        sign, d = _diagonal(a)
        y = d.prod(-1) * sign
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, y = ctx.saved_tensors
        g = g[..., None, None]
        try:
            return g * y[..., None, None].conj() * inv(a).mH
        except LinAlgError:
            return g * _cofactors(a)


@with_out
def det(A: Tensor) -> Tensor:
    """The determinants of square matrices. Same as torch.linalg.det."""
    check_square("linalg.det", A)
    return _Det.apply(A)


class _Slogdet(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        sign, d = _diagonal(a)
        sign, logabs = sign * d.sgn().prod(-1), d.abs().log().sum(-1)
        ctx.save_for_backward(a, sign)
        return sign, logabs

    @staticmethod
    def backward(ctx: Any, gs: Tensor, g: Tensor) -> Any:  # a real sign is constant
        a, sign = ctx.saved_tensors
        if sign.is_complex():
            g = g - 1j * (gs.conj() * sign).imag
        return g[..., None, None] * inv(a).mH


@with_out
def slogdet(A: Tensor) -> Any:
    """The signs and the logarithms of the absolute values of determinants. Same as torch.linalg.slogdet."""
    check_square("linalg.slogdet", A)
    return Slogdet(*_Slogdet.apply(A))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where that is negative. Same as torch.logdet."""
    check_square("logdet", input)
    sign, logabs = slogdet(input)
    if sign.is_complex():
        return sign.log() + logabs
    return _C.where(sign == -1, float("nan"), logabs)


# -- Systems --------------------------------------------------------------------------------------------------------


class _Solve(Function):
    """x = a^-1 b, all with all batch dims."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, values: Tensor) -> Tensor:
        x = values.detach()
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, x = ctx.saved_tensors
        gb = solve(a.mH, g)
        return (-gb @ x.mH if ctx.needs_input_grad[0] else None), gb, None


@with_out
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or (left=False) X A = B. Same as torch.linalg.solve.

    Args:
        B: matrices, or vectors where it has A's shape without the last dim.

    Raises:
        LinAlgError: a matrix is singular.
    """
    x, info = solve_ex(A, B, left=left)
    if failed(info):
        raise _singular("torch.linalg.solve", info, "the solution")
    return x


def _system(name: str, A: Tensor, B: Tensor, left: bool) -> Any:
    check_floating(name, A, B)
    check_square(name, A)
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    if vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. In this case {name} is "
            "equivalent to B / A.squeeze(-1)"
        )
    b = B.unsqueeze(-1) if vector else B
    if b.dim() < 2 or b.size(-2 if left else -1) != A.size(-1):
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({tuple(A.shape)} and {tuple(B.shape)})"
        )
    a, b = batched(name, *((A, b) if left else (A.mT, b.mT)))
    return a, b, vector


def _solution(x: Tensor, vector: bool, left: bool) -> Tensor:
    return x.squeeze(-1) if vector else x if left else x.mT


@with_out
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """solve without an error: info holds 0, or where U's first zero stands; such a solution is not meaningful."""
    a, b, vector = _system("linalg.solve", A, B, left)
    x, info = _solved(A if left else A.mT, b)
    if check_errors and failed(info):
        raise _singular("torch.linalg.solve", info, "the solution")
    return SolveEx(_solution(linked(_Solve, a, b, x), vector, left), info)


@with_out
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solution of A X = B (A^H X = B if adjoint; X A = B if not left) from A's lu_factor. Same as torch.linalg.lu_solve."""
    check_floating("linalg.lu_solve", LU, B)
    check_square("linalg.lu_solve", LU, "LU")
    check_matrix("linalg.lu_solve", B, "B")
    if pivots.dtype != _C.int32:
        raise RuntimeError(
            f"linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32, got {pivots.dtype}"
        )
    if LU.size(-1) != B.size(-2 if left else -1):
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({tuple(LU.shape)} and {tuple(B.shape)})"
        )
    if not left:
        return lu_solve(LU, pivots, B.mH, adjoint=not adjoint).mH
    lu, b = batched("linalg.lu_solve", LU, B)
    if not lu.is_complex() and not (_C.is_grad_enabled() and (LU.requires_grad or B.requires_grad)):
        pivots = pivots.expand(*b.shape[:-2], -1)
        return _C._linalg.real_lu_solve(lu.cpu(), pivots.cpu(), b.cpu(), adjoint).to(B.device)
    order = _order(pivots, LU.size(-1)).expand(*b.shape[:-1])
    lower, upper = _unit_lower(lu), lu.triu()
    if not adjoint:
        y = _C._linalg.solve_triangular(lower, _permuted(b, order), upper=False, unitriangular=True)
        return _C._linalg.solve_triangular(upper, y, upper=True)
    y = _C._linalg.solve_triangular(upper.mH, b, upper=False)
    y = _C._linalg.solve_triangular(lower.mH, y, upper=True, unitriangular=True)
    return _permuted(y, order.argsort(-1))


@with_out
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """A^-1 B from A's Cholesky factor. Same as torch.cholesky_solve."""
    check_floating("cholesky_solve", B, L)
    check_matrix("cholesky_solve", B, "B")
    check_square("cholesky_solve", L)
    lower = L.mH if upper else L
    return _C._linalg.solve_triangular(
        lower.mH, _C._linalg.solve_triangular(lower, B, upper=False), upper=True
    )


@with_out
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """A^-1 from A's Cholesky factor. Same as torch.cholesky_inverse."""
    check_square("cholesky_inverse", L)
    return cholesky_solve(_eye(L), L, upper)
