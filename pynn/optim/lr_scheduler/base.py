"""What all learning-rate schedules share."""

from __future__ import annotations

import warnings
from weakref import ref

from pynn import Tensor
from pynn.optim.optimizer import Optimizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. "
    "Please use `scheduler.step()`; with an epoch the closed form of the schedule is used, if it has one."
)


class LRScheduler:
    """Base class of the schedules. Same as torch.optim.lr_scheduler.LRScheduler.

    A subclass sets its options, calls `super().__init__`, and overrides `get_lr`, which returns one rate per
    parameter group for `self.last_epoch`. Most do so from the current rates, so that schedules can be chained
    and rates edited by hand.

    Args:
        optimizer: whose groups' `lr` is set; a tensor there is filled in place.
        last_epoch: the epoch to resume after; -1 starts from the groups' `lr`, kept as `initial_lr`.

    Raises:
        TypeError: `optimizer` is no `Optimizer`.
        KeyError: `last_epoch` is not -1 and a group has no `initial_lr`.
    """

    optimizer: Optimizer
    last_epoch: int
    base_lrs: list[Any]
    _last_lr: list[Any]
    _step_count: int
    _is_initial: bool = False
    _get_lr_called_within_step: bool = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    f"last_epoch >= 0, got last_epoch={last_epoch} (load the optimizer's state first)"
                )
        self.base_lrs = group_values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch_step(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimiser."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the optimiser's rates come from its own state dict."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The rates set last, one per group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The rates for `self.last_epoch`; for `step` to call. Users want `get_last_lr`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go on by one epoch (or batch) and set the rates."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            _warn_order(self.optimizer)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                values = getattr(self, "_get_closed_form_lr", self.get_lr)()
        finally:
            self._get_lr_called_within_step = False
        self._set_lrs(values)

    def _set_lrs(self, values: list[Any]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            set_value(group, "lr", value)
        self._last_lr = group_values(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def _scaled(self, factor: float) -> list[Any]:
        """The current rates times `factor`."""
        if factor == 1.0:
            return group_values(self.optimizer, "lr")
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _from_base(self, factor: float) -> list[Any]:
        """The initial rates times `factor`."""
        return [base * factor for base in self.base_lrs]


def check_optimizer(optimizer: object) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def group_values(optimizer: Optimizer, key: str) -> list[Any]:
    return [copied(group[key]) for group in optimizer.param_groups]


def set_value(group: dict[str, Any], key: str, value: Any) -> None:
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """`value` once for each parameter group; a list or tuple already holds one per group."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        value = [value] * groups
    elif len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {groups}."
        )
    return [copied(v) for v in value]


def _watch_step(optimizer: Optimizer) -> None:
    """Note the optimiser's next step in `_opt_called`; from then on `step` is again what it was."""
    if getattr(optimizer, "_opt_called", False) or hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    weak = ref(optimizer)
    replaced = optimizer.__dict__.get("step")

    def step(*args: Any, **kwargs: Any) -> Any:
        opt: Any = weak()
        opt._opt_called = True
        if opt.__dict__.get("step") is step:
            if replaced is None:
                del opt.step
            else:
                opt.step = replaced
        return type(opt).step(opt, *args, **kwargs) if replaced is None else replaced(*args, **kwargs)

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = step  # type: ignore[method-assign]


def _warn_order(optimizer: Optimizer) -> None:
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        message = (
            "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
            "order: otherwise the first value of the learning rate schedule is skipped."
        )
    else:
        message = (
            "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
            "Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`."
        )
    warnings.warn(message, UserWarning, stacklevel=3)
