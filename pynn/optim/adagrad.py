"""Adagrad."""

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

_KEYS = ("sum", "step")  # the entries of a parameter's state that the native step reads


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., https://jmlr.org/papers/v12/duchi11a.html). Same as torch.optim.Adagrad.

    With gradient g (negated by `maximize`), at step t:

        g += weight_decay * p;  s += g^2
        p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        lr: learning rate, a number or a tensor with one element.
        lr_decay: how fast the rate falls with t.
        weight_decay: L2 penalty.
        initial_accumulator_value: the value s begins with.
        eps: added to the denominator.
        foreach, fused: accepted; they change nothing.
        maximize: climb instead of descend.
        differentiable: only False.

    Raises:
        ValueError: a negative option.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_lr(lr)
        _check_nonnegative("lr_decay value", lr_decay)
        _check_nonnegative("weight_decay value", weight_decay)
        _check_nonnegative("initial_accumulator_value value", initial_accumulator_value)
        _check_nonnegative("epsilon value", eps)
        _check_modes("Adagrad", foreach, differentiable, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._start(p, {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
            group.setdefault("maximize", False)
            group.setdefault("differentiable", False)
            group.setdefault("fused", None)
        _steps_to_tensors(self)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; return what `closure` returned."""
        loss = None
        if closure is not None:
            with pynn.enable_grad():
                loss = closure()
        for group in self.param_groups:
            _optim_step(
                _optim.adagrad_step,
                group["params"],
                self.state,
                _KEYS,
                self._start,
                group["lr"],
                group["lr_decay"],
                group["eps"],
                group["weight_decay"],
                group["maximize"],
            )
        return loss

    def _start(self, p: Tensor, state: dict[str, Any]) -> dict[str, Any]:
        if state:
            raise _missing(p, state, "Adagrad", _KEYS)
        start = self.defaults["initial_accumulator_value"]
        return {"step": _new_step(), "sum": pynn.full_like(p, start)}
