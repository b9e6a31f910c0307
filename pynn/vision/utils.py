"""Grids of images, and writing them to files. Names as in torchvision.utils."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Any

import pynn
from pynn import Tensor


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """One image (C, H, W) of many. Same as torchvision.utils.make_grid.

    Args:
        tensor: images (B, C, H, W), a list of images of one size, or one image; one channel becomes three.
        nrow: images in a row.
        padding: pixels around each.
        normalize: shift and scale to [0, 1], by `value_range` or else by the least and the largest value.
        scale_each: find those for each image.
        pad_value: between images.
    """
    if isinstance(tensor, list) and all(isinstance(t, Tensor) for t in tensor):
        images = pynn.stack(tensor)
    elif isinstance(tensor, Tensor):
        images = tensor
    else:
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    images = images.detach()
    if images.dim() == 2:
        images = images[None]
    if images.dim() == 3:
        images = images[None]
    if images.dim() == 4 and images.shape[1] == 1:
        images = pynn.cat((images, images, images), 1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        if scale_each:
            images = pynn.stack([_normalized(image, value_range) for image in images])
        else:
            images = _normalized(images, value_range)
    if images.shape[0] == 1:
        return images[0]
    count, channels, h, w = images.shape
    columns = min(nrow, count)
    rows = -(-count // columns)
    grid = images.new_full(
        (channels, (h + padding) * rows + padding, (w + padding) * columns + padding), pad_value
    )
    for i in range(count):
        y, x = i // columns * (h + padding) + padding, i % columns * (w + padding) + padding
        grid[:, y : y + h, x : x + w] = images[i]
    return grid


def _normalized(x: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    low, high = value_range if value_range is not None else (float(x.min()), float(x.max()))
    return (x.clamp(low, high) - low) / max(high - low, 1e-5)


def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: str | os.PathLike[str] | IO[bytes],
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write an image, or the grid of several, with values in [0, 1]. Same as torchvision.utils.save_image.

    Args:
        fp: a path, or a file object, which needs `format`.
        kwargs: for make_grid.
    """
    from PIL import Image

    grid = make_grid(tensor, **kwargs)
    array = (grid * 255 + 0.5).clamp(0, 255).permute(1, 2, 0).to(pynn.uint8).numpy()
    Image.fromarray(array).save(fp, format=format)
