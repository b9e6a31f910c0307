"""Triangular systems."""

from __future__ import annotations

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import batched, check_floating, check_matrix, check_square, with_out


@with_out
def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B, or (left=False) X A = B, for triangular A; the other triangle is not read. Same as torch.linalg.solve_triangular."""
    check_floating("linalg.solve_triangular", A, B)
    check_square("linalg.solve_triangular", A)
    check_matrix("linalg.solve_triangular", B, "B")
    if A.size(-1) != B.size(-2 if left else -1):
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'}"
            f" ({A.size(-2)}x{A.size(-1)} and {B.size(-2)}x{B.size(-1)})"
        )
    if not left:
        return solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular).mT
    a, b = batched("linalg.solve_triangular", A, B)
    if a.is_cuda:
        return _C._linalg_solve_triangular(a.cpu(), b.cpu(), upper, unitriangular).to(a.device)
    return _C._linalg_solve_triangular(a, b, upper, unitriangular)
