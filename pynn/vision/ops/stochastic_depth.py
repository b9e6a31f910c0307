"""Whole samples or batches dropped from a residual branch. Huang et al. 2016, arXiv:1603.09382."""

from __future__ import annotations

import pynn
from pynn import Tensor, nn

__all__ = ["StochasticDepth", "stochastic_depth"]


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """input * b / (1 - p), b from Bernoulli(1 - p): one for all (mode "batch") or one for each sample (mode "row").

    Raises:
        ValueError: p is not in [0, 1], or the mode is another.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"stochastic_depth: p in [0, 1] is required, got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode batch or row is required, got {mode}")
    if not training or p == 0.0:
        return input
    keep = 1.0 - p
    size = [input.shape[0] if mode == "row" else 1, *[1] * (input.dim() - 1)]
    noise = pynn.empty(size, dtype=input.dtype, device=input.device).bernoulli_(keep)
    return input * (noise.div_(keep) if keep > 0.0 else noise)


class StochasticDepth(nn.Module):
    """See stochastic_depth."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
