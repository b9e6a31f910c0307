"""GradScaler: accepted where programs use it, without effect."""

from __future__ import annotations

import warnings
from typing import Any


class GradScaler:
    """Does nothing but what the program would do without: bfloat16 needs no scaling. Like torch.amp.GradScaler.

    On "cuda", its default, it is disabled with a warning, since there is no such device; on "cpu" too the scale is 1.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
        *,
        _stacklevel: int = 2,
    ) -> None:
        if enabled and device == "cuda":
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=_stacklevel,
            )
        self._device = device
        self._init_scale = init_scale
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Gradients as they are."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step()"""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing to update."""

    def is_enabled(self) -> bool:
        """False."""
        return False

    def get_scale(self) -> float:
        """1"""
        return 1.0

    def get_growth_factor(self) -> float:
        """As given."""
        return self._growth_factor

    def get_backoff_factor(self) -> float:
        """As given."""
        return self._backoff_factor

    def get_growth_interval(self) -> int:
        """As given."""
        return self._growth_interval

    def state_dict(self) -> dict[str, Any]:
        """Empty, as of a disabled scaler."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to load."""
