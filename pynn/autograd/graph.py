"""Hooks into the recorded graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["Node", "save_on_cpu", "saved_tensors_hooks"]

Node = _C._Node


class saved_tensors_hooks:
    """While active, pack(tensor) replaces what ops keep for backward and unpack(object) brings it back.

    Same as torch.autograd.graph.saved_tensors_hooks.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        _C._push_saved_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *exc: object) -> None:
        _C._pop_saved_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Keep saved tensors in CPU memory. Same as torch.autograd.graph.save_on_cpu."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: (t.device, t.cpu()), lambda packed: packed[1].to(packed[0]))
