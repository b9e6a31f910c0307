"""Factorisations: Cholesky, QR, LU, and products of Householder reflections."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import (
    LinAlgError,
    array,
    beside,
    check_matrix,
    check_square,
    failed,
    failing,
    linked,
    result_type,
    tensor,
    with_out,
)
from pynn.autograd.function import Function

QR = result_type("linalg_qr", "Q R")
LU = result_type("linalg_lu", "P L U")
Factors = result_type("linalg_lu_factor", "LU pivots")
FactorsEx = result_type("linalg_lu_factor_ex", "LU pivots info")
CholeskyEx = result_type("linalg_cholesky_ex", "L info")
Unpacked = result_type("lu_unpack", "P L U")


# -- Cholesky -------------------------------------------------------------------------------------------------------


def _minor(a: Any) -> int:
    """The order of the first leading minor that is not positive, 0 if there is none."""
    import numpy as np

    for k in range(1, a.shape[0] + 1):
        try:
            np.linalg.cholesky(a[:k, :k])
        except np.linalg.LinAlgError:
            return k
    return 0


def _complex_cholesky(A: Tensor) -> Any:
    """L, and the orders of the first leading minors that are not positive, or 0."""
    import numpy as np

    values = array(A)
    info = np.zeros(values.shape[:-2], np.int32)
    try:
        factors = np.linalg.cholesky(values)
    except np.linalg.LinAlgError:
        n = values.shape[-1]
        factors, flat = np.tril(values), info.reshape(-1)
        for i, (a, to) in enumerate(zip(values.reshape(-1, n, n), factors.reshape(-1, n, n), strict=True)):
            flat[i] = _minor(a)
            if not flat[i]:
                to[...] = np.linalg.cholesky(a)
    return tensor(factors, A), beside(info, A)


class _Cholesky(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, values: Tensor) -> Tensor:
        factor = values.detach()
        ctx.save_for_backward(factor)
        return factor

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        # L^-H phi(L^H g) L^-1, phi the lower triangle with half the diagonal; Hermitian.
        (factor,) = ctx.saved_tensors
        p = (factor.mH @ g).tril()
        p = p - 0.5 * _C.diag_embed(p.diagonal(0, -2, -1))
        left = _C._linalg.solve_triangular(factor.mH, p, upper=True)
        inner = _C._linalg.solve_triangular(factor.mH, left.mH, upper=True).mH
        return 0.5 * (inner + inner.mH), None


@with_out
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with A = L L^H, or (upper) its transpose, of Hermitian positive definite matrices. Same as torch.linalg.cholesky.

    Raises:
        LinAlgError: a matrix is not positive definite.
    """
    factor, info = cholesky_ex(A, upper=upper)
    if failed(info):
        raise _not_positive("linalg.cholesky", info)
    return factor


def _not_positive(name: str, info: Tensor) -> LinAlgError:
    return failing(
        name,
        info,
        lambda k: (
            "The factorization could not be completed because the input is not positive-definite (the leading "
            f"minor of order {k} is not positive-definite)."
        ),
    )


@with_out
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """cholesky without an error: info holds 0, or the order of the first minor that is not positive."""
    check_square("linalg.cholesky", A)
    if A.is_complex():
        lower, info = _complex_cholesky(A.mH if upper else A)
    else:
        factor, info = _C._linalg.real_cholesky((A if upper else A.mT).cpu())
        lower, info = factor.mT.to(A.device), info.to(A.device)
    if check_errors and failed(info):
        raise _not_positive("linalg.cholesky_ex", info)
    lower = linked(_Cholesky, A, lower)
    return CholeskyEx(lower.mH if upper else lower, info)


# -- QR -------------------------------------------------------------------------------------------------------------


def _qr_values(a: Tensor) -> Any:
    import numpy as np

    if a.is_complex():
        return [tensor(x, a) for x in np.linalg.qr(array(a))]
    v, t, r = (x.to(a.device) for x in _C._linalg.real_qr(a.cpu()))
    q = -v @ (t @ v[..., : a.size(-1), :].mT)
    q.diagonal(0, -2, -1).add_(1)
    return [q, r]


