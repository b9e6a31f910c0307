"""Cross entropy of logits that a linear map gives, for functional.py: all at once, or in pieces of the batch."""

from __future__ import annotations

import math

import pynn
from pynn import Tensor

from ._losses import cross_entropy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """Return cross_entropy(linear(input, linear_weight, linear_bias), target, ...).

    Args:
        linear_weight: (classes, ..., in_features); the dims between are those of a K-dimensional loss.
        options: a LinearCrossEntropyOptions: logits are made for a piece of the batch at a time, and again in backward,
            so that they never lie in memory all at once. For class indices with reduction "mean" or "sum".
    """
    if input.shape[-1:] != linear_weight.shape[-1:]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.size(-1)} and {linear_weight.size(-1)}, respectively"
        )
    if linear_weight.dim() > 2 and input.dim() != 2:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {input.size(-1)}), got unbatched input with shape {tuple(input.shape)}"
        )
    if target.is_floating_point() and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    bias = None if linear_bias is None else linear_bias.flatten()
    matrix = linear_weight.flatten(0, -2)

    def loss_of(x: Tensor, t: Tensor, how: str) -> Tensor:
        logits = pynn.nn.functional.linear(x, matrix, bias)
        if linear_weight.dim() > 2:
            logits = logits.unflatten(-1, linear_weight.shape[:-1])
        return cross_entropy(
            logits, t, weight, ignore_index=ignored, reduction=how, label_smoothing=label_smoothing
        )

    whole = target.is_floating_point() or reduction == "none" or input.dim() != 2 or not len(input)
    if options is None or whole:
        return loss_of(input, target, reduction)

    from pynn.utils.checkpoint import checkpoint

    rows = options._rows(len(input), input.size(-1), math.prod(linear_weight.shape[:-1]))
    pieces = zip(input.split(rows), target.split(rows), strict=True)
    parts = [checkpoint(loss_of, x, t, "sum", use_reentrant=False) for x, t in pieces]
    total = pynn.stack(parts).sum()
    if reduction == "sum":
        return total
    counted = target != ignored
    if weight is None:
        return total / counted.sum()
    return total / (weight[target.clamp(min=0)] * counted).sum()
