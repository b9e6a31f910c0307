"""Saving and loading: one safe file for nested state, and plain weight files.

A file is a safetensors file. `save` adds the metadata entry "pynn": JSON of the structure, in which tensors
stand as indices. Nothing in a file can run code. Files of torch.save are read, and written under the names .pt and
.pth, by `_torch_files` and `_torch_write`.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pynn
from pynn import _C, Tensor, _safetensors, _torch_files, _torch_globals
from pynn._files import Path, show_path
from pynn._safetensors import File, Stored, code_of, dtype_name, dtype_named

__all__ = [
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "load_weights",
    "safe_globals",
    "save",
    "save_weights",
]

_VERSION = 1
_PYTORCH_NAMES = (".pt", ".pth", ".pt.tar", ".pth.tar")  # by custom files of torch.save
_MAX_DEPTH = 100  # nested containers, far below the interpreter's recursion limit

MAP_LOCATION = Any  # None | str | device | dict[str, str | device] | Callable[[Tensor, str], Tensor | None]


def save(
    obj: object,
    f: File,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Save nested state as one safe file: safetensors, with the structure as JSON in its metadata.

    A path that ends in .pt, .pth or .pth.tar becomes a file that torch.load(f, weights_only=True) reads, too.

    State is made of dict, OrderedDict, list, tuple, str, int, float, complex, bool, None, Size, dtype, device and tensors.
    A tensor met several times, or under several names with the same memory and layout, is stored once and is shared again
    after `load`; any other view is stored on its own. With anything else in it, such as a whole Module, `obj` becomes a
    pickle in PyTorch's format, which only load(f, weights_only=False) reads: better save a state_dict().

    Args:
        obj: what to save, for example `model.state_dict()`.
        f: a path, or a file object open for writing bytes. A path is written to a temporary file in the same
            folder, which then takes its place: a failure leaves an old file untouched.
        pickle_module, pickle_protocol: accepted without effect.

    Raises:
        TypeError: a tensor without data, or of a dtype that the format does not have.
        pickle.PicklingError: an object that cannot be pickled, such as a lambda, named by its place in `obj`.
        ValueError: more than 100 nested containers, or a container inside itself.
    """
    if isinstance(f, (str, os.PathLike)) and os.fspath(f).lower().endswith(_PYTORCH_NAMES):
        from pynn._torch_write import write

        write(obj, f)
        return
    encoder = _Encoder()
    try:
        root = encoder.encode(obj, ())
    except _NotPlain:
        from pynn._torch_write import write

        write(obj, f)
        return
    text = json.dumps({"version": _VERSION, "tensors": encoder.objects, "root": root}, separators=(",", ":"))
    _safetensors.write(f, encoder.stored, {"format": "pt", "pynn": text})


def load(
    f: File,
    map_location: MAP_LOCATION = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    encoding: str = "utf-8",
) -> Any:
    """Load what `save` or torch.save wrote, or any safetensors file as a dict from name to tensor. Like torch.load.

    Of a file of torch.save, in the present or the older format, all that torch.load(weights_only=True) allows is read,
    and NumPy arrays and scalars; no code in it runs, unless weights_only=False.

    Args:
        f: a path, or a file object open for reading bytes.
        map_location: where the tensors go: a device, a dict from saved to new device, or a function of
            (tensor, saved device) giving a tensor. None: where they were saved.
        pickle_module: accepted without effect.
        weights_only: False reads whole objects as well, which runs the code that the file names: only for files that you
            trust, and in the zip format that torch.save writes since PyTorch 1.6.
        mmap: map the file instead of reading it; bytes are read when touched, and writing to a tensor never
            changes the file. Needs a path.
        encoding: of byte strings that Python 2 pickled.

    Raises:
        FileNotFoundError: no such file.
        RuntimeError: the file is corrupt, truncated, of another format or of a newer pynn.
        pickle.UnpicklingError: a file of torch.save holds a class or function, which is named. It is a RuntimeError too.
    """
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("load: a path is required with mmap=True, got a file object")
    if not isinstance(f, (str, os.PathLike)) and not f.seekable():
        f = io.BytesIO(f.read())
    if _torch_files.is_torch_file(_first_bytes(f)):
        return _torch_files.read(
            f, lambda t, saved: _place(t, saved, map_location), bool(mmap), encoding, weights_only is False
        )
    tensors, metadata, name = _safetensors.read(f, bool(mmap))
    text = metadata.get("pynn")
    if text is None:
        return {key: _place(t, "cpu", map_location) for key, t in tensors.items()}
    try:
        doc = json.loads(text)
        newer = doc["version"] > _VERSION
        if not newer:
            objects = [_Restored(entry, tensors) for entry in doc["tensors"]]
            # the structure is checked with placeholders first: a broken file moves nothing to a device
            _decode(doc["root"], objects)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, StopIteration, RuntimeError) as e:
        raise _safetensors.corrupt(name, f"bad structure ({type(e).__name__}: {e})") from None
    if newer:
        raise RuntimeError(f"load: {name} was written by a newer pynn (update pynn to read it)")
    return _decode(doc["root"], _restore(objects, map_location))


