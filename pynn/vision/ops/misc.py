"""Layers of several layers. Names as in torchvision.ops.misc."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pynn import Tensor, nn

__all__ = [
    "MLP",
    "Conv2dNormActivation",
    "Conv3dNormActivation",
    "FrozenBatchNorm2d",
    "Permute",
    "SqueezeExcitation",
]

Layer = Callable[..., nn.Module]


class FrozenBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine parameters are constants: (N, C, H, W) to the same."""

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        import pynn

        self.eps = eps
        self.register_buffer("weight", pynn.ones(num_features))
        self.register_buffer("bias", pynn.zeros(num_features))
        self.register_buffer("running_mean", pynn.zeros(num_features))
        self.register_buffer("running_var", pynn.ones(num_features))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        state_dict.pop(prefix + "num_batches_tracked", None)  # of a BatchNorm2d
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weight.shape[0]}, eps={self.eps})"


def _optional(**kwargs: Any) -> dict[str, Any]:
    """Keyword arguments without those that are None."""
    return {key: value for key, value in kwargs.items() if value is not None}


class _ConvNormActivation(nn.Sequential):
    _conv: Layer
    _dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm2d,
        activation_layer: Layer | None = nn.ReLU,
        dilation: int | Sequence[int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:  # keeps the size, for stride 1
            sizes, steps = (
                [v] * self._dims if isinstance(v, int) else list(v) for v in (kernel_size, dilation)
            )
            pads = tuple((k - 1) // 2 * d for k, d in zip(sizes, steps, strict=True))
            padding = pads[0] if isinstance(kernel_size, int) and isinstance(dilation, int) else pads
        layers = [
            type(self)._conv(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                dilation=dilation,
                groups=groups,
                bias=norm_layer is None if bias is None else bias,
            )
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**_optional(inplace=inplace)))
        super().__init__(*layers)
        self.out_channels = out_channels


class Conv2dNormActivation(_ConvNormActivation):
    """A 2-D convolution, a norm and an activation; the padding keeps the size unless it is given."""

    _conv = nn.Conv2d
    _dims = 2


class Conv3dNormActivation(_ConvNormActivation):
    """A 3-D convolution, a norm and an activation; the padding keeps the size unless it is given."""

    _conv = nn.Conv3d
    _dims = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str | None = None,
        groups: int = 1,
        norm_layer: Layer | None = nn.BatchNorm3d,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, groups, norm_layer, *args, **kwargs
        )


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from all channel means. Hu et al. 2017, arXiv:1709.01507."""

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Layer = nn.ReLU,
        scale_activation: Layer = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        gate = self.fc2(self.activation(self.fc1(self.avgpool(input))))
        return self.scale_activation(gate) * input  # type: ignore[no-any-return]


class MLP(nn.Sequential):
    """Linear layers, each but the last with norm, activation and dropout; the last with dropout."""

    def __init__(
        self,
        in_channels: int,
        hidden_channels: list[int],
        norm_layer: Layer | None = None,
        activation_layer: Layer | None = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = []
        for width in hidden_channels[:-1]:
            layers.append(nn.Linear(in_channels, width, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(width))
            if activation_layer is not None:
                layers.append(activation_layer(**_optional(inplace=inplace)))
            layers.append(nn.Dropout(dropout, **_optional(inplace=inplace)))
            in_channels = width
        layers.append(nn.Linear(in_channels, hidden_channels[-1], bias=bias))
        layers.append(nn.Dropout(dropout, **_optional(inplace=inplace)))
        super().__init__(*layers)


class Permute(nn.Module):
    """x.permute(dims)"""

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)
