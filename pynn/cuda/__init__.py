"""CUDA devices. This build has none: is_available() is False, and whatever needs one says so in one line."""

from __future__ import annotations

import contextlib
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


def _missing(name: str, doc: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(_NEEDED)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


get_device_properties = _missing("get_device_properties", "Raises: there is no device.")
get_device_capability = _missing("get_device_capability", "Raises: there is no device.")
current_stream = _missing("current_stream", "Raises: there is no device.")
default_stream = _missing("default_stream", "Raises: there is no device.")
set_stream = _missing("set_stream", "Raises: there is no device.")
mem_get_info = _missing("mem_get_info", "Raises: there is no device.")
init = _missing("init", "Raises: there is no device.")


class Stream:
    """Raises when made: there is no device."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(_NEEDED)


class Event(Stream):
    """Raises when made: there is no device."""


class device(contextlib.nullcontext):
    """Accepted without effect where there is no device, as in PyTorch for None and negative indices."""

    def __init__(self, device: Any = None) -> None:
        super().__init__()
        self.idx = device


def stream(stream: Any = None) -> Any:
    """A with block that does nothing for None."""
    if stream is not None:
        raise RuntimeError(_NEEDED)
    return contextlib.nullcontext()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no device."""
    return False


def is_current_stream_capturing() -> bool:
    """False: nothing is captured."""
    return False


def memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_cached = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing to reset."""


reset_max_memory_allocated = reset_max_memory_cached = ipc_collect = reset_peak_memory_stats


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """Empty."""
    return ""


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Empty."""
    return {}


def get_arch_list() -> list[str]:
    """Empty."""
    return []


def get_rng_state_all() -> list[Any]:
    """Empty: one state per device."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Sets one state per device: none."""


def seed() -> None:
    """Accepted without effect where there is no device."""


seed_all = seed


def __getattr__(name: str) -> Any:
    from pynn._legacy import _CUDA_TYPES

    if name in _CUDA_TYPES:  # FloatTensor and its kin
        return _CUDA_TYPES[name]
    from pynn._lazy import submodule

    return submodule(__name__, name)
