"""The accelerator of this machine: its CUDA devices, if there are any. Names as in torch.accelerator."""

from __future__ import annotations

from typing import Any

from pynn import cuda
from pynn.cuda import device_count, is_available

__all__ = ["current_accelerator", "device_count", "is_available"]


def current_accelerator(check_available: bool = False) -> Any:
    """pynn.device("cuda"), or None in a build without CUDA (with check_available: where no device can be used)."""
    import pynn

    there = is_available() if check_available else cuda.backend is not None
    return pynn.device("cuda") if there else None


def __getattr__(name: str) -> Any:
    """The functions of pynn.cuda, which raise where there is no device."""
    found = getattr(cuda, _FROM_CUDA[name]) if name in _FROM_CUDA else None
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def function(*args: Any, **kwargs: Any) -> Any:
        if not is_available():
            raise RuntimeError("accelerator: Cannot access accelerator device when none is available.")
        return found(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = found.__doc__
    return function


_FROM_CUDA = {
    "current_device_index": "current_device",
    "current_device_idx": "current_device",
    "set_device_index": "set_device",
    "set_device_idx": "set_device",
    "get_memory_info": "mem_get_info",
    **{
        name: name
        for name in (
            "current_stream set_stream synchronize empty_cache memory_allocated max_memory_allocated memory_reserved "
            "max_memory_reserved memory_stats reset_peak_memory_stats"
        ).split()
    },
    "reset_accumulated_memory_stats": "reset_peak_memory_stats",
}
