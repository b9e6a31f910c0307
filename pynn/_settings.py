"""Settings of the whole process that programs ask for or make: determinism, precision, the default device, warnings."""

from __future__ import annotations

import warnings
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_default_device",
    "get_deterministic_debug_mode",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled",
    "is_warn_always_enabled",
    "set_default_device",
    "set_default_tensor_type",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_num_interop_threads",
    "set_warn_always",
    "typename",
    "use_deterministic_algorithms",
]

_MODES = ("default", "warn", "error")
_state: dict[str, Any] = {
    "deterministic": "default",
    "precision": "highest",
    "warn_always": False,
    "interop": 1,
}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Remembered; every op here gives the same bits each time as it is. Same as torch.use_deterministic_algorithms."""
    _state["deterministic"] = "default" if not mode else "warn" if warn_only else "error"


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms was told."""
    return _state["deterministic"] != "default"


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What use_deterministic_algorithms was told of warnings."""
    return _state["deterministic"] == "warn"


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """use_deterministic_algorithms by a number or name: 0 "default", 1 "warn", 2 "error"."""
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                f"set_deterministic_debug_mode: one of `default`, `warn`, `error` is required, got {debug_mode}"
            )
        _state["deterministic"] = debug_mode
        return
    if not isinstance(debug_mode, int):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"set_deterministic_debug_mode: 0, 1 or 2 is required, got {debug_mode}")
    _state["deterministic"] = _MODES[debug_mode]


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2."""
    return _MODES.index(_state["deterministic"])


def set_float32_matmul_precision(precision: str) -> None:
    """Remembered: "highest", "high" or "medium". Products of float32 are always in float32 here."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current setting stays",
            stacklevel=2,
        )
        return
    _state["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What set_float32_matmul_precision was told."""
    return _state["precision"]


def set_warn_always(b: bool) -> None:
    """Remembered."""
    if not isinstance(b, bool):
        raise TypeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _state["warn_always"] = b


def is_warn_always_enabled() -> bool:
    """What set_warn_always was told."""
    return _state["warn_always"]


def set_num_interop_threads(n: int) -> None:
    """Remembered: ops do not run beside each other here."""
    if not isinstance(n, int) or n <= 0:
        raise RuntimeError(f"set_num_interop_threads: expects a positive integer, got {n}")
    _state["interop"] = n


def get_num_interop_threads() -> int:
    """What set_num_interop_threads was told."""
    return _state["interop"]


def set_flush_denormal(mode: bool) -> bool:
    """False: not supported; denormal numbers are kept."""
    return False


def set_default_tensor_type(t: Any) -> None:
    """Sets the default dtype by a tensor type: torch.FloatTensor, or its name. Same as torch.set_default_tensor_type."""
    from pynn._legacy import dtype_named

    dtype = dtype_named(t)
    if not getattr(dtype, "is_floating_point", False):
        raise TypeError(f"only floating-point types are supported as the default type, got {t}")
    _C.set_default_dtype(dtype)


def set_default_device(device: Any) -> None:
    """Only the CPU, which it is anyway.

    Raises:
        NotImplementedError: another device is asked for.
    """
    if device is not None and _C.device(device).type != "cpu":
        raise NotImplementedError(f"set_default_device: only 'cpu' is supported, got {device!r}")


def get_default_device() -> Any:
    """device("cpu")."""
    return _C.device("cpu")


def typename(obj: Any) -> str:
    """ "torch.FloatTensor" of a tensor; of others their type's name, with its module. Same as torch.typename."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", "") or ""
    if module == "builtins":
        module = ""
    return f"{module}.{kind.__qualname__}" if module else kind.__qualname__
