"""ViT: a Transformer over patches of the picture. Dosovitskiy et al. 2020, arXiv:2010.11929."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import pynn
from pynn import Tensor, nn
from pynn.vision.ops.misc import MLP

from ._weights import Builder, InterpolationMode, WeightsEnum, builder, imagenet

__all__ = [
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "VisionTransformer",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
]

Layer = Callable[..., nn.Module]


class MLPBlock(MLP):
    """Wider, GELU, and back; weights uniform by Glorot and Bengio, biases near 0."""

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float) -> None:
        super().__init__(in_dim, [mlp_dim, in_dim], activation_layer=nn.GELU, dropout=dropout)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.normal_(m.bias, std=1e-6)  # type: ignore[arg-type]


class EncoderBlock(nn.Module):
    """Attention and MLP, each after a norm and beside the identity: (N, L, D) to the same."""

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Layer,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = nn.MultiheadAttention(
            hidden_dim, num_heads, dropout=attention_dropout, batch_first=True
        )
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Adds a learnt embedding of each place, then the blocks and a norm."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Layer,
    ) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(pynn.empty(1, seq_length, hidden_dim).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        block = partial(EncoderBlock, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer)
        self.layers = nn.Sequential(OrderedDict((f"encoder_layer_{i}", block()) for i in range(num_layers)))
        self.ln = norm_layer(hidden_dim)

    def forward(self, input: Tensor) -> Tensor:
        return self.ln(self.layers(self.dropout(input + self.pos_embedding)))  # type: ignore[no-any-return]


class VisionTransformer(nn.Module):
    """Images (N, 3, image_size, image_size) to scores (N, num_classes)."""

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(
                f"VisionTransformer: image_size should be a multiple of patch_size, got {image_size} and {patch_size}"
            )
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.mlp_dim, self.dropout, self.attention_dropout = mlp_dim, dropout, attention_dropout
        self.num_classes, self.representation_size, self.norm_layer = num_classes, representation_size, norm
        self.conv_proj = nn.Conv2d(3, hidden_dim, kernel_size=patch_size, stride=patch_size)
        self.seq_length = (image_size // patch_size) ** 2 + 1  # the class token is the first
        self.class_token = nn.Parameter(pynn.zeros(1, 1, hidden_dim))
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm
        )
        heads: OrderedDict[str, nn.Module] = OrderedDict()
        if representation_size is not None:
            heads["pre_logits"] = nn.Linear(hidden_dim, representation_size)
            heads["act"] = nn.Tanh()
        heads["head"] = nn.Linear(representation_size or hidden_dim, num_classes)
        self.heads = nn.Sequential(heads)

        nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / (3 * patch_size**2)))
        nn.init.zeros_(self.conv_proj.bias)  # type: ignore[arg-type]
        if representation_size is not None:
            nn.init.trunc_normal_(heads["pre_logits"].weight, std=math.sqrt(1 / hidden_dim))  # type: ignore[arg-type]
            nn.init.zeros_(heads["pre_logits"].bias)  # type: ignore[arg-type]
        nn.init.zeros_(heads["head"].weight)  # type: ignore[arg-type]
        nn.init.zeros_(heads["head"].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        if h != self.image_size or w != self.image_size:
            raise ValueError(
                f"VisionTransformer: images of {self.image_size}x{self.image_size} required, got {h}x{w}"
            )
        x = self.conv_proj(x).flatten(2).transpose(1, 2)  # (N, patches, hidden_dim)
        x = pynn.cat([self.class_token.expand(n, -1, -1), x], dim=1)
        return self.heads(self.encoder(x)[:, 0])  # type: ignore[no-any-return]


class ViT_B_16_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vit_b_16-c867db91", 86_567_656, 81.072, 95.318)
    IMAGENET1K_SWAG_E2E_V1 = imagenet(
        "vit_b_16_swag-9ac1b537", 86_859_496, 85.304, 97.65, 384, 384, interpolation=InterpolationMode.BICUBIC
    )
    IMAGENET1K_SWAG_LINEAR_V1 = imagenet(
        "vit_b_16_lc_swag-4e70ced5",
        86_567_656,
        81.886,
        96.18,
        224,
        224,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class ViT_B_32_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vit_b_32-d86f8d99", 88_224_232, 75.912, 92.466)
    DEFAULT = IMAGENET1K_V1


class ViT_H_14_Weights(WeightsEnum):
    IMAGENET1K_SWAG_E2E_V1 = imagenet(
        "vit_h_14_swag-80465313",
        633_470_440,
        88.552,
        98.694,
        518,
        518,
        interpolation=InterpolationMode.BICUBIC,
    )
    IMAGENET1K_SWAG_LINEAR_V1 = imagenet(
        "vit_h_14_lc_swag-c1eb923e",
        632_045_800,
        85.708,
        97.73,
        224,
        224,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_SWAG_E2E_V1


class ViT_L_16_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vit_l_16-852ce7e3", 304_326_632, 79.662, 94.638, 224, 242)
    IMAGENET1K_SWAG_E2E_V1 = imagenet(
        "vit_l_16_swag-4f3808c9",
        305_174_504,
        88.064,
        98.512,
        512,
        512,
        interpolation=InterpolationMode.BICUBIC,
    )
    IMAGENET1K_SWAG_LINEAR_V1 = imagenet(
        "vit_l_16_lc_swag-4d563306",
        304_326_632,
        85.146,
        97.422,
        224,
        224,
        interpolation=InterpolationMode.BICUBIC,
    )
    DEFAULT = IMAGENET1K_V1


class ViT_L_32_Weights(WeightsEnum):
    IMAGENET1K_V1 = imagenet("vit_l_32-c7638314", 306_535_400, 76.972, 93.07)
    DEFAULT = IMAGENET1K_V1


def _vit(
    letter: str, patch: int, layers: int, heads: int, width: int, weights: type[WeightsEnum]
) -> Builder[VisionTransformer]:
    def make(image_size: int = 224, **kwargs: Any) -> VisionTransformer:
        return VisionTransformer(image_size, patch, layers, heads, width, 4 * width, **kwargs)

    doc = f"ViT-{letter.upper()} on patches of {patch}x{patch}."
    return builder(f"vit_{letter}_{patch}", make, weights, doc, sized=True)


vit_b_16 = _vit("b", 16, 12, 12, 768, ViT_B_16_Weights)
vit_b_32 = _vit("b", 32, 12, 12, 768, ViT_B_32_Weights)
vit_l_16 = _vit("l", 16, 24, 16, 1024, ViT_L_16_Weights)
vit_l_32 = _vit("l", 32, 24, 16, 1024, ViT_L_32_Weights)
vit_h_14 = _vit("h", 14, 32, 16, 1280, ViT_H_14_Weights)
