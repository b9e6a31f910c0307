"""MNIST and its kin from their four IDX files, compressed or not."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import pynn
from pynn.vision.datasets.download import download
from pynn.vision.datasets.vision import VisionDataset, data_roots, pil_image

# The well-known mirrors of LeCun's files, and the MD5 of the compressed files.
_MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
]
_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_MAX_IMAGES = 1_000_000  # a larger count in a header is a broken file


class MNIST(VisionDataset):
    """Handwritten digits of 28x28 pixels, 60,000 for training and 10,000 for testing.

    Same as torchvision.datasets.MNIST, except that `root` may be left out, and is not the only place looked in. An item
    is a Pillow image and an int.

    Args:
        root: folder with the IDX files, or with them in `mnist/` or `MNIST/raw/`. Then the folder named by the
            environment variable PYNN_DATA is looked in, then the user's cache (`$XDG_CACHE_HOME/pynn` or
            `~/.cache/pynn`).
        train: the training part or the test part.
        transform: applied to an image.
        target_transform: applied to a label, an int.
        download: fetch the files if they are found nowhere, to `root` or else the cache, and check their MD5.

    Attributes:
        data: uint8 tensor (N, 28, 28).
        targets: int64 tensor (N,).

    Raises:
        RuntimeError: files not found, not downloadable, corrupt or truncated.
    """

    classes = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        name = type(self).__name__
        images_file, labels_file = self._find_or_download("train" if train else "t10k", download)
        images = _read_idx(name, images_file, (28, 28))
        labels = _read_idx(name, labels_file, ())
        if len(images) != len(labels):
            raise RuntimeError(
                f"{name}: as many labels as images required, got {len(images)} images in {images_file} "
                f"and {len(labels)} labels in {labels_file}"
            )
        if labels.max() > 9:
            raise RuntimeError(
                f"{name}: {labels_file} is corrupt: labels 0 to 9 required, got {labels.max()}"
            )
        self.data = pynn.from_numpy(images)
        self.targets = pynn.from_numpy(labels.astype("int64"))

    @staticmethod
    def _sources() -> tuple[list[str], dict[str, str]]:
        """Mirrors, and the MD5 of each file."""
        return _MIRRORS, _MD5

    def _find_or_download(self, part: str, may_download: bool) -> tuple[str, str]:
        """Paths of the images and the labels."""
        name = type(self).__name__
        roots = data_roots(self.root)
        for folder in roots:
            for place in (folder, os.path.join(folder, name.lower()), os.path.join(folder, name, "raw")):
                if place == folder and name != "MNIST" and folder != self.root:
                    continue  # files without a folder of their own are MNIST's
                images = _first_file(place, f"{part}-images", "idx3-ubyte")
                labels = _first_file(place, f"{part}-labels", "idx1-ubyte")
                if images and labels:
                    return images, labels
        if not may_download:
            raise RuntimeError(
                f"{name}: dataset not found in {' or '.join(roots)} (use download=True, or set PYNN_DATA)"
            )
        place = os.path.join(roots[0] if self.root is not None else roots[-1], name, "raw")
        mirrors, sums = self._sources()
        found = []
        for file in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
            path = os.path.join(place, file)
            download([mirror + file for mirror in mirrors], path, sums[file])
            found.append(path)
        return found[0], found[1]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(pil_image(self.data[index].numpy()), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """From class name to label."""
        return {name: i for i, name in enumerate(self.classes)}

    @property
    def train_data(self) -> Any:
        """The old name of data."""
        warnings.warn("train_data has been renamed data", stacklevel=2)
        return self.data

    @property
    def train_labels(self) -> Any:
        """The old name of targets."""
        warnings.warn("train_labels has been renamed targets", stacklevel=2)
        return self.targets

    test_data, test_labels = train_data, train_labels

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Articles of clothing of 28x28 pixels, in MNIST's format. Same as torchvision.datasets.FashionMNIST; see MNIST."""

    classes = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]

    @staticmethod
    def _sources() -> tuple[list[str], dict[str, str]]:
        return ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"], {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        }


class KMNIST(MNIST):
    """Cursive Japanese characters of 28x28 pixels, in MNIST's format. Same as torchvision.datasets.KMNIST; see MNIST."""

    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]

    @staticmethod
    def _sources() -> tuple[list[str], dict[str, str]]:
        return ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"], {
            "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
            "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
            "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
            "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
        }


def _first_file(folder: str, stem: str, kind: str) -> str | None:
    for name in (f"{stem}-{kind}", f"{stem}-{kind}.gz", f"{stem}.{kind}", f"{stem}.{kind}.gz"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    return None


def _read_idx(dataset: str, path: str, item: tuple[int, ...]) -> Any:
    """A uint8 array (N, *item) from an IDX file: 0, 0, 8 (uint8), rank; the dims as big-endian u32; data."""
    import gzip
    import zlib

    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as f:
            return _read_idx_open(f, item)
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as e:
        raise RuntimeError(f"{dataset}: {path} is corrupt or truncated: {e}") from None


def _read_idx_open(f: Any, item: tuple[int, ...]) -> Any:
    import numpy

    rank = 1 + len(item)
    header = f.read(4 + 4 * rank)
    if len(header) < 4 + 4 * rank or header[:4] != bytes([0, 0, 8, rank]):
        raise ValueError(
            f"an IDX header of rank {rank} with uint8 data required, got {header[:4].hex(' ') or 'nothing'}"
        )
    count, *shape = (int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4))
    if tuple(shape) != item or not 0 < count <= _MAX_IMAGES:
        raise ValueError(f"shape (N{''.join(f', {n}' for n in item)}) required, got {(count, *shape)}")
    size = count
    for n in item:
        size *= n
    data = bytearray(size)  # writable, so that the tensor over it is
    view = memoryview(data)
    while view.nbytes:
        n = f.readinto(view)
        if not n:
            raise ValueError(f"{size} bytes of data required, got {size - view.nbytes}")
        view = view[n:]
    if f.read(1):  # at its end gzip also compares the checksum
        raise ValueError(f"{size} bytes of data required, got more")
    return numpy.frombuffer(data, dtype=numpy.uint8).reshape(count, *item)
