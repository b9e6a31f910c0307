"""Small grey images as text: two pixels per character with half blocks, or ASCII shades."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

_SIDE = 20  # pixels of a drawn image; a character is one pixel wide and two high
_GAP = "   "
_BLOCKS = " \u2584\u2580\u2588"  # index: 1 for the lower half + 2 for the upper half
_SHADES = " .:-=+*#%@"
_LIT = 0.1  # pixels brighter than this belong to the stroke or its edge


def images_per_row() -> int:
    """How many images fit the terminal, 1 to 6."""
    columns = shutil.get_terminal_size().columns
    return max(1, min(6, (columns + len(_GAP)) // (_SIDE + len(_GAP))))


def draw(images: Any, captions: Sequence[str], blocks: bool | None = None) -> str:
    """Images (N, h, w) in [0, 1] in a row, each over its caption; by default in blocks if stdout has them."""
    if blocks is None:
        blocks = _can_encode(_BLOCKS)
    pictures = [_picture(image, blocks) for image in images]
    lines = [_GAP.join(row).rstrip() for row in zip(*pictures, strict=True)]
    lines.append(_GAP.join(f"{caption:{_SIDE}}" for caption in captions).rstrip())
    return "\n".join(lines)


def _picture(image: Any, blocks: bool) -> list[str]:
    small = _shrink(image)
    upper, lower = small[0::2], small[1::2]
    if blocks:
        on = 0.9 * small[small > _LIT].mean() if small.max() > _LIT else 1.0  # thin strokes are paler
        index = (lower > on) + 2 * (upper > on)
        return ["".join(_BLOCKS[i] for i in row) for row in index]
    index = ((upper + lower) / 2 * len(_SHADES)).astype(int).clip(0, len(_SHADES) - 1)
    return ["".join(_SHADES[i] for i in row) for row in index]


def _shrink(image: Any) -> Any:
    """Mean brightness in each of _SIDE x _SIDE equal cells."""
    rows, columns = (_overlaps(n) for n in image.shape)
    return rows @ image @ columns.T


def _overlaps(n: int) -> Any:
    """(_SIDE, n): the share of source pixel j in cell i."""
    import numpy

    cell = numpy.arange(_SIDE)[:, None] * n / _SIDE
    pixel = numpy.arange(n)[None, :]
    shared = numpy.minimum(cell + n / _SIDE, pixel + 1) - numpy.maximum(cell, pixel)
    return shared.clip(0) / (n / _SIDE)


def _can_encode(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
