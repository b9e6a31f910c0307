"""Windows as columns, for functional.py."""

from __future__ import annotations

from pynn import _C, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Size = int | Sequence[int]


def _pair(x: Any) -> tuple[int, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x, x)


def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """Return the windows of (N, C, H, W) as columns: (N, C * window, number of windows)."""
    if input.is_complex():
        return _C.complex(
            *(unfold(x, kernel_size, dilation, padding, stride) for x in (input.real, input.imag))
        )
    return _C._nn.unfold(input, _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride))


def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """Add the columns of (N, C * window, number of windows) up at their places in (N, C, *output_size)."""
    if input.is_complex():
        parts = (input.real, input.imag)
        return _C.complex(*(fold(x, output_size, kernel_size, dilation, padding, stride) for x in parts))
    return _C._nn.fold(
        input, _pair(output_size), _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride)
    )
