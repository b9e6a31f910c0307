"""Switches of cuDNN, which computes convolutions and recurrent nets on CUDA where it is there.

Names as in torch.backends.cudnn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from pynn.backends import _switch


class _Cudnn(ModuleType):
    enabled = _switch.switch("cudnn")
    benchmark = _switch.switch("benchmark")  # measure the ways to compute a convolution when it is first met
    deterministic = _switch.switch("deterministic")
    allow_tf32 = _switch.switch("cudnn_tf32")
    fp32_precision = _switch.precision("cudnn_tf32")
    benchmark_limit = 10  # kept without effect


# Module attributes that are properties: reading and setting them is reading and setting the switches.
sys.modules[__name__].__class__ = _Cudnn


def is_available() -> bool:
    """Whether cuDNN was found."""
    return version() is not None


def version() -> int | None:
    """cuDNN's version as a number, 91002 for 9.10.2, or None."""
    return _switch.cudnn_version()


def is_acceptable(tensor: Any) -> bool:
    """Whether a convolution or a recurrent net of this tensor may go to cuDNN."""
    return bool(tensor.is_cuda and tensor.is_floating_point() and _switch.read("cudnn") and is_available())


_NAMES = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")


def set_flags(**flags: Any) -> tuple[Any, ...]:
    """Set flags by name; None leaves one alone. Gives those before."""
    module = sys.modules[__name__]
    before = tuple(getattr(module, name) for name in _NAMES)
    for name, value in flags.items():
        if value is not None:
            setattr(module, name.lstrip("_"), value)
    return before


@contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """Flags for a with block."""
    before = set_flags(
        enabled=enabled,
        benchmark=benchmark,
        benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
    )
    try:
        yield
    finally:
        set_flags(**dict(zip(_NAMES, before, strict=True)))
