"""Images in files and bytes, through Pillow. Names as in torchvision.io."""

from __future__ import annotations

import enum
import io
import os
from typing import Any

import pynn
from pynn import Tensor

__all__ = [
    "ImageReadMode",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "read_file",
    "read_image",
    "write_file",
    "write_jpeg",
    "write_png",
]


class ImageReadMode(enum.Enum):
    """The channels of a decoded image."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_PILLOW = {"GRAY": "L", "GRAY_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA"}


def read_file(path: str | os.PathLike[str]) -> Tensor:
    """The bytes of a file: uint8 (n,)."""
    with open(path, "rb") as f:
        return pynn.frombuffer(bytearray(f.read()), dtype=pynn.uint8)


def write_file(filename: str | os.PathLike[str], data: Tensor) -> None:
    """Writes bytes: uint8 (n,)."""
    with open(filename, "wb") as f:
        f.write(data.numpy().tobytes())


def decode_image(
    input: Any, mode: ImageReadMode | str = ImageReadMode.UNCHANGED, apply_exif_orientation: bool = False
) -> Tensor:
    """The image (C, H, W), uint8, in a tensor of bytes or a file.

    Raises:
        RuntimeError: it is no image.
    """
    import numpy
    from PIL import Image, ImageOps

    name = mode.upper() if isinstance(mode, str) else mode.name
    source = io.BytesIO(input.numpy().tobytes()) if isinstance(input, Tensor) else os.fspath(input)
    try:
        with Image.open(source) as image:
            image.load()
            picture: Any = ImageOps.exif_transpose(image) if apply_exif_orientation else image
    except Image.UnidentifiedImageError as e:
        raise RuntimeError(f"decode_image: an image is required, got {e}") from e
    if name in _PILLOW or picture.mode not in _PILLOW.values():
        picture = picture.convert(_PILLOW.get(name, "RGB"))
    pixels = pynn.from_numpy(numpy.array(picture))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1).contiguous()


decode_png = decode_jpeg = decode_image


def read_image(
    path: str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """The image (C, H, W), uint8, in a file."""
    return decode_image(path, mode, apply_exif_orientation)


def _encode(name: str, input: Tensor, **options: Any) -> Tensor:
    from PIL import Image

    if input.dtype != pynn.uint8 or input.dim() != 3 or input.shape[0] not in (1, 3):
        raise RuntimeError(
            f"encode_{name}: uint8 (1 or 3, H, W) is required, got {input.dtype} {tuple(input.shape)}"
        )
    pixels = input[0] if input.shape[0] == 1 else input.permute(1, 2, 0)
    out = io.BytesIO()
    Image.fromarray(pixels.contiguous().numpy()).save(out, name, **options)
    return pynn.frombuffer(bytearray(out.getvalue()), dtype=pynn.uint8)


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """The bytes of a PNG of uint8 (1 or 3, H, W)."""
    return _encode("png", input, compress_level=compression_level)


def encode_jpeg(input: Tensor, quality: int = 75) -> Tensor:
    """The bytes of a JPEG of uint8 (1 or 3, H, W)."""
    return _encode("jpeg", input, quality=quality)


def write_png(input: Tensor, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Writes an image uint8 (1 or 3, H, W) as PNG."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: Tensor, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Writes an image uint8 (1 or 3, H, W) as JPEG."""
    write_file(filename, encode_jpeg(input, quality))
