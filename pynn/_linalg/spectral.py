"""Eigenvalues and singular values, and what is made of them: pinv, matrix_rank, cond."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import array, check_matrix, check_square, result_type, tensor, with_out
from pynn._linalg.solve import solve
from pynn.autograd.function import Function

Eigh = result_type("linalg_eigh", "eigenvalues eigenvectors")
Eig = result_type("linalg_eig", "eigenvalues eigenvectors")
SVD = result_type("linalg_svd", "U S Vh")


def _gaps(v: Tensor) -> Tensor:
    """v_j - v_i, infinite on the diagonal."""
    d = v.unsqueeze(-2) - v.unsqueeze(-1)
    return d + _C.diag_embed(_C.full(v.shape, float("inf"), dtype=v.dtype, device=v.device))


# -- Hermitian ------------------------------------------------------------------------------------------------------


class _Eigh(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, lower: bool) -> Any:
        import numpy as np

        values, vectors = (tensor(x, a) for x in np.linalg.eigh(array(a), "L" if lower else "U"))
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, gl: Tensor | None, gv: Tensor | None) -> Any:
        # Equal eigenvalues only matter to the vectors.
        values, v = ctx.saved_tensors
        inner = _C.zeros_like(v)
        if gl is not None:
            inner = inner + _C.diag_embed(gl)
        if gv is not None:
            m = v.mH @ gv
            inner = inner + 0.5 * (m - m.mH) / _gaps(values)  # Hermitian, as the changes of A are
        return v @ inner @ v.mH, None


def _triangle(name: str, UPLO: str) -> bool:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"{name}: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper() == "L"


@with_out
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues, ascending, and orthonormal eigenvectors of Hermitian matrices, whose lower triangle is read. Same as torch.linalg.eigh."""
    check_square("linalg.eigh", A)
    return Eigh(*_Eigh.apply(A, _triangle("linalg.eigh", UPLO)))


@with_out
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of Hermitian matrices. Same as torch.linalg.eigvalsh."""
    check_square("linalg.eigvalsh", A)
    return _Eigh.apply(A, _triangle("linalg.eigvalsh", UPLO))[0]


# -- General --------------------------------------------------------------------------------------------------------


class _Eig(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        import numpy as np

        values, vectors = (
            tensor(x.astype(np.result_type(x, 1j), copy=False), a) for x in np.linalg.eig(array(a))
        )
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, gl: Tensor | None, gv: Tensor | None) -> Any:
        # V^-H ((V^H gV - V^H V diag(Re V^H gV)) / conj(gaps) + diag(gL)) V^H: vectors have length 1.
        values, v = ctx.saved_tensors
        vh = v.mH
        inner = _C.zeros_like(v) if gl is None else _C.diag_embed(gl)
        if gv is not None:
            m = vh @ gv
            diagonal = m.diagonal(0, -2, -1)
            if not _C.allclose(diagonal.imag, _C.zeros_like(diagonal.imag), 1e-2, 1e-2):
                raise RuntimeError(
                    "linalg_eig_backward: The eigenvectors in the complex case are specified up to multiplication by "
                    "e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined."
                )
            inner = inner + (m - (vh @ v) * diagonal.real.unsqueeze(-2)) / _gaps(values).conj()
        return solve(vh, inner @ vh)


@with_out
def eig(A: Tensor) -> Any:
    """Eigenvalues and eigenvectors of square matrices, complex always. Same as torch.linalg.eig."""
    check_square("linalg.eig", A)
    return Eig(*_Eig.apply(A))


@with_out
def eigvals(A: Tensor) -> Tensor:
    """Eigenvalues of square matrices, complex always. Same as torch.linalg.eigvals."""
    check_square("linalg.eigvals", A)
    return _Eig.apply(A)[0]


# -- Singular values ------------------------------------------------------------------------------------------------


class _SVD(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Any:
        import numpy as np

        u, s, vh = (tensor(x, a) for x in np.linalg.svd(array(a), full_matrices=False))
        ctx.save_for_backward(u, s, vh)
        ctx.set_materialize_grads(False)
        return u, s, vh

    @staticmethod
    def backward(ctx: Any, gu: Tensor | None, gs: Tensor | None, gvh: Tensor | None) -> Any:
        u, s, vh = ctx.saved_tensors
        if gu is None and gvh is None:  # no need to tell equal values apart
            return None if gs is None else u * gs.unsqueeze(-2) @ vh
        gu = _C.zeros_like(u) if gu is None else gu
        gs = _C.zeros_like(s) if gs is None else gs
        gv, v = _C.zeros_like(vh.mH) if gvh is None else gvh.mH, vh.mH
        row, column = s.unsqueeze(-2), s.unsqueeze(-1)
        gaps = (row - column) * (row + column)
        gaps = gaps + _C.diag_embed(_C.full(s.shape, float("inf"), dtype=s.dtype, device=s.device))

        def skew(x: Tensor) -> Tensor:
            return (x - x.mH) / gaps

        inner = skew(u.mH @ gu) * row + column * skew(v.mH @ gv) + _C.diag_embed(gs)
        if u.is_complex():  # u's columns, and with them v's, may turn
            turn = (u.mH @ gu).diagonal(0, -2, -1).imag
            inner = inner + _C.diag_embed(1j * turn / s)
        out = u @ inner @ vh
        m, n, k = u.size(-2), v.size(-2), s.size(-1)
        if m > k:
            out = out + ((gu - u @ (u.mH @ gu)) / row) @ vh
        if n > k:
            out = out + u @ ((gv - v @ (v.mH @ gv)) / row).mH
        return out


@with_out
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """A = U diag(S) Vh, S descending. Same as torch.linalg.svd.

    With full_matrices, U and Vh are square; their further columns and rows carry no gradient.
    """
    import numpy as np

    check_matrix("linalg.svd", A)
    _check_driver("linalg.svd", driver)
    m, n = A.shape[-2:]
    if not full_matrices or m == n:
        return SVD(*_SVD.apply(A))
    u, s, vh = (tensor(x, A) for x in np.linalg.svd(array(A)))
    if A.requires_grad and _C.is_grad_enabled():
        k = min(m, n)
        # Thin factors with their graph; what completes the bases is orthogonal to them whatever their signs.
        thin_u, s, thin_vh = _SVD.apply(A)
        u = _C.cat([thin_u, u[..., k:]], -1) if m > k else thin_u
        vh = _C.cat([thin_vh, vh[..., k:, :]], -2) if n > k else thin_vh
    return SVD(u, s, vh)


def _check_driver(name: str, driver: str | None) -> None:
    if driver is not None:
        raise RuntimeError(
            f"{name}: keyword argument `driver=` is only supported on CUDA inputs, got {driver!r}"
        )


@with_out
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Singular values, descending. Same as torch.linalg.svdvals."""
    import numpy as np

    check_matrix("linalg.svdvals", A)
    _check_driver("linalg.svdvals", driver)
    if A.requires_grad and _C.is_grad_enabled():
        return _SVD.apply(A)[1]
    return tensor(np.linalg.svd(array(A), compute_uv=False), A)


