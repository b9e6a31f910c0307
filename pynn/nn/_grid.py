"""Sampling at positions of a grid, for functional.py."""

from __future__ import annotations

import pynn
from pynn import _C, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_grid_sample = _C._nn.grid_sample

_CORNERS = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    "align_corners=True if the old behavior is desired."
)


def _aligned(align_corners: bool | None) -> bool:
    if align_corners is None:
        import warnings

        warnings.warn(_CORNERS, stacklevel=3)
    return bool(align_corners)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Return the positions, for grid_sample, of an affine map's image. Same as torch.nn.functional.affine_grid.

    Args:
        theta: (N, 2, 3) or (N, 3, 4) matrices.
        size: (N, C, H, W) or (N, C, D, H, W) of the output.
        align_corners: -1 and 1 are the centres of the outermost elements, not their outer edges.
    """
    size = [int(n) for n in size]
    if not theta.is_floating_point():
        raise ValueError(f"affine_grid: expected theta to have floating point type, but got {theta.dtype}")
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            f"affine_grid: only 4D and 5D sizes are supported, for 2D and 3D maps, got size {tuple(size)}"
        )
    if theta.dim() != 3 or tuple(theta.shape[1:]) != (dims, dims + 1):
        raise ValueError(
            f"affine_grid: expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size "
            f"{tuple(size)}, got {tuple(theta.shape)}"
        )
    if min(size) <= 0:
        raise ValueError(f"affine_grid: expected non-zero, positive output size, got {tuple(size)}")
    if theta.size(0) != size[0]:
        raise RuntimeError(
            f"affine_grid: theta and size must have the same batch, got {theta.size(0)} and {size[0]}"
        )
    aligned = _aligned(align_corners)
    # Coordinates as planes, which whole registers fill; turned at the end.
    columns = theta.reshape(size[0], dims, dims + 1, *[1] * dims).unbind(2)
    planes = columns[dims]
    for d, n in enumerate(size[2:]):
        line = (
            pynn.linspace(-1, 1, n, dtype=theta.dtype, device=theta.device) if n > 1 else theta.new_zeros(1)
        )
        if not aligned and n > 1:
            line = line * ((n - 1) / n)
        planes = planes + columns[dims - 1 - d] * line.view(n, *[1] * (dims - 1 - d))  # x first
    return planes.movedim(1, -1).contiguous()


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Return the input's values at the positions that `grid` holds. Same as torch.nn.functional.grid_sample.

    Args:
        input: (N, C, H, W) or (N, C, D, H, W).
        grid: (N, H', W', 2) or (N, D', H', W', 3), x first, from -1 to 1.
        mode: "bilinear" (of 5D input: trilinear), "nearest", or "bicubic" (4D input).
        padding_mode: what lies outside: "zeros", "border" (the outermost elements) or "reflection".
        align_corners: -1 and 1 are the centres of the outermost elements, not their outer edges.
    """
    return _grid_sample(input, grid, mode, padding_mode, _aligned(align_corners))
