"""Transforms by the names of torchvision.transforms.v2: those of the first version, of images and tensors, and a few more.

There are no boxes, masks or videos ("tv_tensors"): everything that is no image passes through none of them.
"""

from __future__ import annotations

from typing import Any

import pynn
from pynn import nn
from pynn.vision.transforms import *
from pynn.vision.transforms.v2 import functional as functional  # type: ignore[no-redef]
from pynn.vision.transforms.v2.functional import to_dtype, to_image


class ToImage(nn.Module):
    """functional.to_image. Same as torchvision.transforms.v2.ToImage."""

    def forward(self, inpt: Any) -> Any:
        return to_image(inpt)


class ToDtype(nn.Module):
    """functional.to_dtype. Same as torchvision.transforms.v2.ToDtype, of images."""

    def __init__(self, dtype: Any = pynn.float32, scale: bool = False) -> None:
        super().__init__()
        self.dtype, self.scale = dtype, scale

    def forward(self, inpt: Any) -> Any:
        return to_dtype(inpt, self.dtype, self.scale)


class ToPureTensor(nn.Module):
    """The tensor itself: it is no other kind. Same as torchvision.transforms.v2.ToPureTensor."""

    def forward(self, inpt: Any) -> Any:
        return inpt
