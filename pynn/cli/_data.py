"""The data of the demo as tensors: images float32 (N, 28, 28) in [0, 1], labels int64 (N,)."""

from __future__ import annotations

from typing import Any, NamedTuple

import pynn
from pynn import Tensor
from pynn.vision import datasets

_SIDE = 28


class Data(NamedTuple):
    title: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor


def load(name: str) -> Data:
    if name == "digits":
        train, test = datasets.Digits(train=True), datasets.Digits(train=False)
        x, test_x = (pynn.from_numpy(enlarge(part.data.numpy() / 16.0)) for part in (train, test))
        return Data("UCI handwritten digits (8x8, scaled to 28x28)", x, train.targets, test_x, test.targets)
    full, full_test = (datasets.MNIST(train=part, download=True) for part in (True, False))
    x, test_x = (part.data.to(pynn.float32) / 255 for part in (full, full_test))
    return Data("MNIST", x, full.targets, test_x, full_test.targets)


def enlarge(images: Any) -> Any:
    """Bilinear scaling of arrays (N, n, n) to float32 (N, 28, 28); pixels are cells, edges repeat."""
    import numpy

    n = images.shape[-1]
    place = numpy.clip((numpy.arange(_SIDE) + 0.5) * n / _SIDE - 0.5, 0, n - 1)  # in the small image
    low = numpy.minimum(place.astype(int), n - 2)
    weights = numpy.zeros((_SIDE, n))
    weights[numpy.arange(_SIDE), low] = 1 - (place - low)
    weights[numpy.arange(_SIDE), low + 1] = place - low
    return (weights @ images @ weights.T).astype(numpy.float32)
