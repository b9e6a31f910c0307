"""A linear layer and the cross entropy of its logits in one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pynn import Tensor

from .. import functional as F
from .linear import Linear
from .loss import _WeightedLoss

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


@dataclass
class LinearCrossEntropyOptions:
    """Logits in pieces of the batch. Same as torch.nn.LinearCrossEntropyOptions.

    Args:
        batch_chunk_size: rows of a piece; None leaves it to `chunking_method`.
        chunking_method: "aspect_ratio:r" gives the logits of a piece r times the size of the input; "auto" is r = 2.
        allow_retain_graph, acc_policy, acc_dtype: without effect: a second backward pass always works, and sums are
            those of the losses.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: object = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        self._ratio()

    def _ratio(self) -> float:
        name, _, ratio = (self.chunking_method or "auto").partition(":")
        try:
            if name == "auto" and not ratio:
                return 2.0
            if name == "aspect_ratio" and float(ratio) > 0:
                return float(ratio)
        except ValueError:
            pass
        raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")

    def _rows(self, batch: int, features: int, classes: int) -> int:
        if self.batch_chunk_size is not None:
            return max(1, self.batch_chunk_size)
        return max(1, min(batch, int(self._ratio() * batch * features / max(1, classes))))


class LinearCrossEntropyLoss(_WeightedLoss):
    """CrossEntropyLoss of a Linear layer that it holds. Same as torch.nn.LinearCrossEntropyLoss.

    Args:
        out_features: the dims of a K-dimensional loss, which targets (N, *out_features) have.
        options: a LinearCrossEntropyOptions, to spare memory.
    """

    __constants__ = ["ignore_index", "reduction", "label_smoothing"]

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        self.linear = Linear(in_features, num_classes * math.prod(out_features), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, -1),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )
