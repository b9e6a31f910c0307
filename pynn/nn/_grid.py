"""Sampling at positions of a grid, for functional.py. Composed of gathers, so that it can be differentiated twice."""

from __future__ import annotations

import itertools

import pynn
from pynn import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    axes = []
    for n in size[2:]:
        line = (
            pynn.linspace(-1, 1, n, dtype=theta.dtype, device=theta.device) if n > 1 else theta.new_zeros(1)
        )
        axes.append(line if aligned or n == 1 else line * ((n - 1) / n))
    grid = pynn.meshgrid(*axes, indexing="ij")
    points = pynn.stack([*reversed(grid), pynn.ones_like(grid[0])], -1)  # x first
    return (points.view(1, -1, dims + 1).expand(size[0], -1, -1) @ theta.transpose(1, 2)).view(
        size[0], *size[2:], dims
    )


def _reflected(at: Tensor, size: int, aligned: bool) -> Tensor:
    """Return positions mirrored at the ends until they lie between them."""
    low, high = (0.0, size - 1.0) if aligned else (-0.5, size - 0.5)
    span = high - low
    if span == 0:
        return at * 0
    distance = (at - low).abs()
    beyond = distance.fmod(span)
    even = (distance / span).floor() % 2 == 0
    return pynn.where(even, beyond + low, span - beyond + low)


def _inside(at: Tensor, size: int, mode: str, aligned: bool) -> Tensor:
    """Return positions by the padding mode."""
    if mode == "zeros":
        return at
    if mode == "reflection":
        at = _reflected(at, size, aligned)
    at = at.clamp(0, size - 1)
    return pynn.where(at == at, at, pynn.zeros_like(at))


class _Picker:
    """Reads elements of (N, C, ...) at whole positions, zero outside."""

    def __init__(self, input: Tensor, points: Sequence[int]) -> None:
        self.sizes = input.shape[2:]
        self.flat = input.flatten(2)
        self.lead = (*input.shape[:2], *points)

    def __call__(self, at: Sequence[Tensor], weight: Tensor | None = None) -> Tensor:
        """At one position per dim, first dim first, each (N, *points); times the weight."""
        index: Tensor | int = 0
        valid = None
        for p, size in zip(at, self.sizes, strict=True):
            p = p.detach()
            ok = (p >= 0) & (p <= size - 1)
            valid = ok if valid is None else valid & ok
            index = index * size + pynn.where(ok, p, pynn.zeros_like(p)).long()
        where = index.flatten(1).unsqueeze(1).expand(self.lead[0], self.lead[1], -1)  # type: ignore[union-attr]
        picked = self.flat.gather(2, where).view(self.lead)
        if weight is not None:
            picked = picked * weight.unsqueeze(1)
        return pynn.where(valid.unsqueeze(1), picked, pynn.zeros_like(picked))  # type: ignore[union-attr]


def _linear(pick: _Picker, at: list[Tensor]) -> Tensor:
    low = [p.detach().floor() for p in at]
    rest = [p - q for p, q in zip(at, low, strict=True)]
    total = None
    for corner in itertools.product((0, 1), repeat=len(at)):
        weight = None
        for bit, r in zip(corner, rest, strict=True):
            w = r if bit else 1 - r
            weight = w if weight is None else weight * w
        part = pick([q + bit for bit, q in zip(corner, low, strict=True)], weight)
        total = part if total is None else total + part
    return total  # type: ignore[return-value]


def _cubic_weights(t: Tensor) -> list[Tensor]:
    """Return Keys' weights of the elements at -1, 0, 1 and 2 for a position t in [0, 1)."""
    a = -0.75

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic(pick: _Picker, at: list[Tensor], inside: Callable[[Tensor, int], Tensor]) -> Tensor:
    low = [p.detach().floor() for p in at]
    weights = [_cubic_weights(p - q) for p, q in zip(at, low, strict=True)]
    total = None
    for i in range(4):
        y = inside(low[0] + (i - 1), 0)
        for j in range(4):
            x = inside(low[1] + (j - 1), 1)
            part = pick([y, x], weights[0][i] * weights[1][j])
            total = part if total is None else total + part
    return total  # type: ignore[return-value]


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
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"grid_sample: expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "grid_sample: expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    aligned = _aligned(align_corners)
    dims = input.dim() - 2
    shapes = f"got input with sizes {tuple(input.shape)} and grid with sizes {tuple(grid.shape)}"
    if dims not in (2, 3) or grid.dim() != input.dim() or grid.size(-1) != dims:
        raise RuntimeError(
            f"grid_sample: expected 4D or 5D input, and a grid of as many dims whose last has one number for each "
            f"spatial dim, {shapes}"
        )
    if input.size(0) != grid.size(0):
        raise RuntimeError(f"grid_sample: expected grid and input to have same batch size, {shapes}")
    if 0 in input.shape[2:]:
        raise RuntimeError(f"grid_sample: expected input to have non-empty spatial dimensions, {shapes}")
    if mode == "bicubic" and dims == 3:
        raise RuntimeError(f"grid_sample: bicubic interpolation only supports 4D input, {shapes}")
    if not input.is_floating_point():
        raise NotImplementedError(f"grid_sample: floating-point input is required, got {input.dtype}")
    if input.dtype != grid.dtype:
        raise RuntimeError(
            f"grid_sample: input and grid must have the same dtype, got {input.dtype} and {grid.dtype}"
        )
    sizes = input.shape[2:]
    if input.numel() == 0 or grid.numel() == 0:
        return input.new_zeros(*input.shape[:2], *grid.shape[1:-1])
    at = []
    for d, size in enumerate(sizes):
        c = grid[..., dims - 1 - d]
        at.append((c + 1) / 2 * (size - 1) if aligned else ((c + 1) * size - 1) / 2)
    pick = _Picker(input, grid.shape[1:-1])
    if mode == "bicubic":
        return _cubic(pick, at, lambda p, d: _inside(p, sizes[d], padding_mode, aligned))
    at = [_inside(p, size, padding_mode, aligned) for p, size in zip(at, sizes, strict=True)]
    if mode == "bilinear":
        return _linear(pick, at)
    # The sum of nothing: the grid's gradient is zero, not absent.
    return pick([p.round() for p in at]) + grid[..., :0].sum()
