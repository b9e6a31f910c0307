"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor
from pynn._C import _optim, _optim_step

from .optimizer import Optimizer, ParamsT, _check_lr, _check_modes, _check_nonnegative

# The entries of a parameter's state that the native step reads, in the order of its arguments.
_MOMENTUM = ("momentum_buffer",)
_PLAIN = (None,)


class SGD(Optimizer):
    """Stochastic gradient descent with optional momentum. Same as torch.optim.SGD.

    With gradient g (negated by `maximize`), weight decay w, momentum m, dampening d and rate lr, per step:

        g += w * p;  b = g at the first step, then m * b + (1 - d) * g;  p -= lr * b

    where `nesterov` takes g + m * b instead of b, and without momentum g stands for b.

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        lr: learning rate, a number or a tensor with one element.
        momentum: factor of the running direction b.
        dampening: how much of a new gradient is kept out of b.
        weight_decay: L2 penalty.
        nesterov: look ahead along b; needs momentum and no dampening.
        maximize: climb instead of descend.
        foreach, fused: accepted; a step is always one call per group.
        differentiable: only False.

    Raises:
        ValueError: a negative lr, momentum or weight decay, or nesterov without momentum.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_lr(lr)
        _check_nonnegative("momentum value", momentum)
        _check_nonnegative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        _check_modes("SGD", foreach, differentiable, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("nesterov", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("differentiable", False)
            group.setdefault("fused", False)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; return what `closure` returned."""
        loss = None
        if closure is not None:
            with pynn.enable_grad():
                loss = closure()
        for group in self.param_groups:
            _optim_step(
                _optim.sgd_step,
                group["params"],
                self.state,
                _MOMENTUM if group["momentum"] != 0 else _PLAIN,
                _start,
                group["lr"],
                group["momentum"],
                group["dampening"],
                group["weight_decay"],
                group["nesterov"],
                group["maximize"],
            )
        return loss


def _start(p: Tensor, state: dict[str, Any]) -> dict[str, Any]:
    return {"momentum_buffer": pynn.empty_like(p)}  # the first step fills it
