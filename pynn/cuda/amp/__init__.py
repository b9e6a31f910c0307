"""The old places of autocast and GradScaler. Names as in torch.cuda.amp."""

from __future__ import annotations

from typing import Any

import pynn.amp

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(pynn.amp.autocast):
    """pynn.amp.autocast("cuda", ...)."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled, _stacklevel=3)


class GradScaler(pynn.amp.GradScaler):
    """pynn.amp.GradScaler("cuda", ...)"""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled, _stacklevel=3
        )


def custom_fwd(fwd: Any = None, *, cast_inputs: Any = None) -> Any:
    """pynn.amp.custom_fwd for "cuda"."""
    return pynn.amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Any) -> Any:
    """pynn.amp.custom_bwd for "cuda"."""
    return pynn.amp.custom_bwd(bwd, device_type="cuda")
