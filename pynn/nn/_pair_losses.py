"""Losses of margins, pairs and distributions, for functional.py, composed of tensor functions."""

from __future__ import annotations

import math

import pynn
from pynn import _C, Tensor

from ._distance import pairwise_distance
from ._reduction import legacy_get_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_nn = _C._nn


def reduced(loss: Tensor, reduction: str, op: str) -> Tensor:
    """The mean, the sum or all of a loss."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    check_reduction(op, reduction)
    return loss


def check_reduction(op: str, reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{op}: {reduction} is not a valid value for reduction")


def _reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    if size_average is None and reduce is None:
        return reduction
    return legacy_get_string(size_average, reduce, stacklevel=4)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, margin - t (x1 - x2)): t = 1 wants x1 larger, t = -1 x2."""
    reduction = _reduction(size_average, reduce, reduction)
    if input1.dim() != input2.dim() or input1.dim() != target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction, "margin_ranking_loss")


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return x where t = 1, max(0, margin - x) where t = -1."""
    reduction = _reduction(size_average, reduce, reduction)
    far = pynn.where(target == 1, 0.0, (margin - input).clamp(min=0))
    near = pynn.where(target == -1, 0.0, input)
    return reduced(far + near, reduction, "hinge_embedding_loss")


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return log(1 + exp(-t x)), without overflow."""
    reduction = _reduction(size_average, reduce, reduction)
    return reduced(_nn.softplus(-target * input, 1.0, 80.0), reduction, "soft_margin_loss")


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return 1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1."""
    reduction = _reduction(size_average, reduce, reduction)
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    dims = target.dim() + 1
    if input1.dim() != dims or input2.dim() != dims:
        raise RuntimeError(
            f"{dims - 1}D target tensor expects {dims}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    eps = 1e-12
    norms = ((input1 * input1).sum(-1) + eps) * ((input2 * input2).sum(-1) + eps)
    cos = (input1 * input2).sum(-1) / norms.sqrt()
    loss = pynn.where(target == 1, 1 - cos, 0.0) + pynn.where(target == -1, (cos - margin).clamp(min=0), 0.0)
    return reduced(loss, reduction, "cosine_embedding_loss")


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
            f"got: anchor {anchor.dim()}D, positive {positive.dim()}D, and negative {negative.dim()}D inputs"
        )


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, |a - p| - |a - n| + margin); `swap` takes |p - n| for |a - n| where it is smaller."""
    reduction = _reduction(size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, d(a, p) - d(a, n) + margin) for any distance d."""
    _check_triplet(anchor, positive, negative, margin)
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = pynn.minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), reduction, "triplet_margin_loss")


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the sum over classes j != t of w[t] max(0, margin - x[t] + x[j])^p, divided by the number of classes."""
    reduction = _reduction(size_average, reduce, reduction)
    return _nn.multi_margin_loss(input, target, p, margin, weight, reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the sum of max(0, 1 - (x[t] - x[j])) over targets t and other classes j, by the number of classes.

    A row of targets ends at its first negative number.
    """
    reduction = _reduction(size_average, reduce, reduction)
    return _nn.multilabel_margin_loss(input, target, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the mean over classes of -(t log s(x) + (1 - t) log s(-x)), s the sigmoid."""
    reduction = _reduction(size_average, reduce, reduction)
    loss = target * _nn.softplus(-input, 1.0, 80.0) + (1 - target) * _nn.softplus(input, 1.0, 80.0)
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / input.size(-1), reduction, "multilabel_soft_margin_loss")


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-likelihood of Poisson counts t, up to a constant.

    Args:
        log_input: x is the logarithm of the rate; False: the rate itself, to whose logarithm's argument `eps` is added.
        full: add Stirling's approximation of log(t!).
    """
    reduction = _reduction(size_average, reduce, reduction)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced(loss, reduction, "poisson_nll_loss")


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Return (log(var) + (x - t)^2 / var) / 2, the negative log-likelihood of a normal distribution.

    Args:
        var: the variance, a number or a tensor: one for each element, or one for each row.
        full: add the constant log(2 pi) / 2.
        eps: variances below it count as it.
    """
    if isinstance(var, (int, float)):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * pynn.ones_like(input)
    elif bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif input.dim() != var.dim() or [
            n for m, n in zip(input.shape, var.shape, strict=True) if m != n
        ] != [1]:
            raise ValueError(
                "gaussian_nll_loss: var is of incorrect size, "
                f"got {tuple(var.shape)} for input {tuple(input.shape)}"
            )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    bounded = var.clone()
    with pynn.no_grad():
        bounded.clamp_(min=eps)
    loss = 0.5 * (bounded.log() + (input - target) ** 2 / bounded)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction, "gaussian_nll_loss")


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Return the negative log-likelihood of label sequences without alignment. Graves et al. 2006.

    Args:
        log_probs: (steps, batch, classes), logarithms of probabilities; or without batch.
        targets: (batch, longest) labels, or all behind each other in one dim.
        blank: the class that stands for no label.
        reduction: "mean" divides each loss by the length of its target first.
        zero_infinity: targets that do not fit count 0 instead of infinity.
    """

    def lengths(given: Any) -> Tensor:
        return pynn.as_tensor(given, dtype=pynn.int64).reshape(-1)

    batched = log_probs.dim() == 3
    if not batched:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.reshape(1, -1)
    counts = lengths(target_lengths)
    loss = _nn.ctc_loss(log_probs, targets, lengths(input_lengths), counts, blank, zero_infinity)
    if reduction == "mean":
        return (loss / counts.clamp(min=1).to(loss.device, loss.dtype)).mean()
    loss = reduced(loss, reduction, "ctc_loss")
    return loss if batched or reduction == "sum" else loss.squeeze(0)
