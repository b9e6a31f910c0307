"""A = L D L^T of symmetric, or L D L^H of Hermitian matrices, with Bunch and Kaufman's pivots, and solving by it.

NumPy has no such factorisation; this one follows LAPACK's storage: L below the diagonal, D's blocks of 1 or 2 on it, and
pivots that count from 1, negative for both rows of a block of 2.
"""

from __future__ import annotations

from typing import Any

from pynn._C import Tensor
from pynn._linalg.common import (
    array,
    batched,
    beside,
    check_floating,
    check_matrix,
    check_square,
    result_type,
    tensor,
    with_out,
)
from pynn._linalg.solve import LinAlgError

Factors = result_type("linalg_ldl_factor", "LD pivots")
FactorsEx = result_type("linalg_ldl_factor_ex", "LD pivots info")

_ALPHA = (1 + 17**0.5) / 8  # bounds the growth of both kinds of steps alike


def _size(x: Any) -> Any:
    return abs(x.real) + abs(x.imag)


def _choose(a: Any, k: int) -> tuple[int, int]:
    """The pivot row of step k, and 1 or 2, the size of its block."""
    n = len(a)
    head = _size(a[k, k])
    if k == n - 1:
        return k, 1
    below = _size(a[k + 1 :, k])
    top = k + 1 + int(below.argmax())
    most = below.max()
    if max(head, most) == 0 or head >= _ALPHA * most:
        return k, 1
    row = max(_size(a[top, k:top]).max(), _size(a[top + 1 :, top]).max(initial=0))
    if head >= _ALPHA * most * (most / row):
        return k, 1
    return (top, 1) if _size(a[top, top]) >= _ALPHA * row else (top, 2)


def _swap(a: Any, i: int, j: int, k: int, conj: Any) -> None:
    """Rows and columns i < j of the lower triangle, from column k on."""
    a[[i, j], k:i] = a[[j, i], k:i]
    a[j + 1 :, [i, j]] = a[j + 1 :, [j, i]]
    a[[i, j], [i, j]] = a[[j, i], [j, i]]
    between = a[i + 1 : j, i].copy()
    a[i + 1 : j, i] = conj(a[j, i + 1 : j])
    a[j, i + 1 : j] = conj(between)
    a[j, i] = conj(a[j, i])


def _factor(a: Any, pivots: Any, hermitian: bool) -> int:
    """In place; gives the position of D's first zero block, or 0."""
    import numpy as np

    conj = np.conj if hermitian else lambda x: x
    info, k, n = 0, 0, len(a)
    if hermitian:
        a[range(n), range(n)] = a.diagonal().real
    while k < n:
        at, step = _choose(a, k)
        last = k + step - 1
        if at != last:
            _swap(a, last, at, k, conj)
        pivots[k : k + step] = at + 1 if step == 1 else -(at + 1)
        d = a[k : k + step, k : k + step].copy()
        if step == 2:
            d[0, 1] = conj(d[1, 0])
        left = a[k + step :, k : k + step]
        if step == 1 and d[0, 0] == 0:
            info = info or k + 1
        elif len(left):
            scaled = left @ np.linalg.inv(d)
            a[k + step :, k + step :] -= np.tril(scaled @ conj(left).T)
            if hermitian:
                rest = range(k + step, n)
                a[rest, rest] = a[rest, rest].real
            left[...] = scaled
        k += step
    return info


def _blocks(pivots: Any) -> list[tuple[int, int, int]]:
    """(start, size, the row that was exchanged with the block's last one)."""
    found, k = [], 0
    while k < len(pivots):
        step = 1 if pivots[k] > 0 else 2
        found.append((k, step, abs(int(pivots[k])) - 1))
        k += step
    return found


def _solve(a: Any, pivots: Any, b: Any, hermitian: bool) -> None:
    """In place of b."""
    import numpy as np

    conj = np.conj if hermitian else lambda x: x
    blocks = _blocks(pivots)
    for k, step, at in blocks:
        last, end = k + step - 1, k + step
        b[[last, at]] = b[[at, last]]
        d = a[k:end, k:end].copy()
        if step == 2:
            d[0, 1] = conj(d[1, 0])
        b[end:] -= a[end:, k:end] @ b[k:end]
        b[k:end] = np.linalg.solve(d, b[k:end])
    for k, step, at in reversed(blocks):
        last, end = k + step - 1, k + step
        b[k:end] -= conj(a[end:, k:end]).T @ b[end:]
        b[[last, at]] = b[[at, last]]


@with_out
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """L and D in one matrix, the pivots, and info: 0, or where D has its first zero block. Same as torch.linalg.ldl_factor_ex.

    Args:
        hermitian: whether complex matrices are Hermitian; symmetric if not.
    """
    import numpy as np

    check_square("torch.linalg.ldl_factor_ex", A)
    n = A.size(-1)
    values = np.tril(array(A))
    stack = values.reshape(-1, n, n) if n else values
    pivots = np.zeros(A.shape[:-1], np.int32)
    info = np.zeros(A.shape[:-2], np.int32)
    conjugate = hermitian and A.is_complex()
    for i in range(info.size if n else 0):
        info.reshape(-1)[i] = _factor(stack[i], pivots.reshape(-1, n)[i], conjugate)
    if check_errors and info.any():
        raise LinAlgError(f"torch.linalg.ldl_factor_ex: D has a zero on its diagonal, at {info.max()}")
    return FactorsEx(tensor(values, A), beside(pivots, A), beside(info, A))


@with_out
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """L and D in one matrix, and the pivots. Same as torch.linalg.ldl_factor; see ldl_factor_ex."""
    return Factors(*ldl_factor_ex(A, hermitian=hermitian, check_errors=True)[:2])


@with_out
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """A^-1 B from what ldl_factor gave. Same as torch.linalg.ldl_solve."""
    import numpy as np

    check_square("torch.linalg.ldl_solve", LD, "LD")
    check_floating("torch.linalg.ldl_solve", LD, B)
    check_matrix("torch.linalg.ldl_solve", B, "B")
    if B.size(-2) != LD.size(-1):
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Incompatible shapes of LD and B, got {tuple(LD.shape)} and {tuple(B.shape)}"
        )
    if (
        pivots.dtype.is_floating_point
        or pivots.dtype.is_complex
        or tuple(pivots.shape) != tuple(LD.shape[:-1])
    ):
        raise RuntimeError(
            f"torch.linalg.ldl_solve: Expected integer pivots of the shape {tuple(LD.shape[:-1])}, got {pivots.dtype} "
            f"{tuple(pivots.shape)}"
        )
    n = LD.size(-1)
    left, right = batched("torch.linalg.ldl_solve", LD, B)
    at = array(pivots.expand(*left.shape[:-1]))
    values, found = array(left), np.array(array(right), order="C")
    conjugate = hermitian and LD.is_complex()
    for i in np.ndindex(*found.shape[:-2]) if n else ():
        _solve(values[i], at[i], found[i], conjugate)
    return tensor(found, B)
