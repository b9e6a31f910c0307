"""EfficientNet, versions 1 and 2: width, depth and picture size grown together.

Tan and Le 2019, arXiv:1905.11946, and 2021, arXiv:2104.00298.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from pynn import Tensor, nn
from pynn.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from pynn.vision.ops.stochastic_depth import StochasticDepth

from ._common import make_divisible
from ._weights import Builder, InterpolationMode, WeightsEnum, builder, imagenet

Layer = Callable[..., nn.Module]


class Stage(NamedTuple):
    """Blocks of one size of picture."""

    block: type[nn.Module]
    expand_ratio: float
    kernel: int
    stride: int  # of the first block
    inputs: int
    outputs: int
    blocks: int


class _Residual(nn.Module):
    """`block` beside the identity where the shape stays; while training, left out with `probability`."""

    def __init__(self, stage: Stage, probability: float, layers: list[nn.Module]) -> None:
        super().__init__()
        self.use_res_connect = stage.stride == 1 and stage.inputs == stage.outputs
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(probability, "row")
        self.out_channels = stage.outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return self.stochastic_depth(y) + x if self.use_res_connect else y  # type: ignore[no-any-return]


class MBConv(_Residual):
    """1x1 wider, depthwise, gates of channels, 1x1 narrower."""

    def __init__(self, stage: Stage, probability: float, norm_layer: Layer) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        wide = make_divisible(stage.inputs * stage.expand_ratio, 8)
        gates = SqueezeExcitation(wide, max(1, stage.inputs // 4), activation=partial(nn.SiLU, inplace=True))
        layers: list[nn.Module] = [] if wide == stage.inputs else [conv(stage.inputs, wide, kernel_size=1)]
        layers += [
            conv(wide, wide, stage.kernel, stage.stride, groups=wide),
            gates,
            conv(wide, stage.outputs, kernel_size=1, activation_layer=None),
        ]
        super().__init__(stage, probability, layers)


class FusedMBConv(_Residual):
    """A full convolution in place of MBConv's first two; no gates."""

    def __init__(self, stage: Stage, probability: float, norm_layer: Layer) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        wide = make_divisible(stage.inputs * stage.expand_ratio, 8)
        if wide == stage.inputs:
            layers: list[nn.Module] = [conv(stage.inputs, stage.outputs, stage.kernel, stage.stride)]
        else:
            layers = [
                conv(stage.inputs, wide, stage.kernel, stage.stride),
                conv(wide, stage.outputs, kernel_size=1, activation_layer=None),
            ]
        super().__init__(stage, probability, layers)


