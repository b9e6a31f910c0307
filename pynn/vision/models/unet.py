"""U-Net: down in steps, up again with what was seen on the way down. Ronneberger et al. 2015, arXiv:1505.04597."""

from __future__ import annotations

import pynn
from pynn import Tensor, nn

__all__ = ["UNet"]


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Images (N, in_channels, H, W) to scores of each pixel (N, num_classes, H, W).

    Padded convolutions and batch norm, so that the size stays; torchvision has no such model.

    Args:
        width: channels of the first level; each level below has twice as many.
        depth: levels below the first. H and W of any size from 2**depth up.
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 2, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        widths = [width << level for level in range(depth + 1)]
        self.inc = _double_conv(in_channels, width)
        self.down = nn.ModuleList(_double_conv(w, 2 * w) for w in widths[:-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(_double_conv(2 * w, w) for w in reversed(widths[:-1]))
        self.outc = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-2:]) < 1 << len(self.down):
            raise ValueError(
                f"UNet: images of {1 << len(self.down)} pixels or more required, got {tuple(x.shape[-2:])}"
            )
        x = self.inc(x)
        seen = []
        for down in self.down:
            seen.append(x)
            x = down(nn.functional.max_pool2d(x, 2))
        for up, merge in zip(self.up, self.merge, strict=True):
            x, beside = up(x), seen.pop()
            missing = [
                a - b for a, b in zip(beside.shape[-2:], x.shape[-2:], strict=True)
            ]  # 1 where a size was odd
            x = nn.functional.pad(x, (0, missing[1], 0, missing[0]), mode="replicate")
            x = merge(pynn.cat([beside, x], dim=1))
        return self.outc(x)  # type: ignore[no-any-return]
