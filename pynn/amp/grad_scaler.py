"""GradScaler: losses scaled up, so that float16 gradients do not vanish, and gradients scaled back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pynn
from pynn import Tensor


class GradScaler:
    """Scales losses before backward and gradients back before a step. Same as torch.amp.GradScaler.

    A step whose gradients hold infinities or NaN is left out, and the scale shrinks; after growth_interval good steps it
    grows. On "cpu", where bfloat16 needs no scaling, and where there is no CUDA device it does nothing but what the
    program would do without, and the scale is 1.

    The scale is a number of the host: step() waits for the device anyway, to learn whether to step.
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
        self._device = device
        if enabled and device == "cuda" and not pynn.cuda.is_available():
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.",
                stacklevel=_stacklevel,
            )
            enabled = False
        self._enabled = enabled and device == "cuda"
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._scale = self._init_scale = init_scale
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._good_steps = 0
        # Of each optimizer since the last update: whether it has stepped, and where gradients were not finite.
        self._stepped: set[int] = set()
        self._found: dict[int, Tensor] = {}

    def scale(self, outputs: Any) -> Any:
        """The outputs times the scale; lists and tuples of tensors too."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if not isinstance(outputs, Iterable):
            raise ValueError("outputs must be a Tensor or an iterable of Tensors")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled  # type: ignore[call-arg]

    def unscale_(self, optimizer: Any) -> None:
        """Scales the gradients of the optimizer's parameters back, to clip them before step(), which does it else.

        Raises:
            RuntimeError: it was called already, or after step().
            ValueError: a gradient is float16.
        """
        if not self._enabled:
            return
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if id(optimizer) in self._found:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(g.dtype is pynn.float16 for g in grads):
            raise ValueError("Attempting to unscale FP16 gradients.")
        if not grads:
            return
        with pynn.no_grad():
            for g in grads:
                g.mul_(1.0 / self._scale)
            # The largest magnitude shows infinities and NaN.
            home = grads[0].device
            largest = pynn.stack([g.norm(float("inf")).to(home, pynn.float32) for g in grads])
            self._found[id(optimizer)] = ~largest.isfinite().all()

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(), unless a gradient is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        if id(optimizer) in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        found = self._found.get(id(optimizer))
        if found is None:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        self._stepped.add(id(optimizer))
        return None if bool(found) else optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Shrinks or grows the scale, once per iteration; or sets it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            if not self._found:
                raise AssertionError("No inf checks were recorded prior to update.")
            if any(bool(found) for found in self._found.values()):
                self._scale *= self._backoff_factor
                self._good_steps = 0
            else:
                self._good_steps += 1
                if self._good_steps == self._growth_interval:
                    grown = self._scale * self._growth_factor
                    self._scale = grown if grown <= pynn.finfo(pynn.float32).max else self._scale
                    self._good_steps = 0
        self._stepped.clear()
        self._found.clear()

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def get_scale(self) -> float:
        """The scale; 1 where it does not scale."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by to grow."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets it."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by to shrink."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets it."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps it takes to grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets it."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and how it changes; empty where it does not scale."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state_dict()."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._good_steps = state_dict["_growth_tracker"]
