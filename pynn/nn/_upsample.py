"""Interpolation, for functional.py."""

from __future__ import annotations

import math

from pynn import _C, Tensor

from ._pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_upsample = _C._nn.upsample

# How many spatial dims a mode takes.
_DIMS = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "lanczos": (2,),
    "trilinear": (3,),
}
_SMOOTH = ("linear", "bilinear", "bicubic", "trilinear")


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Bring (N, C, ...) to another spatial size. Same as torch.nn.functional.interpolate.

    Args:
        size: the new size, a number or one for each spatial dim; or
        scale_factor: by what to multiply the old one.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear" or "area"; "lanczos" with
            `antialias`.
        align_corners: the first and last positions of input and output coincide, not the ends of the space that
            elements occupy.
        recompute_scale_factor: take the ratio of the sizes in place of `scale_factor`.
        antialias: when shrinking, average over as much of the input as an output position covers.
    """
    dims = input.dim() - 2
    if mode not in _DIMS or not 1 <= dims <= 3 or (mode in ("bicubic", "lanczos") and dims == 3):
        raise NotImplementedError(
            f"interpolate: 3D, 4D and 5D input and one of the modes {' | '.join(_DIMS)} are required, got "
            f"{input.dim()}D input and {mode}"
        )
    if mode not in _SMOOTH and mode != "lanczos" and align_corners is not None:
        raise ValueError(
            f"interpolate: align_corners can only be set with the modes {' | '.join(_SMOOTH)}, got {mode}"
        )
    if antialias and (mode not in ("bilinear", "bicubic", "lanczos") or dims != 2):
        raise ValueError(
            "interpolate: antialias is restricted to 4D input and the modes bilinear, bicubic and lanczos, got "
            f"{input.dim()}D input and {mode}"
        )
    if mode == "lanczos" and (not antialias or align_corners):
        raise ValueError(
            f"interpolate: mode lanczos requires antialias=True and does not support align_corners, got antialias="
            f"{antialias} and align_corners={align_corners}"
        )
    sizes, scales = _sizes(input, size, scale_factor, recompute_scale_factor, dims)
    if dims not in _DIMS[mode]:
        raise NotImplementedError(
            f"interpolate: mode {mode} needs {_DIMS[mode][0] + 2}D input, got {input.dim()}D input"
        )
    if mode == "area":
        pool = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1]
        return pool(input, sizes)
    return _upsample(input, sizes, mode, bool(align_corners), antialias, *scales)


def _sizes(
    input: Tensor, size: Any, scale_factor: Any, recompute: bool | None, dims: int
) -> tuple[list[int], list[float | None]]:
    """Return the output size, and the scale that positions are computed by, of each spatial dim."""
    if size is not None and scale_factor is not None:
        raise ValueError(
            f"interpolate: only one of size or scale_factor should be defined, got {size} and {scale_factor}"
        )
    none: list[float | None] = [None] * dims
    if size is not None:
        if recompute:
            raise ValueError(
                "interpolate: recompute_scale_factor is not meaningful with an explicit size, got True"
            )
        sizes = _each("size", size, input, dims)
        if not all(hasattr(n, "__index__") for n in sizes):
            raise TypeError(f"interpolate: size must be an int or a tuple of ints, got {size}")
        return [int(n) for n in sizes], none
    if scale_factor is None:
        raise ValueError("interpolate: either size or scale_factor should be defined, got None")
    scales = [float(s) for s in _each("scale_factor", scale_factor, input, dims)]
    sizes = [math.floor(n * s) for n, s in zip(input.shape[2:], scales, strict=True)]
    return sizes, none if recompute else list(scales)


def _each(name: str, value: Any, input: Tensor, dims: int) -> list[Any]:
    if not isinstance(value, (tuple, list)):
        return [value] * dims
    if len(value) != dims:
        raise ValueError(
            f"interpolate: input and {name} must have the same number of spatial dimensions, got input "
            f"{tuple(input.shape)} and {name}={value}"
        )
    return list(value)


def _deprecated(name: str) -> None:
    import warnings

    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3
    )


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Return interpolate(...): an old name."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Return interpolate(..., mode="nearest"): an old name."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Return interpolate(..., mode="bilinear", align_corners=True): an old name."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
