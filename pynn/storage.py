"""Blocks of memory behind tensors. Names as in torch.storage."""

from pynn._tensor import UntypedStorage as UntypedStorage

__all__ = ["UntypedStorage"]
