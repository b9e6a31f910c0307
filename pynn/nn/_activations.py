"""Activations that shrink or draw, in-place names, and gumbel_softmax, for functional.py."""

from __future__ import annotations

import pynn
from pynn import _C, Tensor

_nn = _C._nn


hardshrink = _nn.hardshrink
softshrink = _nn.softshrink


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Return x where x > 0, a x elsewhere: a is drawn between the bounds in training, else their mean."""
    if lower > upper:
        raise RuntimeError(
            f"rrelu: lower bound should be less than or equal to the upper bound, got {lower} > {upper}"
        )
    if not training:
        slope = (lower + upper) / 2
        return _nn.leaky_relu_(input, slope) if inplace else _nn.leaky_relu(input, slope)
    with pynn.no_grad():
        below = input <= 0
        drawn = pynn.empty(int(below.sum()), dtype=pynn.float64, device=input.device)
        drawn.uniform_(lower, upper)  # as PyTorch draws
        slopes = pynn.ones(input.shape, dtype=input.dtype, device=input.device)
        slopes[below] = drawn.to(input.dtype)
    return input.mul_(slopes) if inplace else input * slopes


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """Rrelu in place."""
    return rrelu(input, lower, upper, training, True)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Return softmax((x + noise) / tau) with noise of the Gumbel distribution. Jang et al. 2016, arXiv:1611.01144.

    Args:
        tau: temperature.
        hard: one-hot vectors instead, with the gradient of the soft ones.
        eps: unused, as in PyTorch.
    """
    if eps != 1e-10:
        import warnings

        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -pynn.empty_like(logits).exponential_().log()
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = pynn.zeros_like(logits).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
