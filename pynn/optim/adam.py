"""Adam and AdamW."""

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

# The entries of a parameter's state that the native step reads, in the order of its arguments.
_KEYS = ("exp_avg", "exp_avg_sq", None, "step")
_AMSGRAD_KEYS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")
# (amsgrad, decoupled weight decay, maximize) as the bits that the native step takes.
_MODE = {(a, d, m): a + 2 * d + 4 * m for a in (False, True) for d in (False, True) for m in (False, True)}


class Adam(Optimizer):
    """Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980). Same as torch.optim.Adam.

    With gradient g (negated by `maximize`) and betas b1, b2, at step t:

        g += weight_decay * p
        m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
        p -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    Args:
        params: tensors, groups, or named parameters, see `Optimizer`.
        lr: learning rate, a number or a tensor with one element.
        betas: decay of the running means of g and g^2, in [0, 1).
        eps: added to the denominator.
        weight_decay: L2 penalty.
        amsgrad: divide by the largest v so far (https://openreview.net/forum?id=ryQu7f-RZ).
        foreach, fused: accepted; a step is always one call per group.
        maximize: climb instead of descend.
        capturable: count the steps of CUDA parameters on their device, so that a step can be captured into a graph.
        differentiable: only False.
        decoupled_weight_decay: shrink p by lr * weight_decay instead of changing g, which makes it AdamW.

    Raises:
        ValueError: a negative lr, eps or weight decay, or a beta outside [0, 1).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        _check_lr(lr)
        if foreach and isinstance(lr, Tensor):
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        _check_nonnegative("epsilon value", eps)
        for i, beta in enumerate(betas):
            if foreach and isinstance(beta, Tensor):
                raise ValueError(
                    f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
                )
            if isinstance(beta, Tensor) and beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        _check_nonnegative("weight_decay value", weight_decay)
        beta1, beta2 = betas
        kind = Tensor if isinstance(beta1, Tensor) else float
        if not (isinstance(beta1, kind) and isinstance(beta2, kind)):
            raise ValueError("betas must be either both floats or both Tensors")
        _check_modes(type(self).__name__, foreach, differentiable, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": (beta1, beta2),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("amsgrad", False)
            group.setdefault("maximize", False)
            group.setdefault("foreach", None)
            group.setdefault("capturable", False)
            group.setdefault("differentiable", False)
            group.setdefault("decoupled_weight_decay", False)
            group.setdefault("fused", None)
        _steps_to_tensors(self)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have a gradient; return what `closure` returned."""
        loss = None
        if closure is not None:
            with pynn.enable_grad():
                loss = closure()
        for group in self.param_groups:
            amsgrad, capturable = group["amsgrad"], group["capturable"]
            beta1, beta2 = group["betas"]
            _optim_step(
                _optim.adam_step,
                group["params"],
                self.state,
                _AMSGRAD_KEYS if amsgrad else _KEYS,
                _START[bool(amsgrad), bool(capturable)],
                group["lr"],
                beta1,
                beta2,
                group["eps"],
                group["weight_decay"],
                _MODE[bool(amsgrad), bool(group["decoupled_weight_decay"]), bool(group["maximize"])],
            )
        return loss


class AdamW(Adam):
    """Adam with decoupled weight decay (https://arxiv.org/abs/1711.05101). Same as torch.optim.AdamW.

    The weight decay is `p *= 1 - lr * weight_decay` before the step of Adam, and does not enter m and v.
    Arguments and errors are those of `Adam`.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True  # also after loading a checkpoint of Adam


def _start(p: Tensor, state: dict[str, Any]) -> dict[str, Any]:
    """The state of a parameter that gets its first gradient."""
    if state:
        raise _missing(p, state, "Adam", _KEYS)
    return {"step": _new_step(), "exp_avg": pynn.zeros_like(p), "exp_avg_sq": pynn.zeros_like(p)}


def _start_amsgrad(p: Tensor, state: dict[str, Any]) -> dict[str, Any]:
    if state:
        raise _missing(p, state, "Adam", _AMSGRAD_KEYS)
    return _start(p, state) | {"max_exp_avg_sq": pynn.zeros_like(p)}


def _counted_on_device(start: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def start_there(p: Tensor, state: dict[str, Any]) -> dict[str, Any]:
        if not p.is_cuda:
            raise AssertionError(f"Adam: capturable=True is for parameters on CUDA, got one on {p.device}")
        return start(p, state) | {"step": pynn.zeros((), dtype=pynn.float32, device=p.device)}

    return start_there


# By (amsgrad, capturable).
_START = {
    (False, False): _start,
    (True, False): _start_amsgrad,
    (False, True): _counted_on_device(_start),
    (True, True): _counted_on_device(_start_amsgrad),
}
