"""RMSprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor
from pynn._C import _optim, _optim_step

from .optimizer import (
    Optimizer,
    ParamsT,
    _check_lr,
    _check_modes,
    _check_nonnegative,
    _missing,
    _new_step,
    _steps_to_tensors,
)


class RMSprop(Optimizer):
    """RMSprop (Hinton, lecture 6 of "Neural Networks for Machine Learning"). Same as torch.optim.RMSprop.

    With gradient g (negated by `maximize`):

        g += weight_decay * p;  v = alpha * v + (1 - alpha) * g^2
        p -= lr * g / (sqrt(v) + eps)

    `centered` takes v - mean(g)^2 for v; `momentum` gathers the quotient in b = momentum * b + quotient.

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        lr: learning rate, a number or a tensor with one element.
        alpha: decay of the running mean of g^2.
        eps: added to the denominator.
        weight_decay: L2 penalty.
        momentum: factor of the buffer.
        centered: divide by the running standard deviation of g.
        foreach: accepted; it changes nothing.
        maximize: climb instead of descend.
        capturable, differentiable: only False.

    Raises:
        ValueError: a negative option.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_nonnegative("epsilon value", eps)
        _check_nonnegative("momentum value", momentum)
        _check_nonnegative("weight_decay value", weight_decay)
        _check_nonnegative("alpha value", alpha)
        _check_modes("RMSprop", foreach, differentiable, capturable=capturable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("momentum", 0)
            group.setdefault("centered", False)
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("capturable", False)
        _steps_to_tensors(self)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; return what `closure` returned."""
        loss = None
        if closure is not None:
            with pynn.enable_grad():
                loss = closure()
        for group in self.param_groups:
            momentum, centered = group["momentum"], group["centered"]
            keys = (
                "square_avg",
                "momentum_buffer" if momentum > 0 else None,
                "grad_avg" if centered else None,
                "step",
            )
            _optim_step(
                _optim.rmsprop_step,
                group["params"],
                self.state,
                keys,
                lambda p, state, keys=keys: _start(p, state, keys),
                group["lr"],
                group["alpha"],
                group["eps"],
                group["weight_decay"],
                momentum,
                group["maximize"],
            )
        return loss


def _start(p: Tensor, state: dict[str, Any], keys: tuple[str | None, ...]) -> dict[str, Any]:
    if state:
        raise _missing(p, state, "RMSprop", keys)
    return {"step": _new_step()} | {key: pynn.zeros_like(p) for key in keys[:-1] if key is not None}
