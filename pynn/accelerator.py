"""The accelerator of this machine: there is none. Names as in torch.accelerator."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """False."""
    return False


def current_accelerator(check_available: bool = False) -> Any:
    """None."""
    return None


def device_count() -> int:
    """0"""
    return 0


def _needed(*args: Any, **kwargs: Any) -> Any:
    """Raises: there is none."""
    raise RuntimeError("accelerator: Cannot access accelerator device when none is available.")


current_device_index = current_device_idx = set_device_index = set_device_idx = _needed
current_stream = set_stream = synchronize = empty_cache = _needed
memory_allocated = max_memory_allocated = memory_reserved = max_memory_reserved = memory_stats = _needed
reset_peak_memory_stats = reset_accumulated_memory_stats = get_memory_info = _needed
