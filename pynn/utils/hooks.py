"""Handles that take a registered hook away again."""

from __future__ import annotations

from weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class RemovableHandle:
    """Removes its hook from `hooks_dict` (and from `extra_dict`, one dict or a list of them) by `remove()`.

    Same as torch.utils.hooks.RemovableHandle. Also a context manager.
    """

    next_id = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extra = [] if extra_dict is None else extra_dict if isinstance(extra_dict, list) else [extra_dict]
        self._dicts = [ref(d) for d in (hooks_dict, *extra)]

    def remove(self) -> None:
        """Remove the hook; nothing happens if it is gone already."""
        for weak in self._dicts:
            hooks = weak()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
