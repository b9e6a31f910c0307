"""Data sets of images: `Digits` ships in the package, the others are read from files, which may be downloaded."""

from pynn.vision.datasets.cifar import CIFAR10, CIFAR100
from pynn.vision.datasets.digits import Digits
from pynn.vision.datasets.fakedata import FakeData
from pynn.vision.datasets.folder import DatasetFolder, ImageFolder
from pynn.vision.datasets.mnist import KMNIST, MNIST, FashionMNIST
from pynn.vision.datasets.vision import VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "KMNIST",
    "MNIST",
    "VisionDataset",
]
