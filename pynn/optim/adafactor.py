"""Adafactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor

from .optimizer import Optimizer, ParamsT, _new_step, _steps_to_tensors


class Adafactor(Optimizer):
    """Adam's mean squares kept as row and column means (Shazeer and Stern 2018, arXiv:1804.04235).

    Same as torch.optim.Adafactor.

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        lr: the largest relative step size; it falls as 1 / sqrt(t).
        beta2_decay: the mean squares move by t^beta2_decay.
        eps: bounds of the squares (None: of the dtype) and of the parameters' size.
        d: updates whose root mean square is larger are scaled down to it.
        weight_decay: p *= 1 - lr * weight_decay before each step.
        foreach: accepted; it changes nothing.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        for i, value in enumerate(eps):
            if value is not None and not value >= 0.0:
                raise ValueError(f"epsilon{i + 1} should be >= 0 but is: {value}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("foreach", None)
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
                        _step(p, self.state[p], group)
        return loss


def _step(p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    assert p.grad is not None
    grad = -p.grad if group["maximize"] else p.grad
    if not state:
        state["step"] = _new_step()
        if grad.dim() > 1:
            state["row_var"] = grad.new_zeros((*grad.shape[:-1], 1))
            state["col_var"] = grad.new_zeros((*grad.shape[:-2], 1, grad.shape[-1]))
        else:
            state["variance"] = pynn.zeros_like(grad)
    eps1, eps2 = group["eps"]
    if eps1 is None:
        eps1 = pynn.finfo(p.dtype).eps
    state["step"] += 1
    t, lr = state["step"].item(), float(group["lr"])
    moved = t ** group["beta2_decay"]
    rate = max(eps2, p.norm(2).item() / p.numel() ** 0.5) * min(lr, t**-0.5)
    if group["weight_decay"] != 0:
        p.mul_(1 - lr * group["weight_decay"])
    if grad.dim() > 1:
        rows, columns = state["row_var"], state["col_var"]
        for var, dim in ((rows, -1), (columns, -2)):
            var.lerp_(grad.norm(2, dim, keepdim=True).square_().div_(grad.size(dim)), moved)
        square = (rows @ columns).div_(rows.mean(-2, keepdim=True).clamp_(min=eps1))
    else:
        state["variance"].lerp_(grad * grad, moved)
        square = state["variance"].clone()
    update = square.clamp_(min=eps1 * eps1).rsqrt_().mul_(grad)
    size = max(1.0, update.norm(2).item() / (update.numel() ** 0.5 * group["d"]))
    p.add_(update, alpha=-rate / size)
