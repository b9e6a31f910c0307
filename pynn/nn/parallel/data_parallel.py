"""Names as in torch.nn.parallel.data_parallel."""

from __future__ import annotations

from typing import Any

from pynn.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


class ModuleWrapper(Module):
    """Calls its `module`."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DataParallel(ModuleWrapper):
    """The module, under the name `module`, as torch.nn.DataParallel has it where there is no GPU."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__(module)
        self.device_ids: list[Any] = []
        self.output_device = output_device
        self.dim = dim


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: Any = None,
) -> Any:
    """module(*inputs)"""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*arguments, **(module_kwargs or {}))
