"""Least squares: by reflections where the matrix is surely of full rank, else by singular values."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import batched, check_floating, check_matrix, result_type, with_out
from pynn._linalg.solve import _eye
from pynn._linalg.spectral import _eps, pinv, svdvals

Lstsq = result_type("linalg_lstsq", "solution residuals rank singular_values")


def _by_reflections(a: Tensor, b: Tensor, relative: float) -> Tensor | None:
    """lstsq's X by A = Q R (of A^T where it is wide), or None where A may be short of full rank. No gradient."""
    m, n = a.shape[-2:]
    if a.numel() == 0:
        return None
    tall, k = (a, n) if m >= n else (a.mT, m)
    v, t, r = (x.to(a.device) for x in _C._linalg.real_qr(tall.cpu()))
    inverse = _C._linalg.solve_triangular(r, _eye(r), upper=True)
    # At least the ratio of the largest singular value to the least.
    ratio = ((r * r).sum((-2, -1)) * (inverse * inverse).sum((-2, -1))).sqrt()
    if not (ratio * relative < 1).all():
        return None
    if m >= n:
        turned = b - v @ (t.mT @ (v.mT @ b))
        return _C._linalg.solve_triangular(r, turned[..., :k, :], upper=True)
    y = _C._linalg.solve_triangular(r.mT, b, upper=False)
    x = -v @ (t @ (v[..., :k, :].mT @ y))
    x[..., :k, :] += y
    return x


@with_out
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X of least norm that minimises the norm of A X - B. Same as torch.linalg.lstsq.

    Returns:
        solution, residuals (squares, where A is tall and of full rank; not for "gelsy", the default driver), rank (but for driver "gels") and
        singular_values (drivers "gelsd" and "gelss").
    """
    check_floating("torch.linalg.lstsq", A, B)
    check_matrix("torch.linalg.lstsq", A, "input")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got "
            + str(driver)
        )
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    b = B.unsqueeze(-1) if vector else B
    m, n = A.shape[-2:]
    if b.dim() < 2 or b.size(-2) != m:
        raise RuntimeError(
            "torch.linalg.lstsq: input.size(-2) should match other.size(-2), got "
            f"{tuple(A.shape)} and {tuple(B.shape)}"
        )
    a, b = batched("torch.linalg.lstsq", A, b)
    driver = driver or "gelsy"
    relative = rcond if rcond is not None else _eps(A) * max(m, n)
    wanted = _C.is_grad_enabled() and (a.requires_grad or b.requires_grad)
    with_values = driver in ("gelsd", "gelss")
    x = None if wanted or with_values or a.is_complex() else _by_reflections(a, b, relative)
    if x is not None:
        values, rank = None, _C.full(a.shape[:-2], min(m, n), dtype=_C.int64, device=A.device)
    else:
        values = svdvals(a.detach())
        rank = (values > relative * values[..., :1]).sum(-1)
        x = pinv(a, rtol=0.0 if driver == "gels" else relative) @ b
    residuals = x.reshape(-1)[:0].abs()  # no elements, but a place in the graph, as in PyTorch
    if m > n and driver != "gelsy" and (rank == n).all():
        residuals = ((a @ x - b).abs() ** 2).sum(-2)
    return Lstsq(
        x.squeeze(-1) if vector else x,
        residuals,
        A.new_empty(0, dtype=_C.int64) if driver == "gels" else rank,
        values if with_values else A.new_empty(0, dtype=A.dtype.to_real()),
    )
