"""A device as a with block: new tensors are made on it. Names as in torch.utils._device."""

from __future__ import annotations

import functools
import threading
from typing import Any

import pynn
from pynn.overrides import TorchFunctionMode

_NAMES = (
    "arange as_tensor bartlett_window blackman_window empty empty_permuted empty_strided eye fft.fftfreq fft.rfftfreq "
    "from_file full hamming_window hann_window kaiser_window linspace logspace ones rand randint randn randperm range "
    "scalar_tensor tensor tril_indices triu_indices zeros"
).split()


@functools.cache
def _device_constructors() -> set[Any]:
    """Functions that take device= and no tensor to take it from."""
    found = set()
    for name in _NAMES:
        owner: Any = pynn
        for part in name.split("."):
            owner = getattr(owner, part)
        found.add(owner)
    return found


class DeviceContext(TorchFunctionMode):
    """Makes tensors on a device where the call names none. Same as torch.utils._device.DeviceContext."""

    def __init__(self, device: Any) -> None:
        super().__init__()
        self.device = pynn.device(device)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _device_constructors() and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self.device}
        return func(*args, **kwargs)


class _Entered(threading.local):
    def __init__(self) -> None:
        self.stack: list[DeviceContext] = []


_entered = _Entered()


def _enter(device: Any) -> Any:
    _entered.stack.append(DeviceContext(device).__enter__())
    return device


def _leave() -> None:
    _entered.stack.pop().__exit__(None, None, None)
