"""Triangular systems, by blocks: the substitution is done on small blocks, the rest by matrix products."""

from __future__ import annotations

from typing import Any

from pynn._C import Tensor
from pynn._linalg.common import array, batched, check_floating, check_matrix, check_square, tensor, with_out
from pynn.autograd.function import Function

_BLOCK = 32


def _substitute(a: Any, x: Any, upper: bool, unit: bool) -> None:
    """Replaces x [..., n, m] by a^-1 x, a [..., n, n] triangular."""
    n = a.shape[-1]
    if n > _BLOCK:
        h = n // 2
        first, rest = (slice(h, n), slice(0, h)) if upper else (slice(0, h), slice(h, n))
        _substitute(a[..., first, first], x[..., first, :], upper, unit)
        x[..., rest, :] -= a[..., rest, first] @ x[..., first, :]
        _substitute(a[..., rest, rest], x[..., rest, :], upper, unit)
        return
    for i in range(n - 1, -1, -1) if upper else range(n):
        done = slice(i + 1, n) if upper else slice(0, i)
        x[..., i, :] -= (a[..., i, None, done] @ x[..., done, :])[..., 0, :]
        if not unit:
            x[..., i, :] /= a[..., i, i, None]


class _Solve(Function):
    """a^-1 b for triangular a, both with all batch dims."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, upper: bool, unit: bool) -> Tensor:
        import numpy as np

        x = np.array(array(b), order="C")
        with np.errstate(divide="ignore", invalid="ignore"):
            _substitute(array(a), x, upper, unit)
        out = tensor(x, b)
        ctx.upper, ctx.unit = upper, unit
        ctx.save_for_backward(a, out)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, x = ctx.saved_tensors
        gb = _Solve.apply(a.mH, g, not ctx.upper, ctx.unit)
        ga = None
        if ctx.needs_input_grad[0]:
            ga = -gb @ x.mH
            ga = ga.triu(int(ctx.unit)) if ctx.upper else ga.tril(-int(ctx.unit))
        return ga, gb, None, None


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
    return _Solve.apply(a, b, upper, unitriangular)