def _first_bytes(f: Any) -> bytes:
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as source:
            return source.read(4)
    here = f.tell()
    prefix: bytes = f.read(4)
    f.seek(here)
    return prefix


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let `load` make objects of these classes, found in files of torch.save: their code runs while loading.

    An entry is a class or function, or (it, "module.name" in the file). Same as torch.serialization.add_safe_globals.
    """
    for entry in safe_globals:
        kind, name = (
            entry if isinstance(entry, tuple) else (entry, f"{entry.__module__}.{entry.__qualname__}")
        )
        module, _, rest = name.rpartition(".")
        _torch_globals.user_globals[module, rest] = _torch_globals.user_builder(kind)


def get_safe_globals() -> list[Any]:
    """The entries of add_safe_globals."""
    return [builder.kind for builder in _torch_globals.user_globals.values()]


def clear_safe_globals() -> None:
    """Forget all entries of add_safe_globals."""
    _torch_globals.user_globals.clear()


@contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """add_safe_globals for a with block."""
    before = dict(_torch_globals.user_globals)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        clear_safe_globals()
        _torch_globals.user_globals.update(before)


def save_weights(tensors: Mapping[str, Tensor], f: File, metadata: Mapping[str, str] | None = None) -> None:
    """Save a state dict as a plain safetensors file: tensor names are its keys, no memory is shared."""
    stored: Stored = {}
    for key, t in tensors.items():
        if not isinstance(key, str) or not isinstance(t, Tensor):
            raise TypeError(f"save_weights: names and tensors are required, got {key!r}: {type(t).__name__}")
        stored[key] = (code_of(t, f"[{key!r}]"), tuple(t.shape), t)
    _safetensors.write(f, stored, {"format": "pt", **(metadata or {})})


def load_weights(f: File) -> dict[str, Tensor]:
    """Load a safetensors file as a dict from name to tensor. Raises as `load` does."""
    return _safetensors.read(f)[0]


class _NotPlain(Exception):
    """An object that the structure's JSON has no form for."""


class _Encoder:
    """Turns nested state into JSON: scalars as they are, a list as an array, all else as {"kind": content}.

    stored:  what goes into the file, one entry per piece of memory
    objects: one entry per tensor object, {"name": name in stored, "parameter": true, ...}
    """

    def __init__(self) -> None:
        self.stored: Stored = {}
        self.objects: list[dict[str, Any]] = []
        self._index: dict[
            int, tuple[int, Tensor]
        ] = {}  # id -> index in objects; the tensor keeps the id its own
        self._name_of: dict[tuple[object, ...], str] = {}  # memory and layout -> name in stored

    def encode(self, x: Any, path: Path) -> Any:
        if x is None or isinstance(x, (bool, str)):
            return x
        if isinstance(x, int):
            return int(x)
        if isinstance(x, float):
            return float(x) if math.isfinite(x) else {"float": str(float(x))}
        if isinstance(x, complex):
            return {"complex": [str(x.real), str(x.imag)]}
        if isinstance(x, Tensor):
            return {"tensor": self._tensor(x, path)}
        if isinstance(x, pynn.dtype):
            return {"dtype": dtype_name(x)}
        if isinstance(x, pynn.device):
            return {"device": str(x)}
        if len(path) == _MAX_DEPTH:
            raise ValueError(
                f"save: at most {_MAX_DEPTH} nested containers, got more at {show_path(path[:4])}... (a cycle?)"
            )
        kind = type(x)
        if kind is dict or kind is OrderedDict:
            items = [[self._key(k, path), self.encode(v, (*path, k))] for k, v in x.items()]
            out: dict[str, Any] = {"dict" if kind is dict else "odict": items}
            versions = getattr(x, "_metadata", None)  # Module.state_dict attaches them
            if versions is not None:
                out["metadata"] = self.encode(versions, (*path, "_metadata"))
            return out
        if kind is list or kind is tuple or kind is pynn.Size:
            values = [self.encode(v, (*path, i)) for i, v in enumerate(x)]
            return values if kind is list else {"tuple" if kind is tuple else "size": values}
        raise _NotPlain

    def _key(self, k: object, path: Path) -> Any:
        if not isinstance(k, (str, int, float, bool, tuple, type(None))):
            raise _NotPlain
        return self.encode(k, (*path, k))

    def _tensor(self, t: Tensor, path: Path) -> int:
        if id(t) in self._index:
            return self._index[id(t)][0]
        from pynn.nn import Parameter

        wide = (
            dtype_name(t.dtype) == "complex128"
        )  # the format has no code for it: stored as pairs of float64
        place = (_C._storage(t)[0], t.storage_offset(), str(t.device))
        memory = (*place, t.dtype, tuple(t.shape), tuple(t.stride()))
        name = self._name_of.get(memory) if t.numel() else None
        if name is None:
            name = _unused(".".join(map(str, path)) or "tensor", self.stored)
            shape = tuple(t.shape)
            self.stored[name] = ("F64", (*shape, 2), t) if wide else (code_of(t, show_path(path)), shape, t)
            self._name_of[memory] = name
        flags = {"complex128": wide, "parameter": isinstance(t, Parameter), "requires_grad": t.requires_grad}
        entry: dict[str, Any] = {"name": name} | {key: True for key, on in flags.items() if on}
        if t.device.type != "cpu":
            entry["device"] = str(t.device)
        self.objects.append(entry)
        self._index[id(t)] = len(self.objects) - 1, t
        return len(self.objects) - 1


