"""The memory behind tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["UntypedStorage", "is_storage"]


class UntypedStorage:
    """A block of bytes, which a tensor and its views share. Same as torch.UntypedStorage, but for a fixed size."""

    def __init__(self, size: int = 0) -> None:
        self._hold(_C.empty(size, dtype=_C.uint8))

    @classmethod
    def _of(cls, tensor: Tensor) -> UntypedStorage:
        self = object.__new__(cls)
        self._hold(tensor)
        return self

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The first bytes of a file, mapped into memory. Same as torch.UntypedStorage.from_file."""
        from pynn._methods import from_file

        return cls._of(from_file(str(filename), shared, nbytes, dtype=_C.uint8))

    def _hold(self, tensor: Tensor) -> None:
        self._tensor = tensor  # keeps the block alive
        self._address, self._nbytes = _C._storage(tensor)

    def _as(self, dtype: Any) -> Tensor:
        """All of it as one dim of elements."""
        whole = self._nbytes // self._tensor.element_size()
        return self._tensor.detach().as_strided((whole,), (1,), 0).view(dtype)

    def data_ptr(self) -> int:
        """The address of the first byte, 0 without one."""
        return self._as(_C.uint8).data_ptr()

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._nbytes

    size = __len__ = nbytes

    def element_size(self) -> int:
        """1: the elements are bytes."""
        return 1

    @property
    def device(self) -> Any:
        return self._tensor.device

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def is_shared(self) -> bool:
        """Whether other processes share it. share_memory_ moves a tensor to such memory, which is not told apart."""
        return False

    def untyped(self) -> UntypedStorage:
        """Itself."""
        return self

    def tolist(self) -> list[int]:
        """The bytes."""
        return self._as(_C.uint8).tolist()

    def __getitem__(self, index: int | slice) -> Any:
        part = self._as(_C.uint8)[index]
        return UntypedStorage._of(part.clone()) if isinstance(index, slice) else part.item()

    def __setitem__(self, index: int | slice, value: int) -> None:
        self._as(_C.uint8)[index] = value

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def fill_(self, value: int) -> UntypedStorage:
        """Set every byte."""
        self._as(_C.uint8).fill_(value)
        return self

    def copy_(self, source: UntypedStorage, non_blocking: bool = False) -> UntypedStorage:
        """Take the bytes of another storage of the same size."""
        self._as(_C.uint8).copy_(source._as(_C.uint8))
        return self

    def clone(self) -> UntypedStorage:
        """The same bytes elsewhere."""
        return UntypedStorage._of(self._as(_C.uint8).clone())

    def cpu(self) -> UntypedStorage:
        """Itself if it is in CPU memory."""
        return self if self.device.type == "cpu" else UntypedStorage._of(self._as(_C.uint8).cpu())

    # A storage has no identity here: every question makes a new object.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self._address == other._address

    def __hash__(self) -> int:
        return hash(self._address)

    def __repr__(self) -> str:
        return f"{self.tolist()}\n[torch.storage.UntypedStorage(device={self.device}) of size {len(self)}]"


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage. Same as torch.is_storage."""
    return isinstance(obj, UntypedStorage)
