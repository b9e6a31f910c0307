"""Padding modules: F.pad with its arguments kept."""

from __future__ import annotations

from collections.abc import Sequence

from pynn import Tensor

from .. import functional as F
from .module import Module
from .utils import ntuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    Size = int | Sequence[int]

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    __constants__ = ["padding"]
    dims: int
    mode: str

    def __init__(self, padding: Size) -> None:
        super().__init__()
        self.padding = ntuple(padding, 2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "circular" and input.dim() not in (self.dims + 1, self.dims + 2):
            raise ValueError(
                f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.dim()}D input)"
            )
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]
    dims: int

    def __init__(self, padding: Size, value: float) -> None:
        super().__init__()
        self.value = value
        self.padding = ntuple(padding, 2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Size) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class CircularPad1d(_PadNd):
    """Adds the other end's elements around (C, L), with or without N in front. Same as torch.nn.CircularPad1d."""

    dims = 1
    mode = "circular"


class CircularPad2d(_PadNd):
    """Adds the other end's elements around (C, H, W), with or without N in front. Same as torch.nn.CircularPad2d."""

    dims = 2
    mode = "circular"


class CircularPad3d(_PadNd):
    """Adds the other end's elements around (C, D, H, W), with or without N in front. Same as torch.nn.CircularPad3d."""

    dims = 3
    mode = "circular"


class ConstantPad1d(_ConstantPadNd):
    """Adds `value` around (C, L), with or without N in front. Same as torch.nn.ConstantPad1d."""

    dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Adds `value` around (C, H, W), with or without N in front. Same as torch.nn.ConstantPad2d."""

    dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Adds `value` around (C, D, H, W), with or without N in front. Same as torch.nn.ConstantPad3d."""

    dims = 3


class ReflectionPad1d(_PadNd):
    """Adds elements mirrored at the ends around (C, L), with or without N in front. Same as torch.nn.ReflectionPad1d."""

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Adds elements mirrored at the ends around (C, H, W), with or without N in front. Same as torch.nn.ReflectionPad2d."""

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Adds elements mirrored at the ends around (C, D, H, W), with or without N in front. Same as torch.nn.ReflectionPad3d."""

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Adds the outermost elements around (C, L), with or without N in front. Same as torch.nn.ReplicationPad1d."""

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Adds the outermost elements around (C, H, W), with or without N in front. Same as torch.nn.ReplicationPad2d."""

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Adds the outermost elements around (C, D, H, W), with or without N in front. Same as torch.nn.ReplicationPad3d."""

    dims = 3
    mode = "replicate"


class ZeroPad1d(_ZeroPadNd):
    """Adds zeros around (C, L), with or without N in front. Same as torch.nn.ZeroPad1d."""

    dims = 1


class ZeroPad2d(_ZeroPadNd):
    """Adds zeros around (C, H, W), with or without N in front. Same as torch.nn.ZeroPad2d."""

    dims = 2


class ZeroPad3d(_ZeroPadNd):
    """Adds zeros around (C, D, H, W), with or without N in front. Same as torch.nn.ZeroPad3d."""

    dims = 3
