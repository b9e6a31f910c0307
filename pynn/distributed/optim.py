"""Optimisers of several processes, of which there is one. Names as in torch.distributed.optim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynn.optim import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer):
    """An optimiser whose state the processes share out: all of it is this one's.

    Args:
        params: what to optimise.
        optimizer_class: which optimiser; `defaults` are its arguments.
    """

    def __init__(
        self,
        params: Any,
        optimizer_class: Callable[..., Optimizer],
        process_group: Any = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        self.optim = optimizer_class(params, **defaults)
        self.__setstate__(dict(self.optim.__dict__))  # its groups, state and hooks

    def step(self, closure: Any = None, **kwargs: Any) -> Any:
        """That of the optimiser."""
        return self.optim.step(closure, **kwargs) if closure is not None else self.optim.step(**kwargs)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise more parameters."""
        self.optim.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """That of the optimiser."""
        return self.optim.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state_dict()."""
        self.optim.load_state_dict(state_dict)
        self.param_groups, self.state = self.optim.param_groups, self.optim.state

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Nothing to collect."""
