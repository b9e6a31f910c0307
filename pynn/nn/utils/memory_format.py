"""The memory format of convolutions' weights."""

from __future__ import annotations

from typing import Any

import pynn

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Lay out the weights of the module's Conv2d and ConvTranspose2d anew, in place, and return the module."""
    return _convert(module, memory_format, (pynn.nn.Conv2d, pynn.nn.ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """The same for Conv3d and ConvTranspose3d."""
    return _convert(module, memory_format, (pynn.nn.Conv3d, pynn.nn.ConvTranspose3d))


def _convert(module: Any, memory_format: Any, kinds: Any) -> Any:
    m: Any
    for m in module.modules():
        if isinstance(m, kinds):
            m.weight.data = m.weight.detach().clone(memory_format=memory_format)
    return module
