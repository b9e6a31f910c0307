"""Dropout that keeps mean and variance, for functional.py. Klambauer et al. 2017, arXiv:1706.02515."""

from __future__ import annotations

from pynn import Tensor

# What selu tends to for very negative input: -scale * alpha.
_LOW = -1.7580993408473766


def _alpha_dropout(name: str, input: Tensor, p: float, training: bool, inplace: bool, lead: int) -> Tensor:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or input.numel() == 0:
        return input
    if not input.is_floating_point():
        raise RuntimeError(f"{name}: floating-point input is required, got {input.dtype}")
    if p == 1:
        return input.mul_(0) if inplace else input * 0
    keep = input.new_empty((*input.shape[:lead], *[1] * (input.dim() - lead))).bernoulli_(1 - p)
    # a x + b has mean 0 and variance 1 again, where x has them and holds _LOW instead with probability p.
    a = ((1 - p) * (1 + p * _LOW * _LOW)) ** -0.5
    b = -a * _LOW * p
    shift = (1 - keep) * (a * _LOW) + b
    scale = keep * a
    return input.mul_(scale).add_(shift) if inplace else input * scale + shift


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Set each element with probability `p` to selu's lower limit, then restore mean 0 and variance 1."""
    return _alpha_dropout("alpha_dropout", input, p, training, inplace, input.dim())


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Do what alpha_dropout does to whole channels of (N, C, ...)."""
    if input.dim() < 2 and training and 0 < p <= 1:
        raise RuntimeError(f"feature_alpha_dropout: input must have at least 2 dimensions, got {input.dim()}")
    return _alpha_dropout("feature_alpha_dropout", input, p, training, inplace, 2)
