"""The safetensors format: u64 little-endian header length, JSON header, raw little-endian tensor bytes.

Read and written here rather than through the safetensors package, which copies every tensor once more on
loading (twice the memory), cannot give NumPy a bfloat16, and changed its raw interface in 0.8.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Mapping
from typing import IO, Any

import pynn
from pynn import Tensor
from pynn._files import atomic_write

File = str | os.PathLike[str] | IO[bytes]

_MAX_HEADER = 100_000_000  # bytes; the limit of the format

# code in the file -> (dtype name, bytes per element)
_CODES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
    "C64": ("complex64", 8),
}
_CODE_OF = {name: code for code, (name, _) in _CODES.items()}

Stored = dict[str, tuple[str, tuple[int, ...], Tensor]]  # name -> (code, shape in the file, tensor)
Entry = tuple[Any, list[int], int, int]  # dtype, shape, begin and end of the bytes in the data


def code_of(t: Tensor, path: str) -> str:
    """The format's code for the dtype of `t`; `path` is its place, for the message."""
    if t.device.type == "meta":
        raise TypeError(f"save: a tensor with data required, got one on the meta device at {path}")
    code = _CODE_OF.get(dtype_name(t.dtype))
    if code is None:
        raise TypeError(f"save: a dtype that safetensors knows required, got {t.dtype} at {path}")
    return code


def dtype_name(dtype: object) -> str:
    return str(dtype).rpartition(".")[2]


def dtype_named(name: str) -> Any:
    dtype = getattr(pynn, name, None)
    if not isinstance(dtype, pynn.dtype):
        raise ValueError(f"dtype {name} is not supported")
    return dtype


def corrupt(name: str, why: str) -> RuntimeError:
    return RuntimeError(f"load: {name} is corrupt or truncated: {why}")


def write(f: File, stored: Stored, metadata: Mapping[str, str]) -> None:
    # widest elements first, so that every tensor starts at a multiple of its element size
    order = sorted(stored, key=lambda name: -_CODES[stored[name][0]][1])
    spans: dict[str, list[int]] = {}
    end = 0
    for name in order:
        code, shape, _ = stored[name]
        begin, end = end, end + math.prod(shape) * _CODES[code][1]
        spans[name] = [begin, end]
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    for name, (code, shape, _) in stored.items():
        entries[name] = {"dtype": code, "shape": list(shape), "data_offsets": spans[name]}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > _MAX_HEADER:
        raise ValueError(
            f"save: at most {_MAX_HEADER} bytes of names and structure required, got {len(header)}"
        )

    def emit(out: IO[bytes]) -> None:
        out.write(len(header).to_bytes(8, "little") + header)
        for name in order:
            out.write(_bytes_of(stored[name][2].detach().cpu().contiguous()))

    if isinstance(f, (str, os.PathLike)):
        with atomic_write(f) as out:
            emit(out)
    else:
        emit(f)


def read(f: File, mmap: bool = False) -> tuple[dict[str, Tensor], dict[str, str], str]:
    """Tensors, metadata, and the name of the file for messages."""
    if isinstance(f, (str, os.PathLike)):
        name = os.fspath(f)
        with open(name, "rb") as source:
            return *_read_open(source, name, exact=True, mmap=mmap), name
    if mmap:
        raise ValueError("load: a path is required with mmap=True, got a file object")
    name = str(getattr(f, "name", "the file object"))
    whole = hasattr(f, "readinto") and f.seekable()
    return *_read_open(f if whole else io.BytesIO(f.read()), name, exact=False, mmap=False), name


def _read_open(f: IO[bytes], name: str, exact: bool, mmap: bool) -> tuple[dict[str, Tensor], dict[str, str]]:
    here = f.tell()
    size = f.seek(0, os.SEEK_END) - here
    f.seek(here)
    prefix = f.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > min(size - 8, _MAX_HEADER):
        raise corrupt(name, "no whole safetensors header")
    try:
        entries, metadata = _check_header(json.loads(f.read(length).decode()), size - 8 - length, exact)
    except (ValueError, RecursionError) as e:
        raise corrupt(name, str(e)) from None

    start = here + 8 + length
    tensors: dict[str, Tensor] = {}
    view = _map(f) if mmap and entries else None
    for key, (dtype, shape, begin, end) in entries.items():
        count = math.prod(shape)
        # only other programs write misaligned data; those are read, since kernels expect alignment
        if view is not None and count and (start + begin) % ((end - begin) // count) == 0:
            flat = pynn.frombuffer(view, dtype=dtype, count=count, offset=start + begin)
            tensors[key] = flat.reshape(shape)
            continue
        tensors[key] = t = pynn.empty(shape, dtype=dtype)
        left = _bytes_of(t)
        f.seek(start + begin)
        while left.nbytes:
            n = f.readinto(left)  # type: ignore[attr-defined]
            if not n:
                raise corrupt(name, f"the data of {key!r} end early")
            left = left[n:]
    f.seek(start + max((e[3] for e in entries.values()), default=0))
    return tensors, metadata


def _map(f: IO[bytes]) -> Any:
    import mmap

    return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)


def _check_header(header: Any, room: int, exact: bool) -> tuple[dict[str, Entry], dict[str, str]]:
    """The entries by name, when they fill the data without overlap or hole. Raises ValueError."""
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("the metadata is not a map of strings")
    entries: dict[str, Entry] = {}
    for key, entry in header.items():
        try:
            code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            name, width = _CODES[code]
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"bad entry for {key!r}") from None
        sizes = [*shape, begin, end] if isinstance(shape, list) else [-1]
        if (
            not all(type(n) is int and 0 <= n < 2**63 for n in sizes)
            or end - begin != math.prod(shape) * width
        ):
            raise ValueError(f"bad sizes for {key!r}")
        entries[key] = (dtype_named(name), shape, begin, end)
    total = 0
    for _, _, begin, end in sorted(entries.values(), key=lambda e: e[2:]):
        if begin != total:
            raise ValueError(f"tensors overlap or leave a hole at byte {total}")
        total = end
    if total > room or (exact and total != room):
        raise ValueError(f"{total} bytes of data required, got {room}")
    return entries, metadata


def _bytes_of(t: Tensor) -> memoryview:
    """The bytes of a contiguous CPU tensor of any dtype, writable and not copied."""
    return memoryview(t.reshape(-1).view(pynn.uint8).numpy())  # type: ignore[arg-type]
