"""Switches of the CUDA back end: the native ones in a build with CUDA, else kept here."""

from __future__ import annotations

from typing import Any

from pynn import _C

_native: Any = getattr(_C, "_cuda", None)
_kept = {
    "matmul_tf32": False,
    "fp16_reduced": True,
    "bf16_reduced": True,
    "cudnn": True,
    "cudnn_tf32": True,
    "benchmark": False,
    "deterministic": False,
}


def read(name: str) -> bool:
    """The switch's state."""
    return bool(_native.flag(name)) if _native else _kept[name]


def write(name: str, value: Any) -> None:
    """Set it."""
    if _native:
        _native.set_flag(name, bool(value))
    else:
        _kept[name] = bool(value)


def libraries() -> dict[str, str]:
    """The version of each library of NVIDIA's that products and convolutions use, or why there is none."""
    return dict(_native.libraries()) if _native else {}


def cudnn_version() -> int | None:
    """cuDNN's version as a number, 91002 for 9.10.2."""
    return (_native.cudnn_version() or None) if _native else None


def switch(name: str) -> Any:
    """A property that is the switch."""
    return property(lambda self: read(name), lambda self, value: write(name, value))


def precision(name: str) -> Any:
    """A property with PyTorch's words for a TF32 switch."""

    def set_precision(self: Any, value: str) -> None:
        if value not in ("none", "ieee", "tf32"):
            raise RuntimeError(f"fp32_precision: 'ieee', 'tf32' or 'none' is required, got {value!r}")
        write(name, value == "tf32")

    return property(lambda self: "tf32" if read(name) else "none", set_precision)
