"""What the optimisers with one fused step for all parameters of a group share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor
from pynn._C import _optim_step

from .optimizer import Optimizer, _check_lr, _check_modes, _check_nonnegative, _missing, _new_step


class FusedOptimizer(Optimizer):
    """Base of optimisers that name their op, the states it reads, and its options."""

    _op: Any
    _keys: tuple[str, ...]  # entries of a parameter's state that the op reads, "step" last
    _old: dict[str, Any] = {}  # options that groups of old checkpoints lack
    _numbers: tuple[str, ...] = ("step",)  # states that are 0-d tensors, numbers in old checkpoints

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        """Return what follows the lists in the op's arguments."""
        raise NotImplementedError

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """Return the first state of a parameter."""
        return {
            key: _new_step() if key == "step" else pynn.zeros_like(p) for key in ("step", *self._keys[:-1])
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        common = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
        for group in self.param_groups:
            for name, value in {**common, **self._old}.items():
                group.setdefault(name, value)
            for p in group["params"]:
                values = self.state.get(p)
                for key in self._numbers if values else ():
                    number = values[key]  # type: ignore[index]
                    number = number if isinstance(number, Tensor) else _new_step(float(number))
                    values[key] = number.cpu()  # type: ignore[index]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; return what `closure` returned."""
        loss = None
        if closure is not None:
            with pynn.enable_grad():
                loss = closure()
        for group in self.param_groups:

            def start(p: Tensor, state: dict[str, Any], group: dict[str, Any] = group) -> dict[str, Any]:
                if state:
                    raise _missing(p, state, type(self).__name__, self._keys)
                return self._fresh(p, group)

            _optim_step(self._op, group["params"], self.state, self._keys, start, *self._options(group))
        return loss


def check_options(
    name: str,
    lr: Any,
    foreach: bool | None,
    differentiable: bool,
    capturable: bool,
    betas: Any = None,
    **nonnegative: float,
) -> None:
    """Raise PyTorch's ValueError for options out of range; `nonnegative` in PyTorch's order."""
    _check_lr(lr)
    if "eps" in nonnegative:
        _check_nonnegative("epsilon value", nonnegative.pop("eps"))
    for i, beta in enumerate(betas or ()):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    for key, value in nonnegative.items():
        _check_nonnegative(f"{key} value", value)
    _check_modes(name, foreach, differentiable, None, capturable)
