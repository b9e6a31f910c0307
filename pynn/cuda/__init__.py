"""CUDA devices. This build has none: is_available() is False, and whatever needs one says so in one line."""

from __future__ import annotations

from typing import Any

from pynn import _C

_NEEDED = "cuda: this build of pynn has no CUDA support (build it with -C cmake.define.PYNN_CUDA=ON)"


def is_available() -> bool:
    """Whether tensors can be on a CUDA device."""
    return bool(_C._build_info()["cuda"])


def device_count() -> int:
    """How many CUDA devices there are."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA was started in this process."""
    return False


def manual_seed(seed: int) -> None:
    """Accepted without effect where there is no device, as in PyTorch."""


def manual_seed_all(seed: int) -> None:
    """Accepted without effect where there is no device, as in PyTorch."""


def empty_cache() -> None:
    """Nothing is cached where there is no device."""


def synchronize(device: Any = None) -> None:
    """Raises: there is no device to wait for."""
    raise RuntimeError(_NEEDED)


def set_device(device: Any) -> None:
    """Raises: there is no device."""
    raise RuntimeError(_NEEDED)


def current_device() -> int:
    """Raises: there is no device."""
    raise RuntimeError(_NEEDED)


def get_device_name(device: Any = None) -> str:
    """Raises: there is no device."""
    raise RuntimeError(_NEEDED)
