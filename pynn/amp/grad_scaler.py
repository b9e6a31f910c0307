"""GradScaler: losses are scaled up, so that small gradients do not vanish in float16, and the gradients down again."""

from __future__ import annotations

import warnings
from enum import Enum
from typing import Any

import pynn


class OptState(Enum):
    """What was done with an optimiser's gradients since the last update."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Same as torch.amp.GradScaler: scale(loss).backward(), step(optimizer), update().

    A step is left out when a gradient is infinite or NaN; the scale then shrinks by `backoff_factor`. After
    `growth_interval` steps without that it grows by `growth_factor`.

    Args:
        device: "cuda" or "cpu". Without a CUDA device it warns, and does nothing but what the program would without.
        init_scale, growth_factor, backoff_factor, growth_interval: as above.
        enabled: False makes every method do what the program would do without.

    Raises:
        RuntimeError: methods called twice or in the wrong order.
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
        if enabled and device == "cuda" and not pynn.cuda.is_available():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=_stacklevel,
            )
            enabled = False
        if enabled and not (growth_factor > 1.0 and backoff_factor < 1.0):
            raise AssertionError("The growth factor must be > 1.0 and the backoff factor < 1.0.")
        self._device = device
        self._enabled = enabled
        self._init_scale = init_scale
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._scale_value = init_scale
        self._states: dict[int, OptState] = {}  # of optimisers, by id, since the last update
        self._found_inf: dict[int, bool] = {}

    def scale(self, outputs: Any) -> Any:
        """A tensor, or tensors in lists and tuples, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, pynn.Tensor):
            return outputs * self._scale_value
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(v) for v in outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimiser by the scale, for example to clip them before step()."""
        if not self._enabled:
            return
        state = self._states.get(id(optimizer), OptState.READY)
        if state == OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state == OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(g.dtype is pynn.float16 for g in grads):
            raise ValueError("Attempting to unscale FP16 gradients.")
        found = None
        with pynn.no_grad():
            for g in grads:
                g.mul_(1.0 / self._scale_value)
                # A sum is finite just when every term is, but for overflow, which counts as well.
                bad = g.abs().sum()
                found = bad if found is None else found + bad.to(found.device)
            # One read of the device for all of them.
            self._found_inf[id(optimizer)] = found is not None and not pynn.isfinite(found).item()
        self._states[id(optimizer)] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(), unless a gradient is infinite or NaN; unscales first if that was not done."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        if self._states.get(id(optimizer)) == OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if self._states.get(id(optimizer), OptState.READY) == OptState.READY:
            self.unscale_(optimizer)
        self._states[id(optimizer)] = OptState.STEPPED
        return None if self._found_inf[id(optimizer)] else optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Adjust the scale after the steps of one iteration, or set it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale_value = float(new_scale)
        elif not self._found_inf:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif any(self._found_inf.values()):
            self._scale_value *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale_value *= self._growth_factor
                self._growth_tracker = 0
        self._states.clear()
        self._found_inf.clear()

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def get_scale(self) -> float:
        """The scale, 1 if disabled."""
        return self._scale_value if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """As set."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set it."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """As set."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set it."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """As set."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set it."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and how it changes; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale_value,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict() gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale_value = self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
