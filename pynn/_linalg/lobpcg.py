"""The largest or smallest eigenvalues of large symmetric matrices, by products with them alone."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import check_square
from pynn._linalg.spectral import eigh


def _basis(S: Tensor, B: Tensor | None) -> Tensor:
    """Columns that span S's and whose products under B are the identity; directions that S hardly has are left out."""
    for _ in range(2):  # once more: the first pass loses digits where columns are nearly parallel
        S = S / S.norm(dim=-2, keepdim=True).clamp(min=pynn.finfo(S.dtype).tiny)
        values, vectors = eigh(S.mT @ (S if B is None else B @ S))
        kept = values > values.amax() * S.size(-1) * pynn.finfo(S.dtype).eps
        S = S @ vectors[:, kept] / values[kept].sqrt()
    return S


def _ritz(A: Tensor, S: Tensor, n: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The n extreme eigenvalues of A within the span of the orthonormal columns of S, and their coordinates in it."""
    values, vectors = eigh(S.mT @ (A @ S))
    if largest:
        values, vectors = values.flip(-1), vectors.flip(-1)
    return values[:n], vectors[:, :n]


def _one(
    A: Tensor, B: Tensor | None, X: Tensor, iK: Tensor | None, niter: int, tol: float, largest: bool
) -> tuple[Tensor, Tensor]:
    """Each step searches the span of the vectors, their (preconditioned) residuals, and the last step's change."""
    n = X.size(-1)
    S = _basis(X, B)
    E, Z = _ritz(A, S, n, largest)
    X, P = S @ Z, None
    scale = A.norm() + (E.abs().amax() * B.norm() if B is not None else E.abs().amax())
    step = 0
    while niter < 0 or step < niter:
        BX = X if B is None else B @ X
        R = A @ X - BX * E
        if (R.norm(dim=-2) <= tol * scale * X.norm(dim=-2)).all():
            break
        W = R if iK is None else iK @ R
        S = _basis(_C.cat([X, W] if P is None else [X, W, P], -1), B)
        E, Z = _ritz(A, S, n, largest)
        found = S @ Z
        P = found - X @ (BX.mT @ found)
        X = found
        step += 1
    return E, X


def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: Any = None,
    ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Tensor, Tensor]:
    """The k largest (smallest) eigenvalues of A x = e B x and their vectors, by LOBPCG. Same as torch.lobpcg.

    Knyazev 2001, with an orthogonal basis in each step whatever `method` says. There are no derivatives.

    Args:
        A: [..., m, m], symmetric; m must be at least 3 n.
        B: [..., m, m], symmetric and positive definite; the identity if None.
        X: [..., m, n], where to start; n random columns if None, by default k.
        iK: [..., m, m], a preconditioner.
        niter: the most steps, 1000 by default, -1 for no limit.
        tol: of the residual relative to the matrices' norms; the root of the dtype's eps by default.
    """
    check_square("lobpcg", A)
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"lobpcg: method must be 'basic' or 'ortho', got {method!r}")
    if tracker is not None:
        raise NotImplementedError("lobpcg: tracker is not supported, as the steps are no objects")
    m = A.size(-1)
    k = k if k is not None else 1 if X is None else X.size(-1)
    n = X.size(-1) if X is not None else n if n is not None else k
    if m < 3 * n:
        raise ValueError(
            f"LPBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3 x the number of "
            f"requested eigenpairs (={n})"
        )
    if A.requires_grad or (B is not None and B.requires_grad):
        raise NotImplementedError(
            "lobpcg: has no derivative, got a tensor that requires grad (see linalg.eigh)"
        )
    limit = pynn.finfo(A.dtype).eps ** 0.5 if tol is None else tol
    batch = A.shape[:-2]
    X = pynn.randn(*batch, m, n, dtype=A.dtype, device=A.device) if X is None else X
    with pynn.no_grad():
        whole = A.reshape(-1, m, m)
        masses, starts, inverses = (None if t is None else t.reshape(-1, *t.shape[-2:]) for t in (B, X, iK))
        assert starts is not None
        pairs = []
        for i in range(whole.size(0)):
            mass, inverse = (None if t is None else t[i] for t in (masses, inverses))
            pairs.append(_one(whole[i], mass, starts[i], inverse, niter or 1000, limit, largest is not False))
        E = _C.stack([e[:k] for e, _ in pairs]).reshape(*batch, k)
        return E, _C.stack([x[:, :k] for _, x in pairs]).reshape(*batch, m, k)
