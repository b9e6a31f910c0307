"""The mapping behind a Module's `_parameters`, `_buffers` and `_modules`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weakref import ref

    from .module import Module

MISSING = object()
_set = object.__setattr__


class Members(dict):
    """A dict of members that are plain attributes of the module too; every change is written through to it.

    Not where the module's class has a `__getattr__` of its own, which PyTorch asks for each member, or a `__setattr__`,
    which may replace this mapping by another.

    The module is held weakly: a strong reference would be a cycle, and weights would live until the next
    garbage collection. Copies and pickles are plain dicts.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: ref[Module], members: Mapping[str, Any] | Iterable[Any] = ()) -> None:
        self._owner = owner
        dict.__init__(self)
        if members:
            self.update(members)

    def belongs_to(self, module: Module) -> bool:
        return self._owner() is module

    def __setitem__(self, name: str, value: Any) -> None:
        dict.__setitem__(self, name, value)
        owner = self._owner()
        # What the class has (a property, a method) hides a member of its name, as in PyTorch.
        if owner is not None and owner._members_are_attributes and not hasattr(type(owner), name):
            _set(owner, name, value)

    def _forget(self, name: str, value: Any) -> None:
        owner = self._owner()
        if owner is not None and getattr(owner, name, MISSING) is value:
            try:
                object.__delattr__(owner, name)
            except AttributeError:
                pass  # the value came from the class, not from the instance

    def __delitem__(self, name: str) -> None:
        value = dict.pop(self, name)
        self._forget(name, value)

    def pop(self, name: str, default: Any = MISSING) -> Any:
        if default is MISSING or name in self:
            value = dict.pop(self, name)
            self._forget(name, value)
            return value
        return default

    def popitem(self) -> tuple[str, Any]:
        name, value = dict.popitem(self)
        self._forget(name, value)
        return name, value

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, members: Mapping[str, Any] | Iterable[Any] = (), /, **named: Any) -> None:  # type: ignore[override]
        for name, value in dict(members, **named).items():
            self[name] = value

    def __ior__(self, members: Any) -> Members:  # type: ignore[override,misc]
        self.update(members)
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (), None, None, iter(self.items())
