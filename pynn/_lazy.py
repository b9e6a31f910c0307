"""Submodules that load when first used."""

from __future__ import annotations

from types import ModuleType


def submodule(package: str, name: str) -> ModuleType:
    """The module `package.name`, imported now; for the `__getattr__` of a package.

    Raises:
        AttributeError: there is none.
    """
    import importlib.util

    if name[0] == "_" or importlib.util.find_spec(f"{package}.{name}") is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(f"{package}.{name}")
