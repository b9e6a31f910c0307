"""MNIST from its four IDX files, compressed or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pynn.vision.datasets._images import LabelledImages
from pynn.vision.datasets.download import cache_folder, download

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


class MNIST(LabelledImages):
    """Handwritten digits of 28x28 pixels, 60,000 for training and 10,000 for testing.

    Like torchvision.datasets.MNIST, except that an image is a uint8 tensor (28, 28), not a PIL image, and
    that `root` may be left out.

    Args:
        root: folder with the IDX files, or with them in `mnist/` or `MNIST/raw/`. None: the folder named by
            the environment variable PYNN_DATA, then the user's cache (`$XDG_CACHE_HOME/pynn` or
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
        part = "train" if train else "t10k"
        images_file, labels_file = _find_or_download(root, part, download)
        images = _read_idx(images_file, (28, 28))
        labels = _read_idx(labels_file, ())
        if len(images) != len(labels):
            raise RuntimeError(
                f"MNIST: as many labels as images required, got {len(images)} images in {images_file} "
                f"and {len(labels)} labels in {labels_file}"
            )
        if labels.max() > 9:
            raise RuntimeError(f"MNIST: {labels_file} is corrupt: labels 0 to 9 required, got {labels.max()}")
        super().__init__(images, labels, transform, target_transform)
        self.train = train


def _find_or_download(root: str | os.PathLike[str] | None, part: str, may_download: bool) -> tuple[str, str]:
    """Paths of the images and the labels."""
    if root is not None:
        roots = [os.fspath(root)]
    else:
        roots = [folder for folder in (os.environ.get("PYNN_DATA"), cache_folder()) if folder]
    for folder in roots:
        for place in (folder, os.path.join(folder, "mnist"), os.path.join(folder, "MNIST", "raw")):
            images = _first_file(place, f"{part}-images", "idx3-ubyte")
            labels = _first_file(place, f"{part}-labels", "idx1-ubyte")
            if images and labels:
                return images, labels
    if not may_download:
        raise RuntimeError(
            f"MNIST: dataset not found in {' or '.join(roots)} (use download=True, or set PYNN_DATA)"
        )
    place = os.path.join(roots[-1], "MNIST", "raw")
    found = []
    for name in (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"):
        path = os.path.join(place, name)
        download([mirror + name for mirror in _MIRRORS], path, _MD5[name])
        found.append(path)
    return found[0], found[1]


def _first_file(folder: str, stem: str, kind: str) -> str | None:
    for name in (f"{stem}-{kind}", f"{stem}-{kind}.gz", f"{stem}.{kind}", f"{stem}.{kind}.gz"):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    return None


def _read_idx(path: str, item: tuple[int, ...]) -> Any:
    """A uint8 array (N, *item) from an IDX file: 0, 0, 8 (uint8), rank; the dims as big-endian u32; data."""
    import gzip
    import zlib

    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as f:
            return _read_idx_open(f, item)
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as e:
        raise RuntimeError(f"MNIST: {path} is corrupt or truncated: {e}") from None


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
