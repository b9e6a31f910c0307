"""Data sets, transforms and grids of images. Names as in torchvision; Pillow is imported when it is needed."""

from __future__ import annotations

from types import ModuleType

__version__ = "0.28.0+pynn"  # of the torchvision whose names these are


def __getattr__(name: str) -> ModuleType:
    from pynn._lazy import submodule

    return submodule(__name__, name)
