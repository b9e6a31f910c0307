"""The import hooks behind pynn.compat.

A finder at the head of sys.meta_path answers for the names in ALIASES: the module `torch.nn` is the module `pynn.nn`
itself, stored under a second name. Only `torch` is an object of its own, which passes everything on to pynn, because
its `__version__` names the API and not pynn.

Where PyTorch has been imported before, sys.modules keeps its modules, because its C++ part looks them up there, late
and by name. Then `__import__` and `importlib.import_module` answer instead, to everybody but PyTorch itself.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pynn
from pynn.version import __version__ as API_VERSION

__all__ = ["ALIASES", "API_VERSION", "install", "installed", "uninstall"]

ALIASES = {"torch": "pynn", "torchvision": "pynn.vision"}

_lock = threading.RLock()


def _root(name: str) -> str:
    return name.partition(".")[0]


def _target(name: str) -> str:
    """`torch.nn.functional` -> `pynn.nn.functional`"""
    root, dot, rest = name.partition(".")
    return ALIASES[root] + dot + rest


def _no_module(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}: pynn has no {_target(name)}", name=name)


class _Torch(ModuleType):
    """The module `torch`: pynn under another name and version."""

    __version__ = API_VERSION

    def __getattr__(self, name: str) -> Any:
        return self if name == "torch" else getattr(pynn, name)  # PyTorch has torch.torch

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") and name.endswith("__"):
            super().__setattr__(name, value)
        else:  # who replaces torch.save replaces it for pynn too
            setattr(pynn, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(pynn, name)

    def __dir__(self) -> list[str]:
        return dir(pynn)

    def __repr__(self) -> str:
        return f"<module 'torch' ({API_VERSION}): pynn {pynn.__version__}>"


class _Loader(importlib.abc.Loader):
    def __init__(self, target: str) -> None:
        self.target = target
        self.spec: Any = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = _torch if spec.name == "torch" else importlib.import_module(self.target)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if self.spec is not None:
            module.__spec__ = self.spec  # the import system has put the alias's there


class _Distribution(importlib.metadata.Distribution):
    """So that importlib.metadata.version("torch") agrees with torch.__version__."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        version = API_VERSION if self._name == "torch" else importlib.import_module("pynn.vision").__version__
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {version}\nSummary: an alias of pynn\n"

    def locate_file(self, path: Any) -> Any:
        import pathlib

        return pathlib.Path(pynn.__path__[0]).parent / path


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if _root(fullname) not in ALIASES:
            return None
        name = _target(fullname)
        if name not in sys.modules:
            try:
                found = find_spec(name)
            except ModuleNotFoundError:
                found = None
            if found is None:
                raise _no_module(fullname)
        return importlib.machinery.ModuleSpec(fullname, _Loader(name), is_package=_is_package(name))

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        if context is not None and context.name in ALIASES:
            yield _Distribution(context.name)


def _is_package(name: str) -> bool:
    module = sys.modules.get(name)
    if module is not None:
        return hasattr(module, "__path__")
    spec = find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


_finder = _Finder()
_torch = _Torch("torch", pynn.__doc__)
_torch.__path__ = pynn.__path__
_torch.__file__ = pynn.__file__
_torch.__spec__ = pynn.__spec__
_plain_import = builtins.__import__
_plain_import_module = importlib.import_module


def _is_ours(name: str, importer: Any) -> bool:
    """Whether this import, by the module with the globals `importer`, is one to answer."""
    if _root(name) not in ALIASES:
        return False
    return importer is None or _root(str(importer.get("__name__"))) not in ALIASES


def _import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    if level or not _is_ours(name, globals):
        return _plain_import(name, globals, locals, fromlist, level)
    module = _found(name)
    if fromlist:
        _plain_import(_target(name), globals, locals, fromlist, 0)  # submodules in the list
        return module
    return _found(_root(name))


def _import_module(name: str, package: str | None = None) -> ModuleType:
    if name.startswith(".") or not _is_ours(name, sys._getframe(1).f_globals):
        return _plain_import_module(name, package)
    return _found(name)


def _found(name: str) -> ModuleType:
    if name == "torch":
        return _torch
    target = _target(name)
    try:
        return _plain_import_module(target)
    except ModuleNotFoundError as e:
        if e.name is None or not (target + ".").startswith(e.name + "."):
            raise  # something that pynn needs
        raise _no_module(name) from None


def installed() -> bool:
    """Whether `import torch` gives pynn."""
    return _finder in sys.meta_path or builtins.__import__ is _import


def install() -> None:
    """From now on `import torch`, `torch.nn`, `torchvision` ... give pynn's modules. Calling it again changes nothing.

    A PyTorch imported before goes on working for whoever holds it, and modules that have bound names of it keep those.
    """
    global _plain_import, _plain_import_module
    with _lock:
        if installed():
            return
        if "torch" in sys.modules:
            _plain_import, _plain_import_module = builtins.__import__, importlib.import_module
            builtins.__import__ = _import
            importlib.import_module = _import_module
        else:
            sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Undo `install`: `import torch` gives PyTorch again, the very modules as before, or fails if it is not there."""
    with _lock:
        if builtins.__import__ is _import:
            builtins.__import__ = _plain_import
            importlib.import_module = _plain_import_module
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
            for name in [name for name in sys.modules if _root(name) in ALIASES]:
                del sys.modules[name]
