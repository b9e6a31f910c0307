"""Functions of images by the names of torchvision.transforms.v2.functional: those of the first version, and a few more."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor
from pynn.vision.transforms.functional import *  # noqa: F403
from pynn.vision.transforms.functional import InterpolationMode as InterpolationMode
from pynn.vision.transforms.functional import convert_image_dtype, pil_to_tensor


def to_image(inpt: Any) -> Tensor:
    """A Pillow image, an array [H, W(, C)] or a tensor as a tensor [C, H, W] of the same values."""
    if isinstance(inpt, Tensor):
        return inpt
    if hasattr(inpt, "__array_interface__") and not hasattr(inpt, "getbands"):
        image = pynn.as_tensor(inpt)
        return image[None] if image.dim() == 2 else image.permute(2, 0, 1).contiguous()
    return pil_to_tensor(inpt)


def to_dtype(inpt: Tensor, dtype: Any = pynn.float32, scale: bool = False) -> Tensor:
    """In another dtype; `scale`: from its range to that of the new one."""
    return convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)


to_dtype_image = to_dtype


def grayscale_to_rgb(image: Tensor) -> Tensor:
    """Three channels of the one, [..., 3, H, W]."""
    return image if image.shape[-3] == 3 else image.repeat_interleave(3, -3)
