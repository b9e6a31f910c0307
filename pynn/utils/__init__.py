"""Utilities. Same as torch.utils; submodules load when first used."""

from __future__ import annotations

from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name in ("data", "hooks"):
        from importlib import import_module

        return import_module(f"pynn.utils.{name}")
    raise AttributeError(f"module 'pynn.utils' has no attribute {name!r}")
