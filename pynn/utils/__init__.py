"""Utilities. Same as torch.utils; submodules load when first used."""

from __future__ import annotations

from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    from pynn._lazy import submodule

    return submodule(__name__, name)