class _Restored:
    """One entry of `objects`, checked."""

    def __init__(self, entry: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.name = entry["name"]
        self.tensor = tensors[self.name]
        if entry.get("complex128"):
            t = self.tensor
            self.tensor = t.reshape(-1).view(pynn.complex128).reshape(t.shape[:-1])
        self.device = str(entry.get("device", "cpu"))
        self.parameter = bool(entry.get("parameter"))
        self.requires_grad = bool(entry.get("requires_grad"))
        if self.requires_grad and not (self.tensor.is_floating_point() or self.tensor.is_complex()):
            raise ValueError(f"{self.name} cannot require a gradient")


def _restore(objects: list[_Restored], map_location: MAP_LOCATION) -> list[Tensor]:
    placed: dict[str, Tensor] = {}
    out = []
    for o in objects:
        if o.name not in placed:
            placed[o.name] = _place(o.tensor, o.device, map_location)
        t = placed[o.name].detach()  # a new object over the same memory
        if o.parameter:
            from pynn.nn import Parameter

            t = Parameter(t, requires_grad=o.requires_grad)
        elif o.requires_grad:
            t.requires_grad_(True)
        out.append(t)
    return out


def _decode(x: Any, objects: list[Any]) -> Any:
    if isinstance(x, list):
        return [_decode(v, objects) for v in x]
    if not isinstance(x, dict):
        return x
    kind, content = next(iter(x.items()))
    if kind == "tensor":
        return objects[content]
    if kind in ("dict", "odict"):
        out: Any = {} if kind == "dict" else OrderedDict()
        for key, value in content:
            out[_decode(key, objects)] = _decode(value, objects)
        if "metadata" in x:
            out._metadata = _decode(x["metadata"], objects)
        return out
    if kind == "tuple":
        return tuple(_decode(v, objects) for v in content)
    if kind == "size":
        return pynn.Size(content)
    if kind == "float":
        return float(content)
    if kind == "complex":
        return complex(float(content[0]), float(content[1]))
    if kind == "dtype":
        return dtype_named(content)
    if kind == "device":
        return pynn.device(content)
    raise ValueError(f"unknown kind {kind!r}")


def _place(t: Tensor, saved: str, where: MAP_LOCATION) -> Tensor:
    if isinstance(where, dict):
        where = where.get(saved)
    elif callable(where):
        moved: Tensor | None = where(t, saved)
        if moved is not None:
            return moved
        where = None
    target = str(saved if where is None else where)
    if target.startswith("cuda") and not pynn.cuda.is_available():
        raise RuntimeError(
            f"load: tensors on {target} cannot be placed, since there is no CUDA device "
            "(use map_location=torch.device('cpu'))"
        )
    return t if target == "cpu" else t.to(target)


def _unused(name: str, taken: Stored) -> str:
    out, n = name, 2
    while out in taken or out == "__metadata__":
        out, n = f"{name}#{n}", n + 1
    return out
