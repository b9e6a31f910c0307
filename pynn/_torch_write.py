"""Files that torch.load reads: a zip archive of a pickle and one entry per storage.

The pickle is written opcode by opcode. Of plain state no object is asked how to pickle itself, and
torch.load(weights_only=True) reads it; other objects, such as a whole Module, are taken apart as pickle does, and their
classes go by PyTorch's names where they are pynn's.
"""

from __future__ import annotations

import copyreg
import os
import pickle
import struct
import sys
import zlib
from collections import OrderedDict
from contextlib import nullcontext
from typing import IO, Any, cast

import pynn
from pynn import Tensor
from pynn._files import Path, atomic_write, show_path
from pynn._safetensors import File, dtype_name
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
        ] = {}  # id -> memo number of an object, which keeps the id its own

    def done(self) -> bytes:
        return bytes(self.out) + b"."

    def write(self, x: Any, path: Path = ()) -> None:
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
        elif type(x) is bytes:
            self._call("_codecs", "encode", x.decode("latin1"), "latin1")
        elif id(x) in self._seen:
            self._known(x)
        elif isinstance(x, Tensor):
            self._tensor(x, path)
        elif isinstance(x, pynn.dtype):
            self._global("torch", dtype_name(x))
        elif isinstance(x, pynn.device):
            self._call("torch", "device", *(x.type,) if x.index is None else (x.type, x.index))
        else:
            self._container(x, path)

    def _container(self, x: Any, path: Path) -> None:
        if len(path) == _MAX_DEPTH:
            raise ValueError(
                f"save: at most {_MAX_DEPTH} nested containers, got more at {show_path(path[:4])}... (a cycle?)"
            )
        kind, out = type(x), self.out
        if kind is dict or kind is OrderedDict:
            if kind is dict:
                out += b"}"
            else:
                self._call("collections", "OrderedDict")
            out += b"("
            for key, value in x.items():
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
            self._object(x, path)

    def _object(self, x: Any, path: Path) -> None:
        """An object of any class, by what pickle would ask it: a function and arguments, then its state."""
        if isinstance(x, type) or hasattr(x, "__qualname__") and hasattr(x, "__code__"):
            self._named(x, x.__module__, x.__qualname__, path)
            return
        reduce = copyreg.dispatch_table.get(type(x))
        try:
            parts = reduce(x) if reduce else x.__reduce_ex__(2)
        except Exception as e:
            kind = type(x)
            raise pickle.PicklingError(
                f"save: {kind.__module__}.{kind.__qualname__} at {show_path(path)} cannot be pickled: {e}"
            ) from e
        if isinstance(parts, str):
            self._named(x, getattr(x, "__module__", None) or type(x).__module__, parts, path)
            return
        function, args, state, items, pairs = (*parts, None, None, None)[:5]
        if getattr(function, "__name__", "") == "__newobj__":
            self.write(args[0], (*path, "class"))
            self.write(tuple(args[1:]), (*path, "args"))
            self.out += b"\x81"
        elif function is dict and not args:
            self.out += b"}"
        else:
            self.write(function, (*path, "function"))
            self.write(tuple(args), (*path, "args"))
            self.out += b"R"
        self._remember(x)
        for item in items or ():
            self.write(item, (*path, "item"))
            self.out += b"a"
        for key, value in pairs or ():
            self.write(key, (*path, key))
            self.write(value, (*path, key))
            self.out += b"s"
        if state is not None:
            self.write(state, (*path, "state"))
            self.out += b"b"

    def _named(self, x: Any, module: str, name: str, path: Path) -> None:
        """A class, function or constant: by its name in its module."""
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not x:
            raise pickle.PicklingError(
                f"save: {module}.{name} at {show_path(path)} cannot be found by its name"
            )
        if name.startswith("_C."):  # an op
            from pynn.overrides import resolve_name

            module, _, name = (resolve_name(x) or "").rpartition(".")
        if module.split(".")[0] == "pynn":
            module = "torch.nn" if getattr(pynn.nn, name, None) is x else "torch" + module[4:]
        first, *rest = name.split(".")
        for _ in rest:
            self._global("builtins", "getattr")
            self.out += b"("
        self._global(module, first)
        for part in rest:
            self.write(part)
            self.out += b"tR"
        self._remember(x)

    def _remember(self, x: Any) -> None:
        number = len(self._seen)
        self._seen[id(x)] = number, x
        self.out += b"r" + struct.pack("<I", number)

    def _known(self, x: Any) -> None:
        self.out += b"j" + struct.pack("<I", self._seen[id(x)][0])

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

    def _tensor(self, t: Tensor, path: Path) -> None:
        from pynn.nn import Parameter

        kind = _KIND_OF.get(dtype_name(t.dtype))
        if kind is None and dtype_name(t.dtype) not in ("uint16", "uint32", "uint64"):
            raise TypeError(
                f"save: a dtype that PyTorch has a storage of is required, got {t.dtype} at {show_path(path)}"
            )
        if t.device.type == "meta":
            raise TypeError(
                f"save: a tensor with data required, got one on the meta device at {show_path(path)}"
            )
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
        self._remember(t)

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


def write(obj: object, f: File) -> None:
    """Save `obj` to the path or file object `f`. Raises as `save` does."""
    pickled = _Pickle()
    pickled.write(obj)
    path = f if isinstance(f, (str, os.PathLike)) else None
    name = os.path.splitext(os.path.basename(os.fspath(path)))[0] if path is not None else ""
    with atomic_write(path) if path is not None else nullcontext(cast(IO[bytes], f)) as out:
        zip = _Zip(out, name or "archive")
        zip.add("data.pkl", pickled.done())
        zip.add("byteorder", b"little")
        for key, flat in pickled.storages.values():
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
