"""Files that torch.load(weights_only=True) reads: a zip archive of a pickle and one entry per storage.

The pickle is written opcode by opcode, from the types that `save` knows; no object is asked how to pickle itself.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import OrderedDict
from typing import IO, Any

import pynn
from pynn import Tensor
from pynn._files import atomic_write
from pynn._safetensors import dtype_name
from pynn._torch_globals import STORAGES

_MAX_DEPTH = 100
_ALIGN = 64  # bytes, so that a file can be mapped
_KIND_OF = {name: f"{kind}Storage" for kind, name in STORAGES.items()}


class _Pickle:
    """Writes one pickle of protocol 2."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.storages: dict[
            tuple[int, str], tuple[str, Tensor]
        ] = {}  # (address, device) -> key, tensor over all of it
        self._seen: dict[
            int, tuple[int, Any]
        ] = {}  # id of a tensor -> memo number; the tensor keeps the id its own

    def done(self) -> bytes:
        return bytes(self.out) + b"."

    def write(self, x: Any, path: tuple[Any, ...] = ()) -> None:
        out = self.out
        if x is None:
            out += b"N"
        elif isinstance(x, bool):
            out += b"\x88" if x else b"\x89"
        elif isinstance(x, str):
            data = str(x).encode("utf-8", "surrogatepass")
            out += b"X" + struct.pack("<I", len(data)) + data
        elif isinstance(x, int):
            self._int(int(x))
        elif isinstance(x, float):
            out += b"G" + struct.pack(">d", float(x))
        elif isinstance(x, complex):
            self._call("builtins", "complex", x.real, x.imag)
        elif isinstance(x, Tensor):
            self._tensor(x, path)
        elif isinstance(x, pynn.dtype):
            self._global("torch", dtype_name(x))
        elif isinstance(x, pynn.device):
            self._call("torch", "device", *(x.type,) if x.index is None else (x.type, x.index))
        else:
            self._container(x, path)

    def _container(self, x: Any, path: tuple[Any, ...]) -> None:
        from pynn.serialization import _hint, _show

        if len(path) == _MAX_DEPTH:
            raise ValueError(
                f"save: at most {_MAX_DEPTH} nested containers, got more at {_show(path[:4])}... (a cycle?)"
            )
        kind, out = type(x), self.out
        if kind is dict or kind is OrderedDict:
            if kind is dict:
                out += b"}"
            else:
                self._call("collections", "OrderedDict")
            out += b"("
            for key, value in x.items():
                if not isinstance(key, (str, int, float, bool, tuple, type(None))):
                    raise TypeError(
                        f"save: a key must be a str, number, tuple or None, got {type(key).__name__} in {_show(path)}"
                    )
                self.write(key, (*path, key))
                self.write(value, (*path, key))
            out += b"u"
            versions = getattr(x, "_metadata", None)  # Module.state_dict attaches them
            if versions is not None:
                self.write({"_metadata": versions}, (*path, "_metadata"))
                out += b"b"
        elif kind is list:
            out += b"]("
            for i, value in enumerate(x):
                self.write(value, (*path, i))
            out += b"e"
        elif kind is tuple:
            out += b"("
            for i, value in enumerate(x):
                self.write(value, (*path, i))
            out += b"t"
        elif kind is pynn.Size:
            self._call("torch", "Size", tuple(x))
        else:
            raise TypeError(f"save: {_hint(x)}, got {kind.__module__}.{kind.__qualname__} at {_show(path)}")

    def _int(self, n: int) -> None:
        if -(2**31) <= n < 2**31:
            self.out += b"J" + struct.pack("<i", n)
            return
        data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
        short = len(data) < 256
        self.out += (b"\x8a" + bytes([len(data)]) if short else b"\x8b" + struct.pack("<i", len(data))) + data

    def _global(self, module: str, name: str) -> None:
        module = {"builtins": "__builtin__"}.get(module, module)
        self.out += f"c{module}\n{name}\n".encode()

    def _call(self, module: str, name: str, *args: Any) -> None:
        self._global(module, name)
        self.write(args)
        self.out += b"R"

    def _tensor(self, t: Tensor, path: tuple[Any, ...]) -> None:
        from pynn.nn import Parameter
        from pynn.serialization import _show

        known = self._seen.get(id(t))
        if known is not None:
            self.out += b"j" + struct.pack("<I", known[0])
            return
        kind = _KIND_OF.get(dtype_name(t.dtype))
        if kind is None and dtype_name(t.dtype) not in ("uint16", "uint32", "uint64"):
            raise TypeError(
                f"save: a dtype that PyTorch has a storage of is required, got {t.dtype} at {_show(path)}"
            )
        if t.device.type == "meta":
            raise TypeError(f"save: a tensor with data required, got one on the meta device at {_show(path)}")
        parameter = isinstance(t, Parameter)
        if parameter:
            self._global("torch._utils", "_rebuild_parameter")
            self.out += b"("
        self._global("torch._utils", "_rebuild_tensor_v2" if kind else "_rebuild_tensor_v3")
        self.out += b"("
        offset = self._storage(t, kind or "UntypedStorage")
        self.write(offset)
        self.write(tuple(t.shape))
        self.write(tuple(t.stride()))
        self.write(t.requires_grad and not parameter)
        self._call("collections", "OrderedDict")
        if not kind:
            self.write(t.dtype)
        self.out += b"tR"
        if parameter:
            self.write(t.requires_grad)
            self._call("collections", "OrderedDict")
            self.out += b"tR"
        number = len(self._seen)
        self._seen[id(t)] = number, t
        self.out += b"r" + struct.pack("<I", number)

    def _storage(self, t: Tensor, kind: str) -> int:
        """Writes the persistent id of the storage of `t`; gives the offset of `t` in it, in elements."""
        from pynn import _C

        width = t.element_size()
        address, nbytes = _C._storage(t)
        whole, offset = t.detach(), t.storage_offset()
        if nbytes % width:
            whole, offset = t.detach().clone().reshape(-1), 0  # not a whole number of such elements
            address, nbytes = _C._storage(whole)
        count = nbytes // width
        known = self.storages.get((address, str(t.dtype)))
        if known is None:
            flat = whole.as_strided((count,), (1,), 0)
            known = self.storages[address, str(t.dtype)] = (str(len(self.storages)), flat)
        self.out += b"("
        self.write("storage")
        self._global("torch.storage" if kind == "UntypedStorage" else "torch", kind)
        self.write(known[0])
        self.write("cpu" if t.device.type == "cpu" else str(t.device))
        self.write(nbytes if kind == "UntypedStorage" else count)
        self.out += b"tQ"
        return offset


