"""Functions of tensors that are written in Python. All of them are names of the package itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pynn import _C
from pynn._broadcast import broadcast_shapes
from pynn._C import Tensor

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "einsum",
    "meshgrid",
    "norm",
    "tensordot",
]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _unpacked(tensors: tuple[Any, ...]) -> Sequence[Tensor]:
    """f(a, b) and f([a, b]) mean the same."""
    return tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors


def _subscripts(indices: Sequence[Any]) -> str:
    out = []
    for i in indices:
        if i is Ellipsis:
            out.append("...")
        elif isinstance(i, int) and 0 <= i < len(_LETTERS):
            out.append(_LETTERS[i])
        else:
            raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return "".join(out)


def einsum(*args: Any) -> Tensor:
    """Sums of products of tensors' elements, by subscripts: einsum("bij,bjk->bik", a, b).

    Also einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]). A subscript that is not in the result is summed over; "..." stands
    for any dims; without "->" the result has, in alphabetical order, the subscripts that appear once. Operands are
    contracted from the left. Same as torch.einsum.

    Raises:
        RuntimeError: the equation is malformed or does not fit the operands.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, "
            "or at least one operand and its subscripts list"
        )
    if isinstance(args[0], Tensor):
        equation = ",".join([_subscripts(s) for s in args[1::2]])
        if len(args) % 2:
            equation += "->" + _subscripts(args[-1])
        return _C._einsum(equation, args[:-1:2] if len(args) % 2 else args[::2])
    return _C._einsum(args[0], _unpacked(args[1:]))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Sums of products over pairs of dims: the last `dims` of a and first of b, or the dims in two lists.

    Same as torch.tensordot.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (list, tuple)):
        if len(dims) == 1:
            dims = dims[0]
        elif len(dims) != 2:
            raise RuntimeError(f"tensordot: an int or two lists of dims are required, got {dims}")
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        pair = (list(range(-dims, 0)), list(range(dims)))
    else:
        pair = dims
    result = _C._tensordot(a, b, *pair)
    return result if out is None else _C.add(result, 0, out=out)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """All tensors expanded to their common shape, as views. Same as torch.broadcast_tensors."""
    operands = _unpacked(tensors)
    shape = broadcast_shapes(*[t.shape for t in operands])
    return tuple([t.expand(shape) for t in operands])


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """A grid's coordinates: output i holds tensors[i] along dim i, expanded over all others.

    With indexing="xy" the first two dims change places. Same as torch.meshgrid, without its warning that `indexing` will
    have to be given.
    """
    axes = list(_unpacked(tensors))
    if not axes:
        raise RuntimeError("meshgrid: expected a non-empty list of Tensors")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in axes:
        if t.dim() > 1:
            raise RuntimeError(f"meshgrid: expected 0D or 1D tensors, got shape {tuple(t.shape)}")
        if t.dtype != axes[0].dtype:
            raise RuntimeError("meshgrid: expected all tensors to have the same dtype")
    swap = indexing == "xy" and len(axes) >= 2
    if swap:
        axes[:2] = axes[1], axes[0]
    shape = [t.numel() for t in axes]
    grids = [t.view([1] * i + [-1] + [1] * (len(axes) - 1 - i)).expand(shape) for i, t in enumerate(axes)]
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the elements of 1-D tensors, one per row. Same as torch.cartesian_prod."""
    if len(tensors) == 1:
        return tensors[0]
    return _C.stack([g.reshape(-1) for g in meshgrid(*tensors)], 1)


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal; 0-d and 1-d tensors are one row. Same as torch.block_diag."""
    return _C._block_diag(tensors)


def _at_least(tensors: tuple[Any, ...], lift: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return lift(tensors[0])
    return tuple([lift(t) for t in _unpacked(tensors)])


def atleast_1d(*tensors: Any) -> Any:
    """0-d tensors as [1]. Same as torch.atleast_1d."""
    return _at_least(tensors, lambda t: t if t.dim() else t.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """0-d tensors as [1, 1], 1-d ones as [1, n]. Same as torch.atleast_2d."""
    return _at_least(tensors, lambda t: t if t.dim() > 1 else t.reshape(1, -1))


def atleast_3d(*tensors: Any) -> Any:
    """Fewer dims as [1, n, 1] or [n, m, 1]. Same as torch.atleast_3d."""
    return _at_least(
        tensors, lambda t: t if t.dim() > 2 else t.unsqueeze(-1) if t.dim() == 2 else t.reshape(1, -1, 1)
    )


def norm(
    input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, out: Any = None, dtype: Any = None
) -> Tensor:
    """(sum |x|^p)^(1/p); of matrices with p="nuc" the sum of the singular values. Same as torch.norm."""
    if p != "nuc":
        return _C.norm(input, p, dim, keepdim, dtype, out=out)
    from pynn._linalg.norms import matrix_norm

    dims = (-2, -1) if dim is None and input.dim() == 2 else dim
    return matrix_norm(input, "nuc", dims, keepdim, dtype=dtype, out=out)
