"""Settings of the process that programs make, of which most have no effect here. All are names of the package itself."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import _C, _legacy

__all__ = [
    "are_deterministic_algorithms_enabled",
    "compiled_with_cxx11_abi",
    "get_default_device",
    "get_deterministic_debug_mode",
    "get_device_module",
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

_PARTS = {"highest": 3, "high": 2, "medium": 1}  # of bfloat16 for each float32
_precision = "highest"
_deterministic = _warn_only = _warn_always = False
_interop_threads: int | None = None


def set_float32_matmul_precision(precision: str) -> None:
    """How much of the factors of float32 matrix products counts: all of it with "highest", the default.

    "high": 16 bits, as sums of two bfloat16, in 0.6 of the time; "medium": 8, as bfloat16, in 0.3. For CPUs
    with AMX; others keep all bits. CUDA rounds factors to TF32 (11 bits) with either. Sums are of float32, and
    convolutions of the CPU stay exact. Same as torch.set_float32_matmul_precision, where "high" has no effect on CPUs.
    """
    if precision not in _PARTS:
        import warnings

        warnings.warn(
            f"set_float32_matmul_precision: highest, high or medium is required, got {precision!r}; ignored",
            stacklevel=2,
        )
        return
    from pynn.backends import _switch

    global _precision
    _precision = precision
    _switch.write("matmul_tf32", precision != "highest")
    _C._set_float32_parts(_PARTS[precision])


def get_float32_matmul_precision() -> str:
    """What was set, here or by backends.cuda.matmul.allow_tf32."""
    from pynn.backends import _switch

    if not _switch.read("matmul_tf32"):
        return "highest"
    return "high" if _precision == "highest" else _precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Kept without effect: every op gives the same bits each time, on any number of threads."""
    global _deterministic, _warn_only
    _deterministic, _warn_only = bool(mode), bool(mode and warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What was set."""
    return _deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What was set."""
    return _warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0 or "default", 1 or "warn", 2 or "error", as use_deterministic_algorithms."""
    names = {"default": 0, "warn": 1, "error": 2}
    if debug_mode not in names and debug_mode not in names.values():
        raise RuntimeError(
            f"invalid value of debug_mode, expected `default`, `warn`, `error`, or 0, 1, 2, but got {debug_mode}"
        )
    level = names[debug_mode] if isinstance(debug_mode, str) else debug_mode
    use_deterministic_algorithms(level > 0, warn_only=level == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2."""
    return (1 if _warn_only else 2) if _deterministic else 0


def set_warn_always(b: bool) -> None:
    """Kept without effect: Python's filters decide about warnings."""
    global _warn_always
    _warn_always = b


def is_warn_always_enabled() -> bool:
    """What was set."""
    return _warn_always


def set_flush_denormal(mode: bool) -> bool:
    """False: denormal numbers are always kept."""
    return False


def set_num_interop_threads(num: int) -> None:
    """Kept without effect: ops run one after another."""
    global _interop_threads
    if num <= 0:
        raise RuntimeError(f"set_num_interop_threads: expects a positive integer, got {num}")
    _interop_threads = num


def get_num_interop_threads() -> int:
    """What was set, or 1."""
    return _interop_threads or 1


def set_default_device(device: Any) -> None:
    """New tensors are on the CPU; None and "cpu" change nothing.

    Raises:
        RuntimeError: another device.
    """
    kind = "cpu" if device is None else str(pynn.device(device).type)
    if kind != "cpu":
        raise RuntimeError(
            f"set_default_device: cpu is required, got {device} (pass device= where tensors are made)"
        )


def get_default_device() -> Any:
    """The CPU."""
    return pynn.device("cpu")


def set_default_tensor_type(t: Any) -> None:
    """FloatTensor or DoubleTensor, or its name: the old form of set_default_dtype."""
    try:
        dtype = _legacy.dtype_named(t)
    except ValueError:
        raise TypeError(f"set_default_tensor_type: invalid type object: {t}") from None
    if not isinstance(dtype, pynn.dtype) or not dtype.is_floating_point:
        raise TypeError(f"set_default_tensor_type: only floating-point types are supported, got {t}")
    _C.set_default_dtype(dtype)


def typename(obj: Any) -> str:
    """ "torch.FloatTensor" of a tensor, module and name of anything else."""
    if isinstance(obj, pynn.Tensor):
        name: str = obj.type()
        return name
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    return kind.__qualname__ if module in (None, "builtins") else f"{module}.{kind.__qualname__}"


def compiled_with_cxx11_abi() -> bool:
    """True."""
    return True


def get_device_module(device: Any = None) -> Any:
    """pynn.cpu, pynn.cuda ...: the module of a device."""
    return getattr(pynn, "cpu" if device is None else pynn.device(device).type)
