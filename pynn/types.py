"""Names for annotations. Names as in torch.types."""

from __future__ import annotations

import os
from typing import IO, Any, TypeAlias

from pynn import Size as Size
from pynn import Tensor as Tensor
from pynn import device, dtype

Device: TypeAlias = Any  # a device, its name, its index or None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Number: TypeAlias = int | float | bool
Storage: TypeAlias = Any
_dtype, _device = dtype, device
_bool, _int, _float = bool, int, float
_size: TypeAlias = Any  # Size, or a list or tuple of ints
