"""Data sets of small images: `Digits` ships in the package, `MNIST` is read from files or downloaded."""

from pynn.vision.datasets.digits import Digits
from pynn.vision.datasets.mnist import MNIST

__all__ = ["MNIST", "Digits"]
