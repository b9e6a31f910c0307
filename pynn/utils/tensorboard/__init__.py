"""SummaryWriter, by the package tensorboardX. Names as in torch.utils.tensorboard."""

from __future__ import annotations

import functools
from typing import Any

from pynn import Tensor
from pynn.utils._pytree import tree_map_only

try:
    import tensorboardX
    from tensorboardX import FileWriter as FileWriter
except ImportError as e:
    raise ImportError(
        "torch.utils.tensorboard needs the package tensorboardX, which is missing (pip install tensorboardX)"
    ) from e

__all__ = ["FileWriter", "SummaryWriter"]


def _with_arrays(method: Any) -> Any:
    """The method, called with arrays in place of tensors: tensorboardX knows PyTorch's alone."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree_map_only(Tensor, lambda x: x.detach().cpu().numpy(), (args, kwargs))
        return method(self, *args, **kwargs)

    return call


class SummaryWriter(tensorboardX.SummaryWriter):  # type: ignore[misc]
    """tensorboardX.SummaryWriter, which takes tensors."""


for _name in dir(tensorboardX.SummaryWriter):
    if _name.startswith("add_"):
        setattr(SummaryWriter, _name, _with_arrays(getattr(tensorboardX.SummaryWriter, _name)))
