"""Which attention kernel runs: accepted without effect, as there is one for all. Names as in torch.nn.attention."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["WARN_FOR_UNFUSED_KERNELS", "SDPBackend", "sdpa_kernel"]

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.Enum):
    """PyTorch's kernels of scaled_dot_product_attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


_FLAGS = {
    SDPBackend.MATH: "math",
    SDPBackend.FLASH_ATTENTION: "flash",
    SDPBackend.EFFICIENT_ATTENTION: "mem_efficient",
    SDPBackend.CUDNN_ATTENTION: "cudnn",
}


@contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[None]:
    """Sets the flags of torch.backends.cuda for a with block, or as a decorator."""
    from pynn.backends import cuda

    chosen = backends if isinstance(backends, list | tuple) else [backends]
    if not all(isinstance(b, SDPBackend) for b in chosen):
        raise AssertionError(f"sdpa_kernel: SDPBackend or a list of them is required, got {backends!r}")
    flags = {f"enable_{flag}": backend in chosen for backend, flag in _FLAGS.items()}
    with cuda.sdp_kernel(**flags):
        yield
