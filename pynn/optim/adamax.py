"""Adamax."""

from __future__ import annotations

from typing import Any

from pynn import Tensor
from pynn._C import _optim

from ._fused import FusedOptimizer, check_options
from .optimizer import ParamsT


class Adamax(FusedOptimizer):
    """Adam with the largest gradient in place of the mean square (Kingma and Ba 2014, arXiv:1412.6980).

    Same as torch.optim.Adamax. With gradient g (negated by `maximize`), at step t:

        g += weight_decay * p;  m += (1 - beta1) * (g - m);  u = max(beta2 * u, |g| + eps)
        p -= lr / (1 - beta1^t) * m / u

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        foreach: accepted; it changes nothing.
        capturable, differentiable: only False.

    Raises:
        ValueError: an option is out of range.
    """

    _op = _optim.adamax_step
    _keys = ("exp_avg", "exp_inf", "step")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_options(
            "Adamax", lr, foreach, differentiable, capturable, betas, eps=eps, weight_decay=weight_decay
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"], group["maximize"]
