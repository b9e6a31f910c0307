"""Images of Pillow, which is imported when the first one is met."""

from __future__ import annotations

import sys
from typing import Any

import pynn
from pynn import Tensor


def is_pil(x: Any) -> bool:
    """Whether x is an image of Pillow."""
    image = sys.modules.get("PIL.Image")  # not imported: no such image can be here
    return image is not None and isinstance(x, image.Image)


def to_tensor(image: Any) -> Tensor:
    """(C, H, W) of the image's own type."""
    import numpy

    wide = {"I": numpy.int32, "I;16": numpy.uint16, "I;16B": numpy.uint16, "F": numpy.float32}.get(image.mode)
    array = numpy.array(image, wide, copy=True)
    if image.mode in ("I;16", "I;16B"):
        array = array.astype(numpy.int16)
    if array.dtype == numpy.bool_:
        array = array.astype(numpy.uint8)
        return pynn.from_numpy(array)[None]
    return pynn.from_numpy(array)[None] if array.ndim == 2 else pynn.from_numpy(array).permute(2, 0, 1)


def from_array(array: Any, mode: str | None) -> Any:
    """An image of an array (H, W, C) or (H, W)."""
    import numpy
    from PIL import Image

    if array.ndim == 2:
        array = array[:, :, None]
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if channels == 1:
        array = array[:, :, 0]
        expected = {
            numpy.dtype("uint8"): "L",
            numpy.dtype("int16"): "I;16",
            numpy.dtype("int32"): "I",
            numpy.dtype("float32"): "F",
        }.get(array.dtype)
        if mode is not None and mode != expected:
            raise ValueError(
                f"Incorrect mode ({mode}) supplied for input type {array.dtype}. Should be {expected}"
            )
        allowed: tuple[str | None, ...] = (expected,)
    elif channels == 2:
        allowed, expected = ("LA",), "LA"
    elif channels == 4:
        allowed, expected = ("RGBA", "CMYK", "RGBX"), "RGBA"
    else:
        allowed, expected = ("RGB", "YCbCr", "HSV"), "RGB"
    if channels > 1:
        if mode is not None and mode not in allowed:
            raise ValueError(f"Only modes {allowed} are supported for {channels}D inputs")
        if array.dtype != numpy.uint8:
            expected = None
    mode = mode or expected
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    made = Image.fromarray(numpy.ascontiguousarray(array))
    return made if made.mode == mode else _in_mode(made, mode, array)


def _in_mode(made: Any, mode: str, array: Any) -> Any:
    from PIL import Image

    height, width = array.shape[:2]
    return Image.frombytes(mode, (width, height), array.tobytes())


def filter_of(mode: str) -> Any:
    """Pillow's constant for an interpolation mode."""
    from PIL import Image

    name = {"nearest-exact": "NEAREST"}.get(mode, mode.upper())
    return getattr(Image.Resampling, name)


def fill_of(fill: Any, image: Any) -> Any:
    """A fill value with as many entries as the image has bands."""
    bands = len(image.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, (int, float)):
        if bands == 1:
            return fill if image.mode == "F" else int(fill)
        return (int(fill),) * bands
    values = tuple(fill)
    if len(values) == 1 and bands > 1:
        values *= bands
    if len(values) != bands:
        raise ValueError(
            f"The number of elements in 'fill' does not match the number of channels of the image ({len(values)} != {bands})"
        )
    values = values if image.mode == "F" else tuple(int(v) for v in values)
    return values[0] if bands == 1 else values


def pad(image: Any, left: int, top: int, right: int, bottom: int, fill: Any, mode: str) -> Any:
    import numpy
    from PIL import Image, ImageOps

    if mode == "constant":
        padded = ImageOps.expand(image, border=(left, top, right, bottom), fill=fill_of(fill, image))
        if image.mode == "P":
            padded.putpalette(image.getpalette())
        return padded
    image = image.crop(
        (max(-left, 0), max(-top, 0), image.width - max(-right, 0), image.height - max(-bottom, 0))
    )
    array = numpy.asarray(image)
    widths = [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)][: array.ndim]
    padded = Image.fromarray(numpy.pad(array, widths, mode=mode))  # type: ignore[call-overload]
    if image.mode == "P":
        padded.putpalette(image.getpalette())
    return padded


def enhance(kind: str, image: Any, factor: float) -> Any:
    """Brightness, Contrast, Color or Sharpness."""
    from PIL import ImageEnhance

    return getattr(ImageEnhance, kind)(image).enhance(factor)


def hue(image: Any, factor: float) -> Any:
    import numpy
    from PIL import Image

    if image.mode in ("L", "1", "I", "F"):
        return image
    h, s, v = image.convert("HSV").split()
    turned = (numpy.array(h, dtype=numpy.int32) + int(factor * 255)) % 256  # a full turn is 256 steps
    return Image.merge("HSV", (Image.fromarray(turned.astype(numpy.uint8)), s, v)).convert(image.mode)


def grayscale(image: Any, channels: int) -> Any:
    import numpy
    from PIL import Image

    if channels == 1:
        return image.convert("L")
    if channels == 3:
        return Image.fromarray(numpy.dstack([numpy.array(image.convert("L"), dtype=numpy.uint8)] * 3))
    raise ValueError("num_output_channels should be either 1 or 3")


def gamma(image: Any, gamma: float, gain: float) -> Any:
    mode = image.mode
    image = image.convert("RGB")
    curve = [int((255 + 1 - 1e-3) * gain * pow(i / 255.0, gamma)) for i in range(256)] * 3
    return image.point(curve).convert(mode)
