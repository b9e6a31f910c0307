"""NAdam."""

from __future__ import annotations

from typing import Any

from pynn import Tensor
from pynn._C import _optim

from ._fused import FusedOptimizer, check_options
from .optimizer import ParamsT, _new_step


class NAdam(FusedOptimizer):
    """Adam with Nesterov momentum (Dozat 2016). Same as torch.optim.NAdam.

    With gradient g (negated by `maximize`), at step t:

        g += weight_decay * p, or p *= 1 - lr * weight_decay if decoupled
        mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2);  P = mu_1 * ... * mu_t
        m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g^2;  s = sqrt(v / (1 - beta2^t)) + eps
        p -= lr * (1 - mu_t) / (1 - P) * g / s + lr * mu_(t+1) / (1 - P * mu_(t+1)) * m / s

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        foreach: accepted; it changes nothing.
        capturable, differentiable: only False.

    Raises:
        ValueError: an option is out of range.
    """

    _op = _optim.nadam_step
    _keys = ("exp_avg", "exp_avg_sq", "mu_product", "step")
    _old = {"decoupled_weight_decay": False}
    _numbers = ("step", "mu_product")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(
            "NAdam",
            lr,
            foreach,
            differentiable,
            capturable,
            betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = super()._fresh(p, group)
        return (
            {"step": state.pop("step")}
            | {"mu_product": _new_step(1.0)}
            | {key: state[key] for key in ("exp_avg", "exp_avg_sq")}
        )

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        mode = 2 * bool(group["decoupled_weight_decay"]) + 4 * bool(group["maximize"])
        return (
            group["lr"],
            *group["betas"],
            group["eps"],
            group["weight_decay"],
            group["momentum_decay"],
            mode,
        )
