"""DenseNet: each layer sees all layers before it in its block. Huang et al. 2016, arXiv:1608.06993."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

import pynn
from pynn import Tensor, nn
from pynn.nn import functional as F
from pynn.utils.checkpoint import checkpoint

from ._weights import Builder, WeightsEnum, builder, imagenet

__all__ = [
    "DenseNet",
    "DenseNet121_Weights",
    "DenseNet161_Weights",
    "DenseNet169_Weights",
    "DenseNet201_Weights",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
]


class _DenseLayer(nn.Module):
    def __init__(
        self, channels: int, growth: int, bn_size: int, drop_rate: float, memory_efficient: bool
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, bn_size * growth, kernel_size=1, stride=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth, growth, kernel_size=3, stride=1, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def bn_function(self, inputs: list[Tensor]) -> Tensor:
        return self.conv1(self.relu1(self.norm1(pynn.cat(inputs, 1))))  # type: ignore[no-any-return]

    def forward(self, input: Tensor | list[Tensor]) -> Tensor:
        before = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(x.requires_grad for x in before):
            narrow = checkpoint(lambda *x: self.bn_function(list(x)), *before, use_reentrant=False)
        else:
            narrow = self.bn_function(before)
        out: Tensor = self.conv2(self.relu2(self.norm2(narrow)))
        return F.dropout(out, p=self.drop_rate, training=self.training) if self.drop_rate > 0 else out


class _DenseBlock(nn.ModuleDict):
    def __init__(self, layers: int, channels: int, growth: int, *rest: Any) -> None:
        super().__init__()
        for i in range(layers):
            self.add_module(f"denselayer{i + 1}", _DenseLayer(channels + i * growth, growth, *rest))

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer in self.values():
            outputs.append(layer(outputs))
        return pynn.cat(outputs, 1)


def _transition(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(channels, out, kernel_size=1, stride=1, bias=False),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
        )
    )


class DenseNet(nn.Module):
    """Images (N, 3, H, W), H and W at least 29, to scores (N, num_classes).

    Args:
        growth_rate: channels that each layer adds
        block_config: layers in each block
        num_init_features: channels of the first convolution
        bn_size: width of a layer's 1x1 convolution, in growth rates
        memory_efficient: layers compute their 1x1 convolution again in the backward pass
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, ...] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        channels = num_init_features
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(channels),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )
        for i, layers in enumerate(block_config):
            block = _DenseBlock(layers, channels, growth_rate, bn_size, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{i + 1}", block)
            channels += layers * growth_rate
            if i != len(block_config) - 1:
                self.features.add_module(f"transition{i + 1}", _transition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            elif isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.features(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(out, (1, 1)).flatten(1))  # type: ignore[no-any-return]


class DenseNet121_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("densenet121-a639ec97", 7_978_856, 74.434, 91.972)
    DEFAULT = IMAGENET1K_V1


class DenseNet161_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("densenet161-8d451a50", 28_681_000, 77.138, 93.56)
    DEFAULT = IMAGENET1K_V1


class DenseNet169_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("densenet169-b2777c0a", 14_149_480, 75.6, 92.806)
    DEFAULT = IMAGENET1K_V1


class DenseNet201_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("densenet201-c1103571", 20_013_928, 76.896, 93.37)
    DEFAULT = IMAGENET1K_V1


def _without_dots(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Files that are older than the layers' names have norm.1 where the model has norm1."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)", r"\1", key): t for key, t in state.items()
    }


def _densenet(
    name: str, growth: int, blocks: tuple[int, ...], first: int, weights: type[WeightsEnum]
) -> Builder[DenseNet]:
    def make(**kwargs: Any) -> DenseNet:
        return DenseNet(growth, blocks, first, **kwargs)

    return builder(name, make, weights, f"A DenseNet of {blocks} layers.", renamed=_without_dots)


densenet121 = _densenet("densenet121", 32, (6, 12, 24, 16), 64, DenseNet121_Weights)
densenet161 = _densenet("densenet161", 48, (6, 12, 36, 24), 96, DenseNet161_Weights)
densenet169 = _densenet("densenet169", 32, (6, 12, 32, 32), 64, DenseNet169_Weights)
densenet201 = _densenet("densenet201", 32, (6, 12, 48, 32), 64, DenseNet201_Weights)
