"""Convolutions of one to three spatial dimensions, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Tensor

from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module
from .utils import _reverse_repeat_tuple, ntuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    Size = int | Sequence[int]

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "output_padding",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]
    weight: Parameter
    bias: Parameter | None
    dims: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be divisible by groups, got {channels} and {groups}"
                )
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {_MODES}, but got padding_mode='{padding_mode}'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, self.dims)
        self.stride = ntuple(stride, self.dims)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, self.dims)
        self.dilation = ntuple(dilation, self.dims)
        self.output_padding = ntuple(output_padding, self.dims)
        self.groups = groups
        self.padding_mode = padding_mode
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of 'same', 'valid'")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(
                    f"padding='same' is not supported for strided convolutions, got stride {self.stride}"
                )
        shape = (
            (in_channels, out_channels // groups)
            if self.transposed
            else (out_channels, in_channels // groups)
        )
        self.weight = Parameter(pynn.empty((*shape, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(pynn.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @property
    def _reversed_padding_repeated_twice(self) -> list[int]:
        if not isinstance(self.padding, str):
            return list(_reverse_repeat_tuple(self.padding, 2))
        pairs = []
        for d, k in zip(reversed(self.dilation), reversed(self.kernel_size), strict=True):
            total = d * (k - 1) if self.padding == "same" else 0
            pairs += [total // 2, total - total // 2]
        return pairs

    def reset_parameters(self) -> None:
        """Draw weight and bias from the uniform distribution on +- 1 / sqrt(inputs of one output)."""
        # math.sqrt(5) makes the bound 1 / sqrt(fan_in), by PyTorch's arithmetic and rounding.
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        if any(self.padding) and self.padding != (0,) * self.dims:
            text += f", padding={self.padding}"
        if any(d != 1 for d in self.dilation):
            text += f", dilation={self.dilation}"
        if any(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_conv_forward" in cls.__dict__:
            cls._with_relu = None  # type: ignore[assignment,method-assign]

    def _conv_forward(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, *, relu: bool = False
    ) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * self.dims
        return self._function(
            input, weight, bias, self.stride, padding, self.dilation, self.groups, relu=relu
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _with_relu(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias, relu=True)


class Conv1d(_Conv):
    """Convolution (cross-correlation) of signals. Same as torch.nn.Conv1d.

    Args:
        padding: how many positions to add at both ends, "valid" (none), or "same" (as many as keep the size).
        dilation: distance between the positions that a kernel reads.
        groups: so many convolutions side by side, each of its share of the channels.
        padding_mode: what stands in the added positions: "zeros", "reflect", "replicate" or "circular".

    Shape:
        (N, in_channels, L) or (in_channels, L) -> (N, out_channels, L'); weight is
        (out_channels, in_channels / groups, kernel).
    """

    dims = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Conv):
    """Convolution (cross-correlation) of images. Same as torch.nn.Conv2d; see Conv1d for the arguments.

    Shape:
        (N, in_channels, H, W) or (in_channels, H, W) -> (N, out_channels, H', W').
    """

    dims = 2
    _function = staticmethod(F.conv2d)


class Conv3d(_Conv):
    """Convolution (cross-correlation) of volumes. Same as torch.nn.Conv3d; see Conv1d for the arguments.

    Shape:
        (N, in_channels, D, H, W) or (in_channels, D, H, W) -> (N, out_channels, D', H', W').
    """

    dims = 3
    _function = staticmethod(F.conv3d)


class _ConvTransposeNd(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}, got "{padding_mode}"'
            )
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """Return the output padding that gives `output_size`."""
        if output_size is None:
            return self.output_padding
        dims, sizes = self.dims, list(output_size)
        extra = input.dim() - dims
        if len(sizes) == extra + dims:
            sizes = sizes[extra:]
        if len(sizes) != dims:
            raise ValueError(
                f"{type(self).__name__}: for {input.dim()}D input, output_size must have {dims} or "
                f"{extra + dims} elements (got {len(sizes)})"
            )
        least = [
            (input.size(d + extra) - 1) * self.stride[d]
            - 2 * self.padding[d]
            + self.dilation[d] * (self.kernel_size[d] - 1)
            + 1
            for d in range(dims)
        ]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not low <= n <= high for n, low, high in zip(sizes, least, most, strict=True)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} "
                f"(for an input of {tuple(input.shape[extra:])})"
            )
        return tuple(n - low for n, low in zip(sizes, least, strict=True))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        padding = self._output_padding(input, output_size)
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, padding, self.groups, self.dilation
        )


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of Conv1d: what that does to a gradient. Same as torch.nn.ConvTranspose1d.

    Args:
        output_padding: added to one end of the output; several sizes of the output give one size of the input.

    `forward` takes `output_size` too, from which it finds the output padding.

    Shape:
        (N, in_channels, L) or (in_channels, L) -> (N, out_channels, L'); weight is
        (in_channels, out_channels / groups, kernel).
    """

    dims = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of Conv2d. Same as torch.nn.ConvTranspose2d; see ConvTranspose1d."""

    dims = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of Conv3d. Same as torch.nn.ConvTranspose3d; see ConvTranspose1d."""

    dims = 3
    _function = staticmethod(F.conv_transpose3d)
