"""Types that annotations of compiled code name. Names as in torch.jit.annotations."""

from typing import Dict, Generic, List, Optional, Tuple, TypeVar, Union  # noqa: F401, UP035

T = TypeVar("T")


class BroadcastingList1(Generic[T]):
    """A list, or one element for all of it, as BroadcastingList2[int] in an annotation."""


BroadcastingList2 = BroadcastingList3 = BroadcastingList1