class _QR(Function):
    """Of matrices with at least as many rows as columns."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        q, r = _qr_values(a)
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx: Any, gq: Tensor, gr: Tensor) -> Any:
        # (gQ + Q s) R^-H, s = M + M^H - Re diag(M) of M = triu(gR R^H - Q^H gQ).
        q, r = ctx.saved_tensors
        m = (gr @ r.mH - q.mH @ gq).triu()
        s = m + m.mH - _C.diag_embed(m.diagonal(0, -2, -1).real)
        return _C._linalg.solve_triangular(r, (gq + q @ s).mH, upper=True).mH


@with_out
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """A = Q R with orthonormal columns Q and upper triangular R. Same as torch.linalg.qr.

    Args:
        mode: "reduced", "complete" (Q is square) or "r" (R alone; Q is empty).
    """
    import numpy as np

    check_matrix("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    m, n = A.shape[-2:]
    wanted = A.requires_grad and _C.is_grad_enabled()
    if wanted and mode == "r":
        q, r = _qr_reduced(A)
        return QR(
            A.new_empty(0),
            _NoGradient.apply(
                r,
                "linalg.qr: The derivative of linalg.qr depends on Q, which is "
                "not computed when mode='r'. Please use linalg.qr(A, mode='reduced') "
                "if you are going to require gradients through linalg.qr.",
            ),
        )
    if mode == "complete" and m > n:
        q, r = (tensor(v, A) for v in np.linalg.qr(array(A), mode="complete"))
        if wanted:
            text = (
                "linalg.qr: The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
            )
            linked = 0 * A.sum()
            return QR(_NoGradient.apply(q + linked, text), _NoGradient.apply(r + linked, text))
        return QR(q, r)
    q, r = _qr_reduced(A)
    return QR(A.new_empty(0) if mode == "r" else q, r)


def _qr_reduced(A: Tensor) -> Any:
    m, n = A.shape[-2:]
    factors = _QR.apply if A.requires_grad and _C.is_grad_enabled() else _qr_values
    if m >= n:
        return factors(A)
    q, left = factors(A[..., :m])
    return q, _C.cat([left, q.mH @ A[..., m:]], -1)


class _NoGradient(Function):
    """The same values; an error in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, text: str) -> Tensor:
        ctx.text = text
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        raise RuntimeError(ctx.text)


@with_out
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of H_1 H_2 ..., H_i = I - tau_i v_i v_i^H with v_i below A's diagonal. Same as torch.linalg.householder_product."""
    check_matrix("linalg.householder_product", A, "input")
    m, n = A.shape[-2:]
    if m < n:
        raise RuntimeError(
            f"linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1], got {m} < {n}"
        )
    if tau.size(-1) > n:
        raise RuntimeError(
            "linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1], got "
            f"{n} < {tau.size(-1)}"
        )
    if tau.dtype != A.dtype:
        raise RuntimeError(f"linalg.householder_product: tau dtype {tau.dtype} does not match {A.dtype}")
    if tau.shape[:-1] != A.shape[:-2]:
        raise RuntimeError(
            f"linalg.householder_product: Expected batch dimensions of tau to be equal to input.shape[:-2], got "
            f"{tuple(tau.shape)}"
        )
    unit = A.tril(-1) + _C.eye(m, n, dtype=A.dtype, device=A.device)
    q = _C.eye(m, n, dtype=A.dtype, device=A.device).expand(A.shape)
    for i in range(tau.size(-1) - 1, -1, -1):
        v = unit[..., i : i + 1]
        q = q - tau[..., i : i + 1, None] * (v @ (v.mH @ q))
    return q


# -- LU -------------------------------------------------------------------------------------------------------------


def lu_values(A: Tensor, pivot: bool = True) -> Any:
    """L and U in one, int32 pivots from 1, and info: where the first zero on U's diagonal stands, or 0. No gradient."""
    if pivot and not A.is_complex():
        return [x.to(A.device) for x in _C._linalg.real_lu(A.cpu())]
    values, pivots, info = _lu_numpy(array(A), pivot)
    return tensor(values, A), beside(pivots, A), beside(info, A)


def _lu_numpy(a: Any, pivot: bool) -> Any:
    """The same of complex matrices, or without pivots."""
    import numpy as np

    m, n = a.shape[-2:]
    lu = np.array(a).reshape(int(np.prod(a.shape[:-2])), m, n)
    count = len(lu)
    k = min(m, n)
    pivots = np.tile(np.arange(1, k + 1, dtype=np.int32), (count, 1))
    info = np.zeros(count, np.int32)
    every = np.arange(count)
    for j in range(k):
        if pivot:
            column = lu[:, j:, j]
            at = (
                j + np.argmax(np.abs(column.real) + np.abs(column.imag), axis=1)
                if count
                else np.zeros(0, int)
            )
            pivots[:, j] = at + 1
            swapped = lu[every, at].copy()
            lu[every, at] = lu[:, j]
            lu[:, j] = swapped
        head = lu[:, j, j]
        zero = head == 0
        info[(info == 0) & zero] = j + 1
        with np.errstate(divide="ignore", invalid="ignore"):
            if pivot:
                lu[:, j + 1 :, j] /= np.where(zero, 1, head)[:, None]
            else:
                lu[:, j + 1 :, j] /= head[:, None]
            lu[:, j + 1 :, j + 1 :] -= lu[:, j + 1 :, j, None] * lu[:, j, None, j + 1 :]
    return lu.reshape(a.shape), pivots.reshape(*a.shape[:-2], k), info.reshape(a.shape[:-2])