# -- Rank and pseudo-inverse ----------------------------------------------------------------------------------------


def _tolerance(name: str, A: Tensor, largest: Tensor, atol: Any, rtol: Any) -> Tensor:
    """What counts as zero: the larger of atol and rtol times the largest value."""
    if rtol is None:
        positive = atol is not None and bool((_C.as_tensor(atol) > 0).all())
        rtol = 0.0 if positive else _eps(A) * max(A.shape[-2:])
    atol = 0.0 if atol is None else atol
    absolute, relative = (
        t.to(largest.dtype)
        if isinstance(t, Tensor)
        else _C.full((), float(t), dtype=largest.dtype, device=A.device)
        for t in (atol, rtol)
    )
    return _C.maximum(absolute, relative * largest)


def _eps(A: Tensor) -> float:
    return 2.0**-23 if A.dtype in (_C.float32, _C.complex64) else 2.0**-52


def _magnitudes(A: Tensor, hermitian: bool) -> Tensor:
    with_sign = eigvalsh(A.detach()) if hermitian else None
    return svdvals(A.detach()) if with_sign is None else with_sign.abs()


@with_out
def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values are not negligible. Same as torch.linalg.matrix_rank."""
    check_matrix("linalg.matrix_rank", A, "input")
    if tol is not None:
        atol, rtol = tol, 0.0
    if A.numel() == 0:
        return A.new_zeros(A.shape[:-2], dtype=_C.int64)
    s = _magnitudes(A, hermitian)
    return (s > _tolerance("linalg.matrix_rank", A, s.amax(-1), atol, rtol).unsqueeze(-1)).sum(-1)


class _Pinv(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, values: Tensor) -> Tensor:
        p = values.clone()
        ctx.save_for_backward(a, p)
        return p

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        # Of constant rank: dP = -P dA P + P P^H dA^H (I - A P) + (I - P A) dA^H P^H P.
        a, p = ctx.saved_tensors
        gt, pt = g.mH, p.mH
        left = gt @ p @ pt
        right = pt @ p @ gt
        return -(pt @ g @ pt) + left - a @ (p @ left) + right - (right @ p) @ a, None


@with_out
def pinv(
    A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """The Moore-Penrose inverses. Same as torch.linalg.pinv."""
    import numpy as np

    check_matrix("linalg.pinv", A, "input")
    if rcond is not None:
        rtol = rcond
    if A.numel() == 0:
        return A.mT.clone()
    if hermitian:
        check_square("linalg.pinv", A)
        values, vectors = np.linalg.eigh(array(A))
        u, s, vh = vectors, values, np.swapaxes(vectors, -1, -2).conj()
    else:
        u, s, vh = np.linalg.svd(array(A), full_matrices=False)
    singular = tensor(s, A)
    limit = _tolerance("linalg.pinv", A, singular.abs().amax(-1), atol, rtol).unsqueeze(-1)
    inverse = array(_C.where(singular.abs() > limit, 1 / _C.where(singular == 0, 1.0, singular), 0.0))
    values = np.swapaxes(vh, -1, -2).conj() @ (inverse[..., None] * np.swapaxes(u, -1, -2).conj())
    return _Pinv.apply(A, tensor(values, A))
