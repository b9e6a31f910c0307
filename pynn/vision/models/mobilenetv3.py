"""MobileNetV3: MobileNetV2's blocks with gates and hard activations. Howard et al. 2019, arXiv:1905.02244."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from pynn import Tensor, nn
from pynn.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

from ._common import init_weights, make_divisible
from ._weights import Builder, WeightsEnum, builder, imagenet

__all__ = [
    "MobileNetV3",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]


class Row(NamedTuple):
    """One block; `hard` is Hardswish in place of ReLU."""

    inputs: int
    kernel: int
    wide: int
    outputs: int
    gates: bool
    hard: bool
    stride: int
    dilation: int

    def scaled(self, width: float) -> Row:
        inputs, wide, outputs = (make_divisible(c * width, 8) for c in (self.inputs, self.wide, self.outputs))
        return self._replace(inputs=inputs, wide=wide, outputs=outputs)


class _Block(nn.Module):
    def __init__(self, row: Row, norm_layer: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.use_res_connect = row.stride == 1 and row.inputs == row.outputs
        self.out_channels = row.outputs
        activation = nn.Hardswish if row.hard else nn.ReLU
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        layers: list[nn.Module] = (
            [] if row.wide == row.inputs else [conv(row.inputs, row.wide, kernel_size=1)]
        )
        stride = 1 if row.dilation > 1 else row.stride
        layers.append(conv(row.wide, row.wide, row.kernel, stride, groups=row.wide, dilation=row.dilation))
        if row.gates:
            squeezed = make_divisible(row.wide // 4, 8)
            layers.append(SqueezeExcitation(row.wide, squeezed, scale_activation=nn.Hardsigmoid))
        layers.append(conv(row.wide, row.outputs, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.use_res_connect else self.block(x)  # type: ignore[no-any-return]


class MobileNetV3(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes)."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[Row],
        last_channel: int,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        rows = list(inverted_residual_setting)
        if not rows:
            raise ValueError("MobileNetV3: inverted_residual_setting should not be empty")
        norm = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        last = 6 * rows[-1].outputs
        self.features = nn.Sequential(
            conv(3, rows[0].inputs, stride=2),
            *(_Block(row, norm) for row in rows),
            conv(rows[-1].outputs, last, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        init_weights(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


# kernel, expanded and output channels, gates, Hardswish, stride
_LARGE = [
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
]
_SMALL = [
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
]


class MobileNet_V3_Large_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("mobilenet_v3_large-8738ca79", 5_483_032, 74.042, 91.34)
    IMAGENET1K_V2 = imagenet("mobilenet_v3_large-5c1a4163", 5_483_032, 75.274, 92.566, 224, 232)
    DEFAULT = IMAGENET1K_V2


class MobileNet_V3_Small_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("mobilenet_v3_small-047dcff4", 2_542_856, 67.668, 87.402)
    DEFAULT = IMAGENET1K_V1


def _mobilenet(
    size: str,
    table: list[tuple[int, int, int, bool, bool, int]],
    last_channel: int,
    weights: type[WeightsEnum],
) -> Builder[MobileNetV3]:
    name = f"mobilenet_v3_{size}"

    def make(
        width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False, **kwargs: Any
    ) -> MobileNetV3:
        if reduced_tail or dilated:
            raise ValueError(
                f"{name}: reduced_tail=False and dilated=False required (backbones of segmentation)"
            )
        rows, inputs = [], 16
        for kernel, wide, outputs, gates, hard, stride in table:
            rows.append(Row(inputs, kernel, wide, outputs, gates, hard, stride, 1).scaled(width_mult))
            inputs = outputs
        return MobileNetV3(rows, make_divisible(last_channel * width_mult, 8), **kwargs)

    return builder(name, make, weights, f"MobileNetV3, {size}.")


mobilenet_v3_large = _mobilenet("large", _LARGE, 1280, MobileNet_V3_Large_Weights)
mobilenet_v3_small = _mobilenet("small", _SMALL, 1024, MobileNet_V3_Small_Weights)