class EfficientNet(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes); `last_channel` defaults to four times the last stage's."""

    def __init__(
        self,
        inverted_residual_setting: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Layer | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        stages = list(inverted_residual_setting)
        if not stages:
            raise ValueError("EfficientNet: inverted_residual_setting should not be empty")
        norm = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [conv(3, stages[0].inputs, stride=2)]
        total, built = sum(stage.blocks for stage in stages), 0
        for stage in stages:
            blocks = []
            for i in range(stage.blocks):
                part = stage if i == 0 else stage._replace(inputs=stage.outputs, stride=1)
                blocks.append(part.block(part, stochastic_depth_prob * built / total, norm))
                built += 1
            layers.append(nn.Sequential(*blocks))
        last = last_channel if last_channel is not None else 4 * stages[-1].outputs
        layers.append(conv(stages[-1].outputs, last, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(last, num_classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out")
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                bound = 1 / math.sqrt(m.out_features)
                nn.init.uniform_(m.weight, -bound, bound)
                nn.init.zeros_(m.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


# expansion, kernel, stride, channels in and out, blocks
_B0 = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
]
# width, depth, dropout
_GROWTH = {
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
}
# number of FusedMBConv stages, their rows and those of MBConv, dropout
_V2: dict[str, tuple[int, list[tuple[int, int, int, int, int, int]], float]] = {
    "v2_s": (
        3,
        [
            (1, 3, 1, 24, 24, 2),
            (4, 3, 2, 24, 48, 4),
            (4, 3, 2, 48, 64, 4),
            (4, 3, 2, 64, 128, 6),
            (6, 3, 1, 128, 160, 9),
            (6, 3, 2, 160, 256, 15),
        ],
        0.2,
    ),
    "v2_m": (
        3,
        [
            (1, 3, 1, 24, 24, 3),
            (4, 3, 2, 24, 48, 5),
            (4, 3, 2, 48, 80, 5),
            (4, 3, 2, 80, 160, 7),
            (6, 3, 1, 160, 176, 14),
            (6, 3, 2, 176, 304, 18),
            (6, 3, 1, 304, 512, 5),
        ],
        0.3,
    ),
    "v2_l": (
        3,
        [
            (1, 3, 1, 32, 32, 4),
            (4, 3, 2, 32, 64, 7),
            (4, 3, 2, 64, 96, 7),
            (4, 3, 2, 96, 192, 10),
            (6, 3, 1, 192, 224, 19),
            (6, 3, 2, 224, 384, 25),
            (6, 3, 1, 384, 640, 7),
        ],
        0.4,
    ),
}


class EfficientNet_B0_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b0_rwightman-7f5810bc",
        5_288_548,
        77.692,
        93.532,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B1_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b1_rwightman-bac287d4",
        7_794_184,
        78.642,
        94.186,
        240,
        interpolation=InterpolationMode.BICUBIC,
    )
    IMAGENET1K_V2 = imagenet("efficientnet_b1-c27df63c", 7_794_184, 79.838, 94.934, 240, 255)
    DEFAULT = IMAGENET1K_V2


class EfficientNet_B2_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b2_rwightman-c35c1473",
        9_109_994,
        80.608,
        95.31,
        288,
        288,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B3_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b3_rwightman-b3899882",
        12_233_232,
        82.008,
        96.054,
        300,
        320,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B4_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b4_rwightman-23ab8bcd",
        19_341_616,
        83.384,
        96.594,
        380,
        384,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B5_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b5_lukemelas-1a07897c",
        30_389_784,
        83.444,
        96.628,
        456,
        456,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B6_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b6_lukemelas-24a108a5",
        43_040_704,
        84.008,
        96.916,
        528,
        528,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B7_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_b7_lukemelas-c5b4e57e",
        66_347_960,
        84.122,
        96.908,
        600,
        600,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_L_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet(
        "efficientnet_v2_l-59c71312",
        118_515_272,
        85.808,
        97.788,
        480,
        480,
        interpolation=InterpolationMode.BICUBIC,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_M_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("efficientnet_v2_m-dc08266a", 54_139_356, 85.112, 97.156, 480, 480)
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_S_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("efficientnet_v2_s-dd5fe13b", 21_458_488, 84.228, 96.878, 384, 384)
    DEFAULT = IMAGENET1K_V1


def _efficientnet(size: str, weights: type[WeightsEnum]) -> Builder[EfficientNet]:
    def make(**kwargs: Any) -> EfficientNet:
        norm: Layer | None = None
        last: int | None = None
        if size in _V2:
            fused, rows, dropout = _V2[size]
            stages = [Stage(FusedMBConv if i < fused else MBConv, *row) for i, row in enumerate(rows)]
            norm, last = partial(nn.BatchNorm2d, eps=1e-3), 1280
        else:
            width, depth, dropout = _GROWTH[size]
            stages = [
                Stage(
                    MBConv,
                    e,
                    k,
                    s,
                    make_divisible(i * width, 8),
                    make_divisible(o * width, 8),
                    math.ceil(n * depth),
                )
                for e, k, s, i, o, n in _B0
            ]
            if size in ("b5", "b6", "b7"):
                norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        kwargs = {"norm_layer": norm, "last_channel": last, "dropout": dropout, **kwargs}
        return EfficientNet(stages, **kwargs)

    return builder(f"efficientnet_{size}", make, weights, f"EfficientNet {size.upper()}.")


efficientnet_b0 = _efficientnet("b0", EfficientNet_B0_Weights)
efficientnet_b1 = _efficientnet("b1", EfficientNet_B1_Weights)
efficientnet_b2 = _efficientnet("b2", EfficientNet_B2_Weights)
efficientnet_b3 = _efficientnet("b3", EfficientNet_B3_Weights)
efficientnet_b4 = _efficientnet("b4", EfficientNet_B4_Weights)
efficientnet_b5 = _efficientnet("b5", EfficientNet_B5_Weights)
efficientnet_b6 = _efficientnet("b6", EfficientNet_B6_Weights)
efficientnet_b7 = _efficientnet("b7", EfficientNet_B7_Weights)
efficientnet_v2_l = _efficientnet("v2_l", EfficientNet_V2_L_Weights)
efficientnet_v2_m = _efficientnet("v2_m", EfficientNet_V2_M_Weights)
efficientnet_v2_s = _efficientnet("v2_s", EfficientNet_V2_S_Weights)

__all__ = [
    "EfficientNet",
    "FusedMBConv",
    "MBConv",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]
