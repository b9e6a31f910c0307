"""Switches of CUDA's matrix products, and flags. Names as in torch.backends.cuda."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynn.backends._switch import precision, switch


class _Matmul:
    allow_tf32 = switch("matmul_tf32")  # for products of float32
    allow_fp16_reduced_precision_reduction = switch("fp16_reduced")  # when a sum is split over blocks
    allow_bf16_reduced_precision_reduction = switch("bf16_reduced")
    allow_fp16_accumulation = False  # kept without effect
    fp32_precision = precision("matmul_tf32")


matmul = _Matmul()

_sdp = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """Whether this build has CUDA."""
    from pynn import _C

    return bool(_C._build_info()["cuda"])


def flash_sdp_enabled() -> bool:
    """The flag as set."""
    return _sdp["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """The flag as set."""
    return _sdp["mem_efficient"]


def math_sdp_enabled() -> bool:
    """The flag as set."""
    return _sdp["math"]


def cudnn_sdp_enabled() -> bool:
    """The flag as set."""
    return _sdp["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    """Kept without effect: there is one attention."""
    _sdp["flash"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Kept without effect: there is one attention."""
    _sdp["mem_efficient"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """Kept without effect: there is one attention."""
    _sdp["math"] = enabled


def enable_cudnn_sdp(enabled: bool) -> None:
    """Kept without effect: there is one attention."""
    _sdp["cudnn"] = enabled


@contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[Any]:
    """Flags for a with block."""
    before = dict(_sdp)
    _sdp.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield {}
    finally:
        _sdp.update(before)
