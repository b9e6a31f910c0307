"""ASGD."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor
from pynn._C import _optim

from ._fused import FusedOptimizer, check_options
from .optimizer import ParamsT, _new_step


class ASGD(FusedOptimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky 1992). Same as torch.optim.ASGD.

    With gradient g (negated by `maximize`), at step t:

        g += weight_decay * p;  p = p * (1 - lambd * eta) - eta * g;  a += mu * (p - a)
        eta = lr / (1 + lambd * lr * t)^alpha;  mu = 1 / max(1, t - t0)

    The averages a are `state[p]["ax"]`.

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        foreach: accepted; it changes nothing.
        capturable, differentiable: only False.

    Raises:
        ValueError: an option is out of range.
    """

    _op = _optim.asgd_step
    _keys = ("ax", "mu", "eta", "step")
    _numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_options("ASGD", lr, foreach, differentiable, capturable, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": _new_step(),
            "eta": _new_step(float(group["lr"])),
            "mu": _new_step(1.0),
            "ax": pynn.zeros_like(p),
        }

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        names = ("lr", "lambd", "alpha", "t0", "weight_decay", "maximize")
        return tuple(group[name] for name in names)
