"""Powers, exponentials, chains of products, and tensors as matrices."""

from __future__ import annotations

import math
from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import check_square, with_out
from pynn._linalg.solve import inv, solve
from pynn.autograd.function import Function


@with_out
def matrix_power(A: Tensor, n: int) -> Tensor:
    """A to a whole power; of inverses where it is negative. Same as torch.linalg.matrix_power."""
    if A.dim() < 2:
        raise RuntimeError(
            f"linalg.matrix_power: The input tensor A must have at least 2 dimensions, got {A.dim()}"
        )
    if A.size(-1) != A.size(-2):
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are {A.size(-2)} by {A.size(-1)} "
            "matrices"
        )
    if n == 0:
        return _C.eye(A.size(-1), dtype=A.dtype, device=A.device).expand(A.shape).clone()
    if n < 0:
        A, n = inv(A), -n
    result: Tensor | None = None
    while True:
        if n & 1:
            result = A if result is None else result @ A
        n >>= 1
        if not n:
            assert result is not None
            return result
        A = A @ A


class _Exp(Function):
    """By Taylor's series of A / 2^s, squared s times."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        n = a.size(-1)
        eye = _C.eye(n, dtype=a.dtype, device=a.device)
        if a.numel() == 0:
            return a.clone()
        norm = float(a.abs().sum(-2).max())
        if not math.isfinite(norm):
            return a * float("nan")
        squarings = max(0, math.ceil(math.log2(norm)) + 2) if norm > 0 else 0
        x = a / 2.0**squarings
        y = eye + x / 14
        for k in range(13, 0, -1):
            y = eye + (x / k) @ y
        for _ in range(squarings):
            y = y @ y
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        # The upper right block of exp([[A^H, g], [0, A^H]]).
        (a,) = ctx.saved_tensors
        n = a.size(-1)
        at = a.mH
        top = _C.cat([at, g], -1)
        bottom = _C.cat([_C.zeros_like(at), at], -1)
        return _Exp.apply(_C.cat([top, bottom], -2))[..., :n, n:]


@with_out
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of square matrices: the sum of A^k / k!. Same as torch.linalg.matrix_exp."""
    if A.dtype not in (_C.float16, _C.bfloat16):  # the others go through check_square
        check_square("linalg.matrix_exp", A)
    elif A.dim() < 2 or A.size(-1) != A.size(-2):
        raise RuntimeError(
            f"linalg.matrix_exp: A must be batches of square matrices, got shape {tuple(A.shape)}"
        )
    return _Exp.apply(A)


def multi_dot(tensors: Any, *, out: Tensor | None = None) -> Tensor:
    """The product of several matrices, in the order of least work; the first and last may be vectors. Same as torch.linalg.multi_dot."""
    chain = list(tensors)
    if len(chain) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(chain)}")
    first, last = chain[0].dim() == 1, chain[-1].dim() == 1
    for i, t in enumerate(chain):
        if t.dim() != 2 and not (t.dim() == 1 and i in (0, len(chain) - 1)):
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D, or 1D at the ends, but got {t.dim()}D")
        if t.dtype != chain[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype, got {chain[0].dtype} and {t.dtype}"
            )
    if first:
        chain[0] = chain[0].unsqueeze(0)
    if last:
        chain[-1] = chain[-1].unsqueeze(1)
    for a, b in zip(chain, chain[1:], strict=False):
        if a.size(1) != b.size(0):
            raise RuntimeError(
                f"multi_dot(): tensors with shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be multiplied"
            )
    result = _product(chain)
    if first:
        result = result.squeeze(0)
    if last:
        result = result.squeeze(-1)
    return result if out is None else _C.add(result, 0, out=out)


def _product(chain: list[Tensor]) -> Tensor:
    """The usual dynamic programme: cost[i][j] of the product of i .. j, and where it is split."""
    n = len(chain)
    sizes = [chain[0].size(0), *[t.size(1) for t in chain]]
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def build(i: int, j: int) -> Tensor:
        if i == j:
            return chain[i]
        k = split[i][j]
        return build(i, k) @ build(k + 1, j)

    return build(0, n - 1)


def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """multi_dot of matrices. Same as torch.chain_matmul."""
    if len(matrices) == 1:
        return matrices[0] if out is None else _C.add(matrices[0], 0, out=out)
    return multi_dot(matrices, out=out)


@with_out
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Sums of conj(x) y along a dim. Same as torch.linalg.vecdot."""
    return (x.conj() * y).sum(dim)


@with_out
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a matrix of its first `ind` dims by the others. Same as torch.linalg.tensorinv."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', got {ind}")
    rows, columns = A.shape[:ind], A.shape[ind:]
    n, m = math.prod(rows), math.prod(columns)
    if n != m:
        raise RuntimeError(
            "linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {m} != {n}"
        )
    return inv(A.reshape(n, n)).reshape(*columns, *rows)


@with_out
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """The X of which tensordot(A, X, X.dim()) is B. Same as torch.linalg.tensorsolve."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.dim() - len(dims), A.dim())))
    shape = A.shape[B.dim() :]
    n, m = B.numel(), math.prod(shape)
    if n != m or A.numel() != n * m:
        raise RuntimeError(
            "linalg.tensorsolve: Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {m} != {n}"
        )
    return solve(A.reshape(n, n), B.reshape(-1)).reshape(shape)


@with_out
def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Powers x^0 .. x^(N-1) of the elements of the last dim, as rows. Same as torch.linalg.vander."""
    x = x if x.dim() else x.reshape(1)
    n = x.size(-1) if N is None else N
    if n <= 1:
        raise RuntimeError(f"linalg.vander: N must be greater than 1, got {n}")
    x = x if x.is_floating_point() or x.is_complex() else x.to(_C.int64)
    first = _C.ones(*x.shape, 1, dtype=x.dtype, device=x.device)
    return _C.cat([first, x.unsqueeze(-1).expand(*x.shape, n - 1)], -1).cumprod(-1)
