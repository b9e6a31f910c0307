"""Local response normalisation as the first Torch had it."""

from __future__ import annotations

import pynn
from pynn import Tensor

from .module import Module

__all__ = ["CrossMapLRN2d"]


class CrossMapLRN2d(Module):
    """x / (k + alpha / size * sum of x^2 over neighbouring channels) ^ beta. Same as torch.nn.CrossMapLRN2d.

    The neighbours reach (size - 1) // 2 channels to either side, and channel 0 counts everywhere, as it does in PyTorch.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        channel = pynn.arange(input.size(1), device=input.device)
        reach = int((self.size - 1) / 2 + 1)
        counts = ((channel[:, None] - channel).abs() < reach) | (channel == 0)
        sums = (counts.to(input.dtype) @ input.square().flatten(2)).view_as(input)
        return input * (self.k + self.alpha / self.size * sums).pow(-self.beta)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
