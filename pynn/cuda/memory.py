"""Device memory: what is in use, what is kept for reuse, and how much there is. Sizes in bytes.

Same as torch.cuda.memory, with fewer statistics.
"""

from __future__ import annotations

from typing import Any

import pynn
from pynn.cuda._device import backend, device_count, get_device_properties, index_of, is_available

__all__ = [
    "caching_allocator_alloc",
    "caching_allocator_delete",
    "empty_cache",
    "get_allocator_backend",
    "get_per_process_memory_fraction",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "memory_summary",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]

OutOfMemoryError = pynn.OutOfMemoryError

# What only counts up, at the last reset_accumulated_memory_stats of a device; and the shares set.
_counted_before: dict[int, dict[str, int]] = {}
_fractions: dict[int, float] = {}
_given_out: dict[int, int] = {}  # device of each address


def _stats(device: Any) -> dict[str, int]:
    names = (
        "allocated",
        "peak_allocated",
        "reserved",
        "peak_reserved",
        "allocations",
        "retries",
        "out_of_memory",
    )
    return (
        backend.memory_stats(index_of(device)) if is_available() else dict.fromkeys((*names, "segments"), 0)
    )


def memory_stats(device: Any = None) -> dict[str, int]:
    """The allocator's statistics, by PyTorch's names where it has them; empty where there is no device."""
    if not is_available():
        return {}
    s = _stats(device)
    start = _counted_before.get(index_of(device), {})
    s = {name: value - start.get(name, 0) for name, value in s.items()}
    return {
        "allocated_bytes.all.current": s["allocated"],
        "allocated_bytes.all.peak": s["peak_allocated"],
        "reserved_bytes.all.current": s["reserved"],
        "reserved_bytes.all.peak": s["peak_reserved"],
        "allocation.all.allocated": s["allocations"],
        "segment.all.current": s["segments"],
        "num_alloc_retries": s["retries"],
        "num_ooms": s["out_of_memory"],
    }


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """The same, with a dict for each part of a name."""
    nested: dict[str, Any] = {}
    for name, value in memory_stats(device).items():
        *outer, last = name.split(".")
        inner = nested
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return nested


def memory_allocated(device: Any = None) -> int:
    """In tensors."""
    return _stats(device)["allocated"]


def max_memory_allocated(device: Any = None) -> int:
    """The most in tensors at one time, since the last reset."""
    return _stats(device)["peak_allocated"]


def memory_reserved(device: Any = None) -> int:
    """Held from the device: in tensors, or kept for reuse."""
    return _stats(device)["reserved"]


def max_memory_reserved(device: Any = None) -> int:
    """The most held at one time, since the last reset."""
    return _stats(device)["peak_reserved"]


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Start the peaks anew from what is in use."""
    if is_available():
        backend.reset_peak_memory_stats(index_of(device))


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Count allocations and failures from 0 again."""
    if is_available():
        s = _stats(device)
        _counted_before[index_of(device)] = {
            name: s[name] for name in ("allocations", "retries", "out_of_memory")
        }


def empty_cache() -> None:
    """Give memory that no tensor uses back to the device."""
    if is_available():
        backend.empty_cache()


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """The device's free and total memory, over all processes."""
    index = index_of(device)
    free, total = backend.mem_get_info(index)
    return free, total


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """The most this process may hold, as a share of the device's memory.

    Raises:
        ValueError: the fraction is not in [0, 1].
    """
    if not isinstance(fraction, float):
        raise TypeError(
            f"set_per_process_memory_fraction: a float is required, got {type(fraction).__name__}"
        )
    if not 0 <= fraction <= 1:
        raise ValueError(
            f"set_per_process_memory_fraction: a fraction from 0 to 1 is required, got {fraction}"
        )
    index = index_of(device)
    total = get_device_properties(index).total_memory
    _fractions[index] = fraction
    backend.set_memory_limit(index, 0 if fraction == 1 else max(1, int(fraction * total)))


def get_per_process_memory_fraction(device: Any = None) -> float:
    """The share that was set, 1.0 where none was."""
    return _fractions.get(index_of(device), 1.0)


def get_allocator_backend() -> str:
    """The kind of allocator: "native", the only one there is."""
    return "native"


def caching_allocator_alloc(size: int, device: Any = None, stream: Any = None) -> int:
    """The address of memory from the allocator, for other libraries; caching_allocator_delete gives it back.

    Args:
        size: bytes.
        device: where; None is the current device.
        stream: a Stream or its address, where the memory is used; None is the device's current stream.
    """
    index = index_of(device)
    if stream is None:
        stream = backend.current_stream(index)
    stream = getattr(stream, "cuda_stream", stream)
    if not isinstance(stream, int):
        raise TypeError(
            f"caching_allocator_alloc: a Stream or an address is required, got {type(stream).__name__}"
        )
    address = int(backend.raw_allocate(size, index, stream))
    _given_out[address] = index
    return address


def caching_allocator_delete(mem_ptr: int) -> None:
    """Give memory of caching_allocator_alloc back.

    Raises:
        ValueError: the address is not of such memory.
    """
    if mem_ptr not in _given_out:
        raise ValueError(f"caching_allocator_delete: no memory of caching_allocator_alloc at {mem_ptr:#x}")
    backend.raw_deallocate(mem_ptr, _given_out.pop(mem_ptr))


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The statistics as text, one line each; empty where there is no device."""
    if not device_count():
        return ""
    index = index_of(device)
    rows = [f"cuda:{index} {get_device_properties(index).name}"]
    rows += [f"  {name:<32} {value:>16,}" for name, value in memory_stats(index).items()]
    return "\n".join(rows)
