"""RMSprop."""

from __future__ import annotations

from collections.abc import Callable

import pynn
from pynn import Tensor

from .optimizer import (
    Optimizer,
    ParamsT,
    _check_lr,
    _check_modes,
    _check_nonnegative,
    _new_step,
    _steps_to_tensors,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
        with pynn.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        _update(p, p.grad, self.state[p], group)
        return loss


def _update(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    lr, alpha, momentum = float(group["lr"]), group["alpha"], group["momentum"]
    if not state:
        state["step"] = _new_step()
        state["square_avg"] = pynn.zeros_like(p)
        if momentum > 0:
            state["momentum_buffer"] = pynn.zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = pynn.zeros_like(p)
    state["step"].add_(1)
    if group["maximize"]:
        grad = -grad
    if group["weight_decay"] != 0:
        grad = grad.add(p, alpha=group["weight_decay"])

    square_avg = state["square_avg"]
    square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
    if group["centered"]:
        mean = state["grad_avg"].lerp_(grad, 1 - alpha)
        square_avg = square_avg.addcmul(mean, mean, value=-1)
    denom = square_avg.sqrt().add_(group["eps"])
    if momentum > 0:
        p.add_(state["momentum_buffer"].mul_(momentum).addcdiv_(grad, denom), alpha=-lr)
    else:
        p.addcdiv_(grad, denom, value=-lr)
