"""UCI Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998, CC BY 4.0), inside the package."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pynn.vision.datasets._images import LabelledImages

_FILE = os.path.join(os.path.dirname(__file__), "data", "digits.npz")


class Digits(LabelledImages):
    """1,797 handwritten digits of 8x8 pixels; no counterpart in torchvision.

    The split is fixed: of each digit's images, in the original order, every fifth is held out. That gives
    1,442 images for training and 355 for testing, by the same thirteen writers.

    Args:
        train: the training part or the held-out part.
        transform: applied to an image, a uint8 tensor (8, 8) with values 0 to 16.
        target_transform: applied to a label, an int.

    Attributes:
        data: uint8 tensor (N, 8, 8).
        targets: int64 tensor (N,).
    """

    classes = [str(digit) for digit in range(10)]

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        images, labels = _load(_FILE)
        held_out = labels < 0  # all False
        for digit in range(10):
            held_out[(labels == digit).nonzero()[0][4::5]] = True
        keep = ~held_out if train else held_out
        super().__init__(images[keep], labels[keep], transform, target_transform)
        self.train = train


def _load(path: str) -> tuple[Any, Any]:
    import io

    import numpy

    with open(path, "rb") as f:
        content = f.read()
    try:
        with numpy.load(io.BytesIO(content), allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
    except Exception as e:  # zipfile and NumPy raise many classes for bytes that make no sense
        why = " ".join(str(e).split())
        raise RuntimeError(f"Digits: {path} is corrupt or truncated: {why}") from None
    if images.shape != (1797, 8, 8) or labels.shape != (1797,) or images.max() > 16 or labels.max() > 9:
        raise RuntimeError(
            f"Digits: {path} is corrupt: 1797 images of 8x8 from 0 to 16 required, got {images.shape}"
        )
    return images, labels
