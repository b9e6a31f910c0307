"""Files written by torch.save: the zip format, and the one before PyTorch 1.6.

Both hold a pickle in which tensors are calls of rebuild functions over storages. It is read by the machine of
`_unpickle`, with the names of `_torch_globals` and no others, so that a file can describe data and nothing else.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from typing import IO, Any

import pynn
from pynn import Tensor, _unpickle
from pynn._safetensors import corrupt
from pynn._torch_globals import Storage, StorageType, check_sizes, find_global, strided
from pynn._unpickle import Source, UnsafeFileError

MAGIC = 0x1950A86A20F9469CFC6C  # the first object of the older format
_PROTOCOL = 1001
_BROKEN = (
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    LookupError,
    struct.error,
)

Place = Callable[[Tensor, str], Tensor]  # (tensor, location in the file) -> tensor where it should be


def is_torch_file(prefix: bytes) -> bool:
    """Whether a file that begins so is a zip archive, or a pickle of protocol 2 or later."""
    return prefix[:4] == b"PK\x03\x04" or prefix[:1] == b"\x80"


def read(
    f: str | os.PathLike[str] | IO[bytes], place: Place, mmap: bool, encoding: str, trusted: bool = False
) -> Any:
    """The object in a file that is_torch_file; trusted: what it names may run.

    Raises:
        UnsafeFileError: it asks for something else than data.
        RuntimeError: it is broken.
    """
    if isinstance(f, (str, os.PathLike)):
        name = os.fspath(f)
        with open(name, "rb") as source:
            return _read_open(source, name, place, mmap, encoding, trusted)
    name = str(getattr(f, "name", "the file object"))
    whole = hasattr(f, "readinto") and f.seekable()
    return _read_open(f if whole else io.BytesIO(f.read()), name, place, False, encoding, trusted)


def _read_open(f: IO[bytes], name: str, place: Place, mmap: bool, encoding: str, trusted: bool) -> Any:
    import zipfile
    import zlib

    here = f.tell()
    prefix = f.read(4)
    f.seek(here)
    try:
        if prefix == b"PK\x03\x04":
            return _read_zip(f, place, mmap, encoding, trusted)
        return _read_legacy(f, name, place, encoding)
    except UnsafeFileError as e:
        raise UnsafeFileError(f"{e} (in {name})") from None
    except (*_BROKEN, zipfile.BadZipFile, NotImplementedError, zlib.error) as e:
        raise corrupt(name, f"{type(e).__name__}: {' '.join(str(e).split())[:300]}") from None


class _Storages:
    """The storages that persistent ids name, each made once."""

    def __init__(self, place: Place, fill: Callable[[str, Tensor, Any], Tensor]) -> None:
        self._place, self._fill = place, fill
        self._made: dict[str, tuple[Any, int, Storage]] = {}

    def __call__(self, pid: Any) -> Storage:
        if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage":
            raise UnsafeFileError("load: refused a persistent id that names no storage")
        kind, key, location, count = pid[1:5]
        key = str(key) if type(key) is int else key
        if type(kind) is not StorageType or type(key) is not str or type(location) is not str:
            raise TypeError("bad persistent id")
        check_sizes("storage", (count,))
        dtype = kind.dtype or pynn.uint8
        known = self._made.get(key)
        if known is None:
            flat = self._place(self._fill(key, dtype, count), location)  # type: ignore[arg-type]
            known = self._made[key] = (dtype, count, Storage(flat))
        elif known[:2] != (dtype, count):
            raise ValueError(f"storage {key!r} comes with different sizes")
        view = pid[5] if len(pid) > 5 else None
        if view is None:
            return known[2]
        _, offset, size = view  # the older format's views of storages
        return Storage(strided(known[2], offset, (size,), (1,)))


def _read_zip(f: IO[bytes], place: Place, mmap: bool, encoding: str, trusted: bool) -> Any:
    import zipfile

    total = f.seek(0, os.SEEK_END)
    f.seek(0)
    with zipfile.ZipFile(f) as archive:
        entries = archive.infolist()
        records = {entry.filename: entry for entry in entries}
        if len(records) != len(entries):
            raise ValueError("a name comes twice")
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
            raise UnsafeFileError("load: refused a compressed or encrypted archive (torch.save writes none)")
        if sum(entry.file_size for entry in entries) > total:
            raise ValueError("the entries are larger than the file")
        pickles = [n for n in records if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError("one entry <name>/data.pkl is required")
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}constants.pkl" in records:
            raise UnsafeFileError("load: refused a TorchScript archive (save the state_dict() of the module)")
        order = records.get(f"{prefix}byteorder")
        if order is not None and _record(f, order) != b"little":
            raise UnsafeFileError("load: refused an archive of a big-endian machine")
        mapped = _mapping(f) if mmap else None

        def fill(key: str, dtype: Any, count: int) -> Tensor:
            entry = records[f"{prefix}data/{key}"]
            if entry.file_size != count * dtype.itemsize:
                raise ValueError(f"storage {key!r}: {count} of {dtype}, got {entry.file_size} bytes")
            start = _start_of(f, entry)
            if start + entry.file_size > total:
                raise ValueError(f"storage {key!r} ends after the file")
            if mapped is not None and count and start % dtype.itemsize == 0:
                return pynn.frombuffer(mapped, dtype=dtype, count=count, offset=start)
            flat = pynn.empty(count, dtype=dtype)
            f.seek(start)
            if count:
                Source(f).readinto(_bytes(flat))
            return flat

        data = _record(f, records[pickles[0]])
        try:
            storages = _Storages(place, fill)  # type: ignore[arg-type]
            return _unpickle.Unpickler(Source(io.BytesIO(data)), find_global, storages, encoding).load()
        except UnsafeFileError:
            if not trusted:
                raise
        from pynn._torch_objects import Unpickler

        return Unpickler(io.BytesIO(data), _Storages(place, fill), encoding).load()  # type: ignore[arg-type]


def _start_of(f: IO[bytes], entry: Any) -> int:
    """Where the bytes of a stored entry begin, by its local header."""
    f.seek(entry.header_offset)
    header = f.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise ValueError(f"no local header of {entry.filename!r}")
    return entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))


def _record(f: IO[bytes], entry: Any) -> bytes:
    f.seek(_start_of(f, entry))
    return Source(f).read(entry.file_size)


def _mapping(f: IO[bytes]) -> Any:
    import mmap

    return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)


def _bytes(flat: Tensor) -> memoryview:
    return memoryview(flat.view(pynn.uint8).numpy())  # type: ignore[arg-type]


def _read_legacy(f: IO[bytes], name: str, place: Place, encoding: str) -> Any:
    source = Source(f)

    def next_object(persistent_load: Any = None) -> Any:
        return _unpickle.Unpickler(source, find_global, persistent_load, encoding).load()

    first = next_object()
    if first != MAGIC:
        raise UnsafeFileError(
            "load: refused a pickle that torch.save did not write (use pickle, if you trust it)"
        )
    version, system = next_object(), next_object()
    if version != _PROTOCOL or type(system) is not dict:
        raise ValueError(f"protocol {_PROTOCOL} is required")
    if system.get("little_endian") is not True:
        raise UnsafeFileError("load: refused a file of a big-endian machine")

    waiting: dict[str, Tensor] = {}
    promised = 0

    def fill(key: str, dtype: Any, count: int) -> Tensor:  # the data follow the object
        nonlocal promised
        promised += count * dtype.itemsize
        if promised > source.left:
            raise ValueError(f"storages of {promised} bytes are announced, got {source.left}")
        waiting[key] = flat = pynn.zeros(count, dtype=dtype)
        return flat

    # tensors over storages that will be filled: places are applied at the end, by filling the moved ones again
    moved: list[tuple[Tensor, Tensor]] = []

    def place_later(flat: Tensor, location: str) -> Tensor:
        there = place(flat, location)
        if there is not flat:
            moved.append((flat, there))
        return there

    result = next_object(_Storages(place_later, fill))  # type: ignore[arg-type]
    keys = next_object()
    if type(keys) is not list or not all(type(key) in (str, int) for key in keys):
        raise TypeError("a list of storages is required")
    if sorted(map(str, keys)) != sorted(waiting):
        raise ValueError("the list of storages does not fit the object")
    for key in keys:
        flat = waiting[str(key)]
        count = int.from_bytes(source.read(8), "little", signed=True)
        if count != flat.numel():
            raise ValueError(f"storage {key!r}: {flat.numel()} elements required, got {count}")
        if count:
            source.readinto(_bytes(flat))
    with pynn.no_grad():
        for flat, there in moved:
            there.copy_(flat)
    return result


class PyTorchFileReader:
    """The records of a file that torch.save wrote, by their names in it. Same as torch.PyTorchFileReader."""

    def __init__(self, file: Any) -> None:
        import zipfile

        self._archive = zipfile.ZipFile(file)
        names = self._archive.namelist()
        if not names:
            raise ValueError("PyTorchFileReader: the archive is empty")
        self._root = names[0].split("/")[0] + "/"

    def get_all_records(self) -> list[str]:
        """Their names."""
        return [name.removeprefix(self._root) for name in self._archive.namelist()]

    def has_record(self, name: str) -> bool:
        """Whether there is one of that name."""
        return self._root + name in self._archive.namelist()

    def get_record(self, name: str) -> bytes:
        """Its bytes."""
        return self._archive.read(self._root + name)
