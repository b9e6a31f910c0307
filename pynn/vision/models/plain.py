"""Chains of convolutions: LeNet, LeCun et al. 1998; AlexNet, arXiv:1404.5997; VGG, arXiv:1409.1556; SqueezeNet, arXiv:1602.07360."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pynn
from pynn import Tensor, nn

from ._common import init_weights
from ._weights import Builder, WeightsEnum, builder, imagenet

__all__ = [
    "AlexNet",
    "AlexNet_Weights",
    "LeNet",
    "SqueezeNet",
    "SqueezeNet1_0_Weights",
    "SqueezeNet1_1_Weights",
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "alexnet",
    "squeezenet1_0",
    "squeezenet1_1",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]


class LeNet(nn.Module):
    """Pictures (N, 1, 28, 28) to scores (N, num_classes): LeNet-5 with ReLU and max pooling. torchvision has no such model."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(pynn.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(pynn.relu(self.conv2(x)), 2)
        x = pynn.relu(self.fc1(x.flatten(1)))
        return self.fc3(pynn.relu(self.fc2(x)))  # type: ignore[no-any-return]


class AlexNet(nn.Module):
    """Images (N, 3, H, W), H and W at least 63, to scores (N, num_classes)."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


class VGG(nn.Module):
    """Images (N, 3, H, W), H and W at least 32, to scores (N, num_classes)."""

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            _init_weights(self, linear_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


_init_weights = init_weights  # also the name of an argument above

# Channels of the 3x3 convolutions; 0 halves the image.
_VGG = {
    11: [64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
    13: [64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0],
    16: [64, 64, 0, 128, 128, 0, *[256] * 3, 0, *[512] * 3, 0, *[512] * 3, 0],
    19: [64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0],
}


def make_layers(channels: Sequence[int | str], batch_norm: bool = False) -> nn.Sequential:
    """Convolutions of so many channels each, and "M" for pooling. Same as torchvision.models.vgg.make_layers."""
    layers: list[nn.Module] = []
    before = 3
    for after in channels:
        if after in (0, "M"):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        after = int(after)
        layers.append(nn.Conv2d(before, after, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU(inplace=True))
        before = after
    return nn.Sequential(*layers)


class VGG11_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg11-8a719046", 132_863_336, 69.02, 88.628)
    DEFAULT = IMAGENET1K_V1


class VGG11_BN_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg11_bn-6002323d", 132_868_840, 70.37, 89.81)
    DEFAULT = IMAGENET1K_V1


class VGG13_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg13-19584684", 133_047_848, 69.928, 89.246)
    DEFAULT = IMAGENET1K_V1


class VGG13_BN_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg13_bn-abd245e5", 133_053_736, 71.586, 90.374)
    DEFAULT = IMAGENET1K_V1


class VGG16_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg16-397923af", 138_357_544, 71.592, 90.382)
    IMAGENET1K_FEATURES = imagenet(
        "vgg16_features-amdegroot-88682ab5",
        138_357_544,
        float("nan"),
        float("nan"),
        mean=(0.48235, 0.45882, 0.40784),
        std=(0.00392156862745098, 0.00392156862745098, 0.00392156862745098),
        classifies=False,
    )
    DEFAULT = IMAGENET1K_V1


class VGG16_BN_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg16_bn-6c64b313", 138_365_992, 73.36, 91.516)
    DEFAULT = IMAGENET1K_V1


class VGG19_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg19-dcbb9e9d", 143_667_240, 72.376, 90.876)
    DEFAULT = IMAGENET1K_V1


class VGG19_BN_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vgg19_bn-c79401a0", 143_678_248, 74.218, 91.842)
    DEFAULT = IMAGENET1K_V1


def _vgg(depth: int, batch_norm: bool, weights: type[WeightsEnum]) -> Builder[VGG]:
    def make(**kwargs: Any) -> VGG:
        return VGG(make_layers(_VGG[depth], batch_norm), **kwargs)

    name = f"vgg{depth}" + "_bn" * batch_norm
    return builder(name, make, weights, f"VGG of {depth} layers{' with batch norm' * batch_norm}.")


vgg11 = _vgg(11, False, VGG11_Weights)
vgg11_bn = _vgg(11, True, VGG11_BN_Weights)
vgg13 = _vgg(13, False, VGG13_Weights)
vgg13_bn = _vgg(13, True, VGG13_BN_Weights)
vgg16 = _vgg(16, False, VGG16_Weights)
vgg16_bn = _vgg(16, True, VGG16_BN_Weights)
vgg19 = _vgg(19, False, VGG19_Weights)
vgg19_bn = _vgg(19, True, VGG19_BN_Weights)


class AlexNet_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("alexnet-owt-7be5be79", 61_100_840, 56.522, 79.066)
    DEFAULT = IMAGENET1K_V1


alexnet = builder("alexnet", AlexNet, AlexNet_Weights, "AlexNet.")


class Fire(nn.Module):
    """A 1x1 convolution that narrows, then 1x1 and 3x3 ones side by side."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        return pynn.cat([narrow, self.expand3x3_activation(self.expand3x3(x))], 1)


# First convolution as (channels, kernel); Fire modules as (in, squeeze, expand of each); None halves the image.
_SQUEEZE: dict[str, tuple[tuple[int, int], list[tuple[int, int, int] | None]]] = {
    "1_0": (
        (96, 7),
        [
            (96, 16, 64),
            (128, 16, 64),
            (128, 32, 128),
            None,
            (256, 32, 128),
            (256, 48, 192),
            (384, 48, 192),
            (384, 64, 256),
            None,
            (512, 64, 256),
        ],
    ),
    "1_1": (
        (64, 3),
        [
            (64, 16, 64),
            (128, 16, 64),
            None,
            (128, 32, 128),
            (256, 32, 128),
            None,
            (256, 48, 192),
            (384, 48, 192),
            (384, 64, 256),
            (512, 64, 256),
        ],
    ),
}


class SqueezeNet(nn.Module):
    """Images (N, 3, H, W) to scores (N, num_classes); version "1_0" or "1_1"."""

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _SQUEEZE:
            raise ValueError(f"SqueezeNet: version 1_0 or 1_1 is required, got {version}")
        self.num_classes = num_classes
        (width, kernel), fires = _SQUEEZE[version]
        layers: list[nn.Module] = [nn.Conv2d(3, width, kernel, stride=2), nn.ReLU(inplace=True)]
        for fire in [None, *fires]:
            if fire is None:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            else:
                layers.append(Fire(*fire, fire[-1]))
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                if m is last:
                    nn.init.normal_(m.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(m.weight)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)  # type: ignore[no-any-return]


class SqueezeNet1_0_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("squeezenet1_0-b66bff10", 1_248_424, 58.092, 80.42)
    DEFAULT = IMAGENET1K_V1


class SqueezeNet1_1_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("squeezenet1_1-b8a52dc0", 1_235_496, 58.178, 80.624)
    DEFAULT = IMAGENET1K_V1


squeezenet1_0, squeezenet1_1 = (
    builder(f"squeezenet{version}", partial(SqueezeNet, version), weights, f"SqueezeNet {version}.")
    for version, weights in (("1_0", SqueezeNet1_0_Weights), ("1_1", SqueezeNet1_1_Weights))
)