def write(obj: object, f: str | os.PathLike[str]) -> None:
    """Save `obj` to the path `f`. Raises as `save` does."""
    pickle = _Pickle()
    pickle.write(obj)
    name = os.path.splitext(os.path.basename(os.fspath(f)))[0] or "archive"
    with atomic_write(f) as out:
        zip = _Zip(out, name)
        zip.add("data.pkl", pickle.done())
        zip.add("byteorder", b"little")
        for key, flat in pickle.storages.values():
            data = memoryview(flat.cpu().view(pynn.uint8).numpy()) if flat.numel() else b""  # type: ignore[arg-type]
            zip.add(f"data/{key}", data)
        zip.add("version", b"3\n")
        zip.close()


class _Zip:
    """An archive of stored entries, each aligned; with 64-bit records where sizes ask for them."""

    def __init__(self, out: IO[bytes], folder: str) -> None:
        self._out, self._folder = out, folder
        self._at = 0
        self._directory: list[bytes] = []

    def _put(self, data: Any) -> None:
        self._out.write(data)
        self._at += len(data)

    def add(self, name: str, data: Any) -> None:
        path = f"{self._folder}/{name}".encode()
        crc, size, start = zlib.crc32(data), len(data), self._at
        large = struct.pack("<HHQQ", 1, 16, size, size) if size >= 2**32 - 1 else b""
        padding = -(start + 30 + len(path) + len(large) + 4) % _ALIGN
        extra = large + struct.pack("<HH", 0x4246, padding) + b"\0" * padding
        shown = min(size, 2**32 - 1)
        fields = struct.pack("<HHHHHIII", 45 if large else 20, 0x800, 0, 0, 33, crc, shown, shown)
        self._put(b"PK\x03\x04" + fields + struct.pack("<HH", len(path), len(extra)) + path + extra)
        self._put(data)
        wide = (struct.pack("<QQ", size, size) if large else b"") + (
            struct.pack("<Q", start) if start >= 2**32 - 1 else b""
        )
        tail = struct.pack("<HH", 1, len(wide)) + wide if wide else b""
        self._directory.append(
            b"PK\x01\x02"
            + struct.pack("<H", 45 if wide else 20)
            + fields
            + struct.pack("<HHHHHII", len(path), len(tail), 0, 0, 0, 0, min(start, 2**32 - 1))
            + path
            + tail
        )

    def close(self) -> None:
        start = self._at
        for entry in self._directory:
            self._put(entry)
        size, count = self._at - start, len(self._directory)
        if start >= 2**32 - 1 or count >= 2**16 - 1:
            end = self._at
            self._put(b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, start))
            self._put(b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1))
        count, start = min(count, 2**16 - 1), min(start, 2**32 - 1)
        self._put(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, size, start, 0))
