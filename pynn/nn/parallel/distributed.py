"""Names as in torch.nn.parallel.distributed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from pynn.nn.modules.module import Module
from pynn.nn.parallel.data_parallel import ModuleWrapper

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(ModuleWrapper):
    """The module, under the name `module`: in a group of one process there is nothing to average.

    Like torch.nn.parallel.DistributedDataParallel; its options are accepted without effect.

    Raises:
        ValueError: there is no process group.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: Any = None,
        init_sync: bool = True,
        process_group: Any = None,
        bucket_cap_mb: Any = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        **options: Any,
    ) -> None:
        from pynn import distributed

        super().__init__(module)
        if not distributed.is_initialized():
            raise ValueError(
                "DistributedDataParallel: Default process group has not been initialized, please make sure to call "
                "init_process_group."
            )
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a "
                "gradient."
            )
        self.device_ids, self.output_device, self.dim = device_ids, output_device, dim
        self.require_backward_grad_sync = True

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Nothing is exchanged anyway."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextlib.contextmanager
    def join(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Nobody to wait for."""
        yield

    def register_comm_hook(self, state: Any, hook: Any) -> None:
        """Accepted without effect."""
