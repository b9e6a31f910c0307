"""Muon."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor

from .optimizer import Optimizer, ParamsT


class Muon(Optimizer):
    """Momentum whose updates are made nearly orthogonal (Jordan 2024). Same as torch.optim.Muon.

    Args:
        params: matrices, groups, or named parameters, see `Optimizer`.
        momentum: of the mean of the gradients; `nesterov` looks one step ahead.
        ns_coefficients, ns_steps: of the Newton-Schulz iteration, in bfloat16.
        eps: the least norm of what it starts from.
        adjust_lr_fn: "original" (the default) scales by sqrt(max(1, rows / columns)), "match_rms_adamw" by
            0.2 sqrt(max(rows, columns)).

    Raises:
        ValueError: an option is out of range, or a parameter is no matrix.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

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
                        _step(p, p.grad, self.state[p], group)
        return loss


def _step(p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if "momentum_buffer" not in state:
        state["momentum_buffer"] = pynn.zeros_like(grad)
    mean, momentum, lr = state["momentum_buffer"], group["momentum"], float(group["lr"])
    mean.lerp_(grad, 1 - momentum)
    update = grad.lerp(mean, momentum) if group["nesterov"] else mean
    update = _orthogonalized(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
    rows, columns = p.shape
    if group["adjust_lr_fn"] == "match_rms_adamw":
        rate = lr * 0.2 * math.sqrt(max(rows, columns))
    else:
        rate = lr * math.sqrt(max(1, rows / columns))
    p.mul_(1 - lr * group["weight_decay"])
    p.add_(update, alpha=-rate)


def _orthogonalized(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """The matrix with all singular values brought near 1, by a polynomial applied `steps` times."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.to(pynn.bfloat16)
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = pynn.addmm(x, pynn.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
