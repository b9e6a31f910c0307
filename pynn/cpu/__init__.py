"""The CPU as a device. Names as in torch.cpu."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """True."""
    return True


def device_count() -> int:
    """1"""
    return 1


def current_device() -> str:
    """ "cpu" """
    return "cpu"


def synchronize(device: Any = None) -> None:
    """Ops have ended when they return."""


def __getattr__(name: str) -> Any:
    from pynn._lazy import submodule

    return submodule(__name__, name)
