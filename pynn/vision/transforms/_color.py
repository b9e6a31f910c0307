"""Images as tensors (..., C, H, W): colours. Floating point images lie in [0, 1], integers in their whole range."""

from __future__ import annotations

import pynn
from pynn import Tensor
from pynn.type_info import iinfo


def bound(dtype: pynn.dtype) -> float:
    """The value of white."""
    if dtype == pynn.bool:
        return 1
    return 1.0 if dtype.is_floating_point else iinfo(dtype).max


def convert_dtype(x: Tensor, dtype: pynn.dtype) -> Tensor:
    """Another dtype, with the range of values of that."""
    if x.dtype == dtype:
        return x
    if x.is_floating_point():
        if dtype.is_floating_point:
            return x.to(dtype)
        wide = x.dtype == pynn.float32 and dtype in (pynn.int32, pynn.int64)
        if wide or (x.dtype == pynn.float64 and dtype == pynn.int64):
            raise RuntimeError(f"The cast from {x.dtype} to {dtype} cannot be performed safely.")
        return (x * (bound(dtype) + 1.0 - 1e-3)).to(dtype)  # equal parts of [0, 1] for each integer
    if dtype.is_floating_point:
        return x.to(dtype) / bound(x.dtype)
    have, want = int(bound(x.dtype)) + 1, int(bound(dtype)) + 1
    if have > want:
        return pynn.div(x, have // want, rounding_mode="floor").to(dtype)
    return x.to(dtype) * (want // have)


def grayscale(x: Tensor, channels: int) -> Tensor:
    """The luma of RGB, as 1 or 3 channels."""
    _check(x, "rgb_to_grayscale")
    if channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if x.shape[-3] == 3:
        r, g, b = x.unbind(dim=-3)
        luma = (0.2989 * r + 0.587 * g + 0.114 * b).to(x.dtype).unsqueeze(-3)
    else:
        luma = x.clone()
    return luma.expand(*x.shape[:-3], 3, *x.shape[-2:]) if channels == 3 else luma


def _check(x: Tensor, op: str) -> None:
    if x.dim() < 3 or x.shape[-3] not in (1, 3):
        raise TypeError(f"{op}: an image (..., 1 or 3, H, W) is required, got shape {tuple(x.shape)}")


def blend(x: Tensor, y: Tensor, ratio: float) -> Tensor:
    """ratio x + (1 - ratio) y, within the range of the dtype."""
    return (float(ratio) * x + (1.0 - float(ratio)) * y).clamp(0, bound(x.dtype)).to(x.dtype)


def brightness(x: Tensor, factor: float) -> Tensor:
    _check(x, "adjust_brightness")
    return blend(x, pynn.zeros_like(x), factor)


def contrast(x: Tensor, factor: float) -> Tensor:
    _check(x, "adjust_contrast")
    gray = grayscale(x, 1) if x.shape[-3] == 3 else x
    gray = gray if gray.is_floating_point() else gray.to(pynn.float32)
    return blend(x, gray.mean(dim=(-3, -2, -1), keepdim=True), factor)


def saturation(x: Tensor, factor: float) -> Tensor:
    _check(x, "adjust_saturation")
    return x if x.shape[-3] == 1 else blend(x, grayscale(x, 1), factor)


def hue(x: Tensor, factor: float) -> Tensor:
    _check(x, "adjust_hue")
    if x.shape[-3] == 1:
        return x
    h, s, v = _to_hsv(convert_dtype(x, pynn.float32))
    return convert_dtype(_to_rgb((h + factor) % 1.0, s, v), x.dtype)


def _to_hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r, g, b = x.unbind(dim=-3)
    high, low = x.amax(dim=-3), x.amin(dim=-3)
    gray = high == low
    spread = pynn.where(gray, 1.0, high - low)
    s = pynn.where(gray, 0.0, (high - low) / pynn.where(gray, 1.0, high))
    sector = pynn.where(
        high == r,
        (g - b) / spread,
        pynn.where(high == g, 2.0 + (b - r) / spread, 4.0 + (r - g) / spread),
    )
    return pynn.where(gray, 0.0, (sector / 6.0) % 1.0), s, high


def _to_rgb(h: Tensor, s: Tensor, v: Tensor) -> Tensor:
    """Channel n is v - v s max(0, min(k, 4 - k, 1)) with k = (n + 6 h) mod 6, n = 5, 3, 1."""
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = (n + h * 6.0) % 6.0
        channels.append(v - v * s * pynn.minimum(k, 4.0 - k).clamp(0.0, 1.0))
    return pynn.stack(channels, dim=-3)


def gamma(x: Tensor, gamma: float, gain: float) -> Tensor:
    y = convert_dtype(x, pynn.float32) if not x.is_floating_point() else x
    return convert_dtype((gain * y**gamma).clamp(0, 1), x.dtype)


def invert(x: Tensor) -> Tensor:
    return bound(x.dtype) - x


def solarize(x: Tensor, threshold: float) -> Tensor:
    return pynn.where(x >= threshold, invert(x), x)


def posterize(x: Tensor, bits: int) -> Tensor:
    if x.dtype != pynn.uint8:
        raise TypeError(f"posterize: uint8 is required, got {x.dtype}")
    return x & (256 - (1 << (8 - bits)))


def autocontrast(x: Tensor) -> Tensor:
    top = bound(x.dtype)
    y = x if x.is_floating_point() else x.to(pynn.float32)
    low, high = y.amin(dim=(-2, -1), keepdim=True), y.amax(dim=(-2, -1), keepdim=True)
    flat = high == low
    scale = pynn.where(flat, 1.0, top / pynn.where(flat, 1.0, high - low))
    return ((y - pynn.where(flat, 0.0, low)) * scale).clamp(0, top).to(x.dtype)
