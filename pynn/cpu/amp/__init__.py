"""The old places of autocast and GradScaler on the CPU. Names as in torch.cpu.amp."""

from __future__ import annotations

from typing import Any

import pynn.amp

__all__ = ["GradScaler", "autocast"]


class autocast(pynn.amp.autocast):
    """pynn.amp.autocast("cpu", ...)"""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cpu", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(pynn.amp.GradScaler):
    """pynn.amp.GradScaler("cpu", ...)"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu", *args, **kwargs)
