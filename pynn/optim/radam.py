"""RAdam."""

from __future__ import annotations

from typing import Any

from pynn import Tensor
from pynn._C import _optim

from ._fused import FusedOptimizer, check_options
from .optimizer import ParamsT


class RAdam(FusedOptimizer):
    """Rectified Adam (Liu et al. 2019, arXiv:1908.03265). Same as torch.optim.RAdam.

    Adam whose division by the root of the mean square waits until that is known well enough, and then grows by a
    factor r. With gradient g (negated by `maximize`), at step t:

        g += weight_decay * p, or p *= 1 - lr * weight_decay if decoupled
        m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g^2;  n = 2 / (1 - beta2) - 1
        k = n - 2 t beta2^t / (1 - beta2^t);  r = sqrt((k - 4) (k - 2) n / ((n - 4) (n - 2) k))
        p -= lr / (1 - beta1^t) * m * (r * sqrt(1 - beta2^t) / (sqrt(v) + eps) if k > 5 else 1)

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        foreach: accepted; it changes nothing.
        capturable, differentiable: only False.

    Raises:
        ValueError: an option is out of range.
    """

    _op = _optim.radam_step
    _keys = ("exp_avg", "exp_avg_sq", "step")
    _old = {"decoupled_weight_decay": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options(
            "RAdam", lr, foreach, differentiable, capturable, betas, eps=eps, weight_decay=weight_decay
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        decoupled = bool(group["decoupled_weight_decay"])
        return (
            *(group["lr"], *group["betas"], group["eps"], group["weight_decay"]),
            *(decoupled, group["maximize"]),
        )
