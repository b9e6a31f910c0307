"""skip_init."""

from __future__ import annotations

import inspect
from typing import Any

import pynn

from ..modules.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Module:
    """Return module_cls(*args, **kwargs) with uninitialised parameters. Same as torch.nn.utils.skip_init.

    Raises:
        RuntimeError: it is no module class, or its __init__ takes no `device`.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    kwargs["device"] = "meta"
    return module_cls(*args, **kwargs).to_empty(device=pynn.device(device))
