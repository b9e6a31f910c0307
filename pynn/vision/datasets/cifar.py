"""CIFAR-10 and CIFAR-100 from their pickled batches, which are read without running anything in them."""

from __future__ import annotations

import io
import os
import tarfile
import warnings
from collections.abc import Callable
from typing import Any

from pynn._torch_globals import find_global
from pynn._unpickle import Source, Unpickler, UnsafeFileError
from pynn.vision.datasets.download import download
from pynn.vision.datasets.vision import VisionDataset, data_roots, pil_image

_BROKEN = (EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError, UnsafeFileError)
_MAX_BYTES = 1 << 28  # of one batch; a larger one is a broken file


class CIFAR10(VisionDataset):
    """Photographs of 32x32 pixels in ten classes, 50,000 for training and 10,000 for testing.

    Same as torchvision.datasets.CIFAR10, except that `root` is not the only place looked in: then come the folder named
    by the environment variable PYNN_DATA and the user's cache. Where PYNN_DATA has nothing but
    cifar10-subset/cifar10-subset.npz, that smaller set is taken, with a warning.

    Args:
        root: folder with `cifar-10-batches-py/`, or the archive cifar-10-python.tar.gz.
        train: the training part or the test part.
        transform, target_transform: applied to a Pillow image and to a label, an int.
        download: fetch the archive if the files are found nowhere, and check its MD5.

    Attributes:
        data: uint8 array (N, 32, 32, 3).
        targets: list of N labels.
        classes: their names.

    Raises:
        RuntimeError: files not found, not downloadable, corrupt or truncated.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    _train_files = [f"data_batch_{i}" for i in range(1, 6)]
    _test_files = ["test_batch"]
    _meta = ("batches.meta", "label_names")

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
        self.data: Any
        self.targets: list[int]
        self.classes: list[str]
        source = self._find(download)
        if isinstance(source, str) and source.endswith(".npz"):
            self._load_subset(source)
        else:
            self._load(source)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def _find(self, may_download: bool) -> str:
        """The folder of the batches, an archive with them, or the subset."""
        roots = data_roots(self.root)
        for folder in roots:
            for place in (folder, os.path.join(folder, type(self).__name__.lower())):
                for name in (os.path.join(self.base_folder, self._meta[0]), self.filename):
                    path = os.path.join(place, name)
                    if os.path.isfile(path):
                        return path if name == self.filename else os.path.dirname(path)
        subset = self._subset()
        if subset:
            return subset
        if not may_download:
            raise RuntimeError(
                f"{type(self).__name__}: dataset not found in {' or '.join(roots)} "
                "(use download=True, or set PYNN_DATA)"
            )
        path = os.path.join(roots[0] if self.root is not None else roots[-1], self.filename)
        download([self.url], path, self.tgz_md5)
        return path

    def _subset(self) -> str | None:
        path = os.path.join(os.environ.get("PYNN_DATA", ""), "cifar10-subset", "cifar10-subset.npz")
        return path if type(self) is CIFAR10 and "PYNN_DATA" in os.environ and os.path.isfile(path) else None

    def _load(self, source: str) -> None:
        import numpy

        names = [*(self._train_files if self.train else self._test_files), self._meta[0]]
        try:
            batches = [_unpickled(data) for data in _contents(source, self.base_folder, names)]
            meta = batches.pop()
            arrays = [numpy.asarray(batch["data"]) for batch in batches]
            for array in arrays:
                if array.dtype != numpy.uint8 or array.ndim != 2 or array.shape[1] != 3072:
                    raise ValueError(f"uint8 (N, 3072) required, got {array.dtype} {array.shape}")
            self.targets = [
                int(label) for b in batches for label in (b["labels"] if "labels" in b else b["fine_labels"])
            ]
            self.classes = [str(name) for name in meta[self._meta[1]]]
            self.data = numpy.vstack(arrays).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            if len(self.targets) != len(self.data) or not all(
                0 <= t < len(self.classes) for t in self.targets
            ):
                raise ValueError("labels do not fit the images")
        except (*_BROKEN, OSError, tarfile.TarError) as e:
            raise RuntimeError(f"{type(self).__name__}: {source} is corrupt or truncated: {e}") from None

    def _load_subset(self, path: str) -> None:
        import zipfile

        import numpy

        part = "train" if self.train else "test"
        try:
            with numpy.load(path, allow_pickle=False) as file:
                names = {name.lower(): name for name in file.files}
                images = file[_key(names, part, ("images", "x", "data"))]
                labels = file[_key(names, part, ("labels", "y", "targets"))]
                self.classes = [str(name) for name in file["classes"]]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise RuntimeError(f"CIFAR10: {path} is corrupt or truncated: {e}") from None
        warnings.warn(f"CIFAR10: taking the subset {path}, of {len(images)} images", stacklevel=3)
        self.data = numpy.ascontiguousarray(images.transpose(0, 2, 3, 1))
        self.targets = [int(label) for label in labels]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(pil_image(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """Photographs of 32x32 pixels in a hundred classes. Same as torchvision.datasets.CIFAR100; see CIFAR10."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    _train_files = ["train"]
    _test_files = ["test"]
    _meta = ("meta", "fine_label_names")


def _key(names: dict[str, str], part: str, kinds: tuple[str, ...]) -> str:
    for kind in kinds:
        for name in (f"{part}_{kind}", f"{kind}_{part}"):
            if name in names:
                return names[name]
    raise KeyError(f"{part}_{kinds[0]}")


def _contents(source: str, folder: str, names: list[str]) -> list[bytes]:
    """The files `names`, of a folder or of a .tar.gz, of which nothing else is touched."""
    if os.path.isdir(source):
        found = {}
        for name in names:
            with open(os.path.join(source, name), "rb") as f:
                found[name] = f.read(_MAX_BYTES)
    else:
        found = {}
        with tarfile.open(source, "r|gz") as archive:
            for member in archive:
                name = member.name.removeprefix(folder + "/")
                if name in names and member.isreg() and member.size < _MAX_BYTES:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    found[name] = stream.read()
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    return [found[name] for name in names]


def _unpickled(data: bytes) -> Any:
    return Unpickler(Source(io.BytesIO(data)), find_global, None, "latin1").load()
