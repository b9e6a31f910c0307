"""Images as tensors (..., C, H, W): resizing, blurring and warping.

Resizing and blurring are separable, so both are a matrix for the rows and one for the columns: y = R x C^T.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import pynn
from pynn import Tensor
from pynn.type_info import iinfo


def _triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def _cubic(a: float) -> Callable[[float], float]:
    def weight(x: float) -> float:
        x = abs(x)
        if x < 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0

    return weight


@lru_cache(maxsize=64)
def _resize_matrix(n_in: int, n_out: int, mode: str, antialias: bool) -> Tensor:
    """float32 (n_out, n_in). With antialias the filter is as wide as the step between outputs."""
    step = n_in / n_out
    stretch = max(step, 1.0) if antialias else 1.0
    radius = 1 if mode == "bilinear" else 2
    filter = _triangle if mode == "bilinear" else _cubic(-0.5 if antialias else -0.75)
    rows = []
    for i in range(n_out):
        row = [0.0] * n_in
        centre = step * (i + 0.5)
        if antialias:
            first = max(int(centre - radius * stretch + 0.5), 0)
            last = min(int(centre + radius * stretch + 0.5), n_in)
            weights = [filter((j + 0.5 - centre) / stretch) for j in range(first, last)]
            total = sum(weights)
            for j, w in enumerate(weights, first):
                row[j] = w / total
        else:  # what lies outside is the pixel at the edge
            first = math.floor(centre - 0.5) - radius + 1
            for j in range(first, first + 2 * radius):
                row[min(max(j, 0), n_in - 1)] += filter(j + 0.5 - centre)
        rows.append(row)
    return pynn.tensor(rows)


def _separable(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """rows @ x @ columns^T, computed in floating point and rounded back for integers."""
    dtype = x.dtype
    y = x if dtype in (pynn.float32, pynn.float64) else x.to(pynn.float32)
    y = rows.to(y.device, y.dtype) @ y @ columns.to(y.device, y.dtype).t()
    if dtype.is_floating_point:
        return y.to(dtype)
    info = iinfo(dtype)
    return y.round().clamp(info.min, info.max).to(dtype)


def resize(x: Tensor, height: int, width: int, mode: str, antialias: bool) -> Tensor:
    """Images of another size, by "nearest", "nearest-exact", "bilinear" or "bicubic"."""
    h, w = x.shape[-2:]
    if (h, w) == (height, width):
        return x
    if mode in ("nearest", "nearest-exact"):
        offset = 0.5 if mode == "nearest-exact" else 0.0
        rows = [min(int((i + offset) * h / height), h - 1) for i in range(height)]
        columns = [min(int((j + offset) * w / width), w - 1) for j in range(width)]
        return x[..., pynn.tensor(rows)[:, None], pynn.tensor(columns)]
    return _separable(
        x, _resize_matrix(h, height, mode, antialias), _resize_matrix(w, width, mode, antialias)
    )


def _reflected(i: int, n: int) -> int:
    """-1 -> 1, n -> n - 2"""
    if n == 1:
        return 0
    i = abs(i) % (2 * n - 2)
    return min(i, 2 * n - 2 - i)


@lru_cache(maxsize=64)
def _blur_matrix(n: int, size: int, sigma: float) -> Tensor:
    half = (size - 1) * 0.5
    taps = [math.exp(-0.5 * ((k - half) / sigma) ** 2) for k in range(size)]
    total = sum(taps)
    rows = []
    for i in range(n):
        row = [0.0] * n
        for k, tap in enumerate(taps):
            row[_reflected(i + k - size // 2, n)] += tap / total
        rows.append(row)
    return pynn.tensor(rows)


def gaussian_blur(x: Tensor, size: Sequence[int], sigma: Sequence[float]) -> Tensor:
    """`size` and `sigma` are (along x, along y)."""
    h, w = x.shape[-2:]
    return _separable(x, _blur_matrix(h, size[1], sigma[1]), _blur_matrix(w, size[0], sigma[0]))


def pad(x: Tensor, left: int, top: int, right: int, bottom: int, fill: float, mode: str) -> Tensor:
    """Pad (or crop, for negative sizes); mode is "constant", "edge", "reflect" or "symmetric"."""
    h, w = x.shape[-2:]
    if mode == "constant":
        out = x.new_full((*x.shape[:-2], h + top + bottom, w + left + right), fill)
        inner = x[..., max(-top, 0) : h - max(-bottom, 0), max(-left, 0) : w - max(-right, 0)]
        y, z = max(top, 0), max(left, 0)
        out[..., y : y + inner.shape[-2], z : z + inner.shape[-1]] = inner
        return out

    def index(n: int, before: int, after: int) -> Tensor:
        positions = range(-before, n + after)
        if mode == "edge":
            return pynn.tensor([min(max(i, 0), n - 1) for i in positions])
        if mode == "reflect":
            if max(before, after) >= n:
                raise ValueError(
                    f"pad: reflect needs a padding below the size, got {(before, after)} for {n}"
                )
            return pynn.tensor([_reflected(i, n) for i in positions])
        return pynn.tensor([min(i % (2 * n), 2 * n - 1 - i % (2 * n)) for i in positions])

    return x[..., index(h, top, bottom)[:, None], index(w, left, right)]


def affine(
    x: Tensor, matrix: Sequence[float], mode: str, fill: Any, size: tuple[int, int] | None = None
) -> Tensor:
    """Output pixel (x, y), measured from the centre, shows input (a x + b y + c, d x + e y + f)."""
    h, w = x.shape[-2:]
    height, width = size or (h, w)
    a, b, c, d, e, f = matrix
    px = pynn.arange(width, dtype=pynn.float32, device=x.device) - (width - 1) / 2
    py = (pynn.arange(height, dtype=pynn.float32, device=x.device) - (height - 1) / 2)[:, None]
    sx = a * px + b * py + (c + (w - 1) / 2)
    sy = d * px + e * py + (f + (h - 1) / 2)
    source = x if x.is_floating_point() else x.to(pynn.float32)

    def at(iy: Tensor, ix: Tensor) -> tuple[Tensor, Tensor]:
        inside = ((ix >= 0) & (ix < w) & (iy >= 0) & (iy < h)).to(source.dtype)
        rows, columns = iy.clamp(0, h - 1).to(pynn.int64), ix.clamp(0, w - 1).to(pynn.int64)
        return source[..., rows, columns] * inside, inside

    if mode == "nearest":
        out, covered = at(sy.round(), sx.round())
    elif mode == "bilinear":
        x0, y0 = sx.floor(), sy.floor()
        wx, wy = sx - x0, sy - y0
        out, covered = pynn.zeros(()), pynn.zeros(())
        for dy, v in ((0, 1 - wy), (1, wy)):
            for dx, u in ((0, 1 - wx), (1, wx)):
                value, inside = at(y0 + dy, x0 + dx)
                out, covered = out + value * (u * v), covered + inside * (u * v)
    else:
        raise ValueError(f"affine: nearest or bilinear is required for tensors, got {mode}")
    if fill is not None:
        values = pynn.tensor(
            fill if isinstance(fill, (list, tuple)) else [fill], dtype=source.dtype, device=x.device
        )
        background = values.reshape(-1, 1, 1)
        if mode == "nearest":
            out = pynn.where(covered < 0.5, background, out)
        else:
            out = out * covered + (1 - covered) * background
    return out if x.is_floating_point() else out.round().to(x.dtype)