def _order(pivots: Tensor, rows: int) -> Tensor:
    """Row i of P^T A is row order[i] of A."""
    return _C._linalg.pivot_order(pivots.cpu(), rows).to(pivots.device)


def _permuted(A: Tensor, order: Tensor) -> Tensor:
    """The rows of A in that order."""
    return A.gather(-2, order[..., None].expand(*order.shape, A.size(-1)))


class _SquareLU(Function):
    """L and U in one of A, whose rows stand in pivoted order; `values` holds them."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, values: Tensor) -> Tensor:
        lu = values.detach()
        ctx.save_for_backward(lu)
        return lu

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        # L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H
        (lu,) = ctx.saved_tensors
        lower, upper = _unit_lower(lu), lu.triu()
        inner = (lower.mH @ g.tril(-1)).tril(-1) + (g.triu() @ upper.mH).triu()
        right = _C._linalg.solve_triangular(upper, inner.mH, upper=True).mH
        return _C._linalg.solve_triangular(lower.mH, right, upper=True, unitriangular=True), None


def _unit_lower(lu: Tensor) -> Tensor:
    m, n = lu.shape[-2:]
    k = min(m, n)
    return lu[..., :k].tril(-1) + _C.eye(m, k, dtype=lu.dtype, device=lu.device)


def _factored(A: Tensor, pivot: bool) -> Any:
    """LU with its graph, pivots, info."""
    values, pivots, info = lu_values(A, pivot)
    if not (A.requires_grad and _C.is_grad_enabled()):
        return values, pivots, info
    m, n = A.shape[-2:]
    k = min(m, n)
    rows = _permuted(A, _order(pivots, m)) if pivot else A
    lu = _SquareLU.apply(rows[..., :k, :k], values[..., :k, :k])
    if n > k:
        right = _C._linalg.solve_triangular(_unit_lower(lu), rows[..., k:], upper=False, unitriangular=True)
        return _C.cat([lu, right], -1), pivots, info
    if m > k:
        below = _C._linalg.solve_triangular(lu.triu(), rows[..., k:, :], upper=True, left=False)
        return _C.cat([lu, below], -2), pivots, info
    return lu, pivots, info


@with_out
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """L and U in one matrix, and the row exchanges. Same as torch.linalg.lu_factor.

    Raises:
        RuntimeError: U has a zero on its diagonal.
    """
    lu, pivots, info = lu_factor_ex(A, pivot=pivot)
    for i, at in enumerate(info.reshape(-1).tolist()):
        if at:
            where = f"(Batch element {i}): " if A.dim() > 2 else ""
            raise RuntimeError(
                f"torch.linalg.lu_factor: {where}U[{at},{at}] is zero and using it on lu_solve would result in a "
                "division by zero. If you still want to perform the factorization, consider calling "
                "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
            )
    return Factors(lu, pivots)


@with_out
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """lu_factor without an error: info holds 0, or the position of the first zero on U's diagonal."""
    check_matrix("linalg.lu_factor", A)
    lu, pivots, info = _factored(A, pivot)
    if check_errors and failed(info):
        raise LinAlgError(f"linalg.lu_factor_ex: U has a zero on its diagonal, at {info.max()}")
    return FactorsEx(lu, pivots, info)


@with_out
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """A = P L U with a permutation P. Same as torch.linalg.lu."""
    check_matrix("linalg.lu", A)
    factors, pivots, _ = _factored(A, pivot)
    p, lower, upper = lu_unpack(factors, pivots)
    return LU(p if pivot else A.new_empty(0), lower, upper)


@with_out
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P, L and U of what lu_factor gives. Same as torch.lu_unpack."""
    if LU_pivots.dtype != _C.int32:
        raise RuntimeError(
            f"lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype, got {LU_pivots.dtype}"
        )
    m, n = LU_data.shape[-2:]
    none = LU_data.new_empty(0)
    p = lower = upper = none
    if unpack_pivots:
        order = _order(LU_pivots, m)
        p = _C.zeros(*order.shape, m, dtype=LU_data.dtype, device=LU_data.device).scatter_(
            -2, order[..., None, :], 1.0
        )
        p = p.mT.contiguous().mT
    if unpack_data:
        lower, upper = _unit_lower(LU_data), LU_data[..., : min(m, n), :].triu()
    return Unpacked(p, lower, upper)
