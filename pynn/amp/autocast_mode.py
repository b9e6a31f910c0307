"""autocast: matrix products in bfloat16, losses in float32, without a change to the model."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import pynn
from pynn import _C

_HALF = (pynn.bfloat16, pynn.float16)
_KINDS = ("cpu", "cuda")  # of devices, each with a state of its own


class autocast:
    """Within a with block, or a decorated function, ops choose their dtype. Same as torch.autocast.

    linear, matmul, convolution and their kin convert float32 tensors to `dtype`; losses, prod and their kin convert half
    types to float32; all else computes in the dtype of its arguments. float64 is left alone.

    Args:
        device_type: "cpu" or "cuda": the tensors that it is about. Without such a device it warns and does nothing.
        dtype: bfloat16 or float16. Default: bfloat16 on the CPU, float16 on CUDA.
        enabled: False turns it off within a block where it is on.
        cache_enabled: accepted without effect: weights are converted at each use.

    Raises:
        RuntimeError: a device type that does not exist.
    """

    def __init__(
        self,
        device_type: str = "cuda",
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
        *,
        _stacklevel: int = 2,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self._cuda = device_type == "cuda"
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and not is_autocast_available(device_type):
            warnings.warn(
                f"User provided device_type of '{device_type}', but {device_type.upper()} is not available. Disabling",
                stacklevel=_stacklevel,
            )
            enabled = False
        if enabled and self.fast_dtype not in _HALF:
            warnings.warn(
                f"In {device_type.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{device_type.upper()} Autocast only supports dtype of {', '.join(map(str, _HALF))} currently.",
                stacklevel=_stacklevel,
            )
            enabled = False
        self._enabled = enabled
        self._before: list[tuple[bool, Any]] = []

    def __enter__(self) -> autocast:
        if self.device in _KINDS:
            dtype = self.fast_dtype if self.fast_dtype in _HALF else _C._autocast_dtype(self._cuda)
            self._before.append(_C._set_autocast(self._enabled, dtype, self._cuda))
        return self

    def __exit__(self, *exc: object) -> None:
        if self.device in _KINDS:
            _C._set_autocast(*self._before.pop(), self._cuda)

    def __call__(self, function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapper


def is_autocast_available(device_type: str) -> bool:
    """Whether ops on this kind of device can be autocast."""
    return device_type == "cpu" or (device_type == "cuda" and pynn.cuda.is_available())


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on in this thread."""
    return device_type in _KINDS and _C._autocast_on(device_type == "cuda")


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on in this thread."""
    return _C._autocast_on()


def get_autocast_dtype(device_type: str) -> Any:
    """What autocast casts to."""
    return _C._autocast_dtype(device_type == "cuda") if device_type in _KINDS else pynn.float16


def get_autocast_cpu_dtype() -> Any:
    """What autocast casts to."""
    return _C._autocast_dtype()


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Turn autocast on or off in this thread."""
    if device_type in _KINDS:
        cuda = device_type == "cuda"
        _C._set_autocast(enabled, _C._autocast_dtype(cuda), cuda)


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """What autocast casts to from now on, in this thread."""
    if device_type in _KINDS:
        cuda = device_type == "cuda"
        _C._set_autocast(_C._autocast_on(cuda), dtype, cuda)


def is_autocast_cache_enabled() -> bool:
    """False: weights are converted at each use."""
    return False


def clear_autocast_cache() -> None:
    """Nothing to clear."""


def custom_fwd(fwd: Any = None, *, device_type: str = "cuda", cast_inputs: Any = None) -> Any:
    """Decorates the forward of an autograd.Function: with cast_inputs, float tensors are converted first."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = get_autocast_dtype(device_type)
        if cast_inputs is None or not is_autocast_enabled(device_type):
            args[0]._fwd_used_autocast = is_autocast_enabled(device_type)
            return fwd(*args, **kwargs)
        args[0]._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return fwd(*_cast(args, cast_inputs), **_cast(kwargs, cast_inputs))

    return wrapper


def custom_bwd(bwd: Any = None, *, device_type: str = "cuda") -> Any:
    """Decorates the backward of an autograd.Function: autocast as it was in the forward."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if device_type not in _KINDS:
            return bwd(*args, **kwargs)
        with autocast(device_type, dtype=args[0]._dtype, enabled=args[0]._fwd_used_autocast):
            return bwd(*args, **kwargs)

    return wrapper


def _cast(value: Any, dtype: Any) -> Any:
    if isinstance(value, pynn.Tensor):
        return value.to(dtype) if value.is_floating_point() and value.dtype != pynn.float64 else value
    if isinstance(value, dict):
        return {_cast(k, dtype): _cast(v, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_cast(v, dtype) for v in value]
        return type(value)(items)
    return value
