"""Adadelta."""

from __future__ import annotations

from typing import Any

from pynn import Tensor
from pynn._C import _optim

from ._fused import FusedOptimizer, check_options
from .optimizer import ParamsT


class Adadelta(FusedOptimizer):
    """Adadelta (Zeiler 2012, arXiv:1212.5701). Same as torch.optim.Adadelta.

    With gradient g (negated by `maximize`):

        g += weight_decay * p;  v = rho * v + (1 - rho) * g^2
        d = sqrt(a + eps) / sqrt(v + eps) * g;  a = rho * a + (1 - rho) * d^2
        p -= lr * d

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        foreach: accepted; it changes nothing.
        capturable, differentiable: only False.

    Raises:
        ValueError: an option is out of range.
    """

    _op = _optim.adadelta_step
    _keys = ("square_avg", "acc_delta", "step")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_options("Adadelta", lr, foreach, differentiable, capturable, eps=eps, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return group["lr"], group["rho"], group["eps"], group["weight_decay"], group["maximize"]
