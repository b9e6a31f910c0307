"""Whole objects in files of torch.save, for those who trust the file: what it names is imported, and runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import IO, Any

from pynn import Tensor, _torch_globals
from pynn._torch_globals import StorageType, find_global
from pynn._unpickle import UnsafeFileError


def _rebuild_from_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    made = function(*args)
    if kind is not Tensor and type(made) is not kind:
        made = made.as_subclass(kind)
    _torch_globals._set_attributes(made, state)
    return made


# Functions by which PyTorch makes tensors again.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_rebuild_tensor": _torch_globals._rebuild_tensor_v2,
    "_rebuild_tensor_v2": _torch_globals._rebuild_tensor_v2,
    "_rebuild_tensor_v3": _torch_globals._rebuild_tensor_v3,
    "_rebuild_parameter": _torch_globals._rebuild_parameter,
    "_rebuild_parameter_with_state": _torch_globals._rebuild_parameter_with_state,
    "_rebuild_from_type_v2": _rebuild_from_type,
}


class Unpickler(pickle.Unpickler):
    """Reads any pickle; PyTorch's classes and functions are pynn's."""

    def __init__(self, f: IO[bytes], storages: Callable[[Any], Any], encoding: str) -> None:
        super().__init__(f, encoding=encoding)
        self._storages = storages

    def persistent_load(self, pid: Any) -> Any:
        return self._storages(pid)

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch._utils", "torch._tensor") and name in _FUNCTIONS:
            return _FUNCTIONS[name]
        if module.split(".")[0] != "torch":
            return super().find_class(module, name)
        if name.endswith("Storage"):
            found = find_global(module, name)
            if isinstance(found, StorageType):
                return found
        try:
            return _torch_globals.named(module, name)
        except (ImportError, AttributeError):
            raise UnsafeFileError(f"load: pynn has no {module}.{name}") from None
