"""Rprop."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor
from pynn._C import _optim

from ._fused import FusedOptimizer, check_options
from .optimizer import ParamsT


class Rprop(FusedOptimizer):
    """Resilient backpropagation: steps by the signs of gradients alone (Riedmiller and Braun 1993).

    Same as torch.optim.Rprop. Each element has a step size, at first lr. Where the gradient keeps its sign, the size
    grows by etas[1]; where the sign changes, it shrinks by etas[0] and the element waits for one step.

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        etas: factors of the step sizes.
        step_sizes: their least and largest value.
        foreach: accepted; it changes nothing.
        capturable, differentiable: only False.

    Raises:
        ValueError: an option is out of range.
    """

    _op = _optim.rprop_step
    _keys = ("prev", "step_size", "step")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_options("Rprop", lr, foreach, differentiable, capturable)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _fresh(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return super()._fresh(p, group) | {"step_size": pynn.full_like(p, float(group["lr"]))}

    def _options(self, group: dict[str, Any]) -> tuple[Any, ...]:
        return (*group["etas"], *group["step_sizes"], group["maximize"])
