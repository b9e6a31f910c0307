"""CUDA devices. Same as torch.cuda.

In a build without CUDA, or on a machine without a device, is_available() is False, and whatever needs a device says
in one line why there is none.
"""

from __future__ import annotations

from typing import Any

from pynn.cuda._device import (
    DeviceProperties as _CudaDeviceProperties,
)
from pynn.cuda._device import (
    backend,
    can_device_access_peer,
    current_device,
    device,
    device_count,
    device_of,
    get_device_capability,
    get_device_name,
    get_device_properties,
    is_available,
    is_bf16_supported,
    is_tf32_supported,
    require,
    set_device,
    synchronize,
    why_unavailable,
)
from pynn.cuda._monitor import (
    clock_rate,
    device_memory_used,
    list_gpu_processes,
    memory_usage,
    power_draw,
    temperature,
    utilization,
)
from pynn.cuda.graphs import (
    CUDAGraph,
    graph,
    graph_pool_handle,
    is_current_stream_capturing,
    make_graphed_callables,
)
from pynn.cuda.memory import (
    OutOfMemoryError,
    caching_allocator_alloc,
    caching_allocator_delete,
    empty_cache,
    get_allocator_backend,
    get_per_process_memory_fraction,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_stats,
    memory_stats_as_nested_dict,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from pynn.cuda.random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from pynn.cuda.streams import (
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    get_stream_from_external,
    set_stream,
    stream,
)

has_half = True
has_magma = False


def is_initialized() -> bool:
    """Whether CUDA was started in this process: here, whether there is a device."""
    return is_available()


def init() -> None:
    """Start CUDA, which happens by itself at first use.

    Raises:
        RuntimeError: there is no device.
    """
    require()


def ipc_collect() -> None:
    """Nothing to collect: memory is not shared between processes."""


def get_arch_list() -> list[str]:
    """The devices' architectures that are in use here, as sm_90."""
    return sorted({f"sm_{p.major}{p.minor}" for p in map(get_device_properties, range(device_count()))})


def get_gencode_flags() -> str:
    """nvcc's flags for those architectures."""
    numbers = [name.split("_")[1] for name in get_arch_list()]
    return " ".join(f"-gencode compute=compute_{n},code=sm_{n}" for n in numbers)


def __getattr__(name: str) -> Any:
    if name == "default_generators":  # one for each device
        from pynn.cuda.random import _generator

        return tuple(map(_generator, range(device_count())))
    from pynn._legacy import _CUDA_TYPES

    if name in _CUDA_TYPES:  # FloatTensor and its kin
        return _CUDA_TYPES[name]
    from pynn._lazy import submodule

    return submodule(__name__, name)
