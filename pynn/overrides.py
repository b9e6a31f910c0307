"""Classes of tensors, and modes, that take over calls of functions. Names as in torch.overrides.

A class with a `__torch_function__` is asked for each op, operator, method and attribute of Tensor that is given one of its
tensors, alone or in a list; a mode for each call in its with block. What pynn writes in Python, such as some losses,
is seen as the ops that it is made of, where PyTorch tells of the function itself.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pynn
from pynn import _C
from pynn._C import Tensor

__all__ = [
    "BaseTorchFunctionMode",
    "TorchFunctionMode",
    "get_default_nowrap_functions",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]


class _Modes(threading.local):
    def __init__(self) -> None:
        self.stack: list[TorchFunctionMode] = []


_modes = _Modes()


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for v in values:
        if isinstance(v, (tuple, list)):
            yield from v
        else:
            yield v


def _overloaded(values: Iterable[Any]) -> list[Any]:
    """One argument of each class that is to be asked, in the order of asking: subclasses before what they derive from."""
    found: list[Any] = []
    for v in _flat(values):
        if not _C._asks(v) or any(type(v) is type(f) for f in found):
            continue
        place = next((i for i, f in enumerate(found) if issubclass(type(v), type(f))), len(found))
        found.insert(place, v)
    return found


def _take_over(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], relevant: Any = None) -> Any:
    """The result of the mode or class that takes the call over. Called by C++ where there is one."""
    overloaded = _overloaded((*args, *kwargs.values()) if relevant is None else relevant)
    types = tuple(type(a) for a in overloaded)
    if _C._modes_on():
        with _pop_mode_temporarily() as mode:
            result = mode.__torch_function__(function, types, args, kwargs)
        if result is not NotImplemented:
            return result
    for a in overloaded:
        result = a.__torch_function__(function, types, args, kwargs)
        if result is not NotImplemented:
            return result
    names = ", ".join(t.__name__ for t in types)
    raise TypeError(
        f"Multiple dispatch failed for '{resolve_name(function)}': no implementation found, all __torch_function__ "
        f"handlers returned NotImplemented: [{names}]"
    )


def _of_class(cls: type, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Tensor.__torch_function__: the function itself, whose results become tensors of the class."""
    if not all(issubclass(cls, t) for t in types):
        return NotImplemented
    with _C.DisableTorchFunctionSubclass():
        result = function(*args, **(kwargs or {}))
        return result if function in get_default_nowrap_functions() else _convert(result, cls)


def _convert(result: Any, cls: Any) -> Any:
    if isinstance(result, Tensor):
        return result if cls is Tensor or isinstance(result, cls) else result.as_subclass(cls)
    if isinstance(result, (tuple, list)) and any(isinstance(r, Tensor) for r in result):
        return type(result)(_convert(r, cls) for r in result)  # type: ignore[call-arg]
    return result


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a mode is on, or the class of an argument has a `__torch_function__` that is to be asked."""
    return bool(_C._modes_on()) or any(_C._asks(a) for a in relevant_args)


def has_torch_function_unary(obj: Any) -> bool:
    """The same of one argument."""
    return has_torch_function((obj,))


def has_torch_function_variadic(*relevant_args: Any) -> bool:
    """The same of several."""
    return has_torch_function(relevant_args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """The result of whoever takes over public_api(*args, **kwargs): the mode that is on, else the arguments' classes.

    Raises:
        TypeError: none of them did.
    """
    return _take_over(public_api, args, kwargs, relevant_args)


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[[Any], Any]:
    """A decorator by which a function asks the classes of dispatcher(*args, **kwargs), its arguments that count."""

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


@functools.cache
def get_default_nowrap_functions() -> set[Any]:
    """Functions whose results Tensor.__torch_function__ leaves as they are."""
    attributes: Any = (Tensor._base, Tensor.grad, Tensor._grad)  # type: ignore[attr-defined]
    return {a.__get__ for a in attributes}


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a Tensor, or has a `__torch_function__`."""
    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Any) -> bool:
    """Whether it is a method of Tensor, or what reads one of its attributes."""
    name = getattr(func, "__name__", "")
    return name == "__get__" or getattr(Tensor, name, None) is func


def resolve_name(f: Any) -> str | None:
    """Where PyTorch has the function: "torch.Tensor.add"."""
    if getattr(f, "__name__", "") == "__get__":
        return f"torch.Tensor.{f.__self__.__name__}.__get__"
    name = getattr(f, "__name__", None)
    if name is None:
        return None
    places = (
        ("torch.Tensor", Tensor),
        ("torch", pynn),
        ("torch.nn.functional", pynn.nn.functional),
        ("torch.linalg", pynn.linalg),
    )
    for place, owner in places:
        if getattr(owner, name, None) is f:
            return f"{place}.{name}"
    return f"{getattr(f, '__module__', '')}.{name}".replace("pynn", "torch", 1)


class TorchFunctionMode:
    """Takes over all calls in its with block: a subclass says how in `__torch_function__`, during which it is off.

    Same as torch.overrides.TorchFunctionMode.
    """

    def __init__(self) -> None:
        pass

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        _modes.stack.append(self)
        _C._overriding_modes(1)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _C._overriding_modes(-1)
        _modes.stack.pop()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        """An instance, for a with statement."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """Calls each function as it is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@contextmanager
def _pop_mode_temporarily() -> Iterator[TorchFunctionMode]:
    mode = _modes.stack.pop()
    _C._overriding_modes(-1)
    try:
        yield mode
    finally:
        _modes.stack.append(mode)
        _C._overriding_modes(1)


def _get_current_function_mode() -> TorchFunctionMode | None:
    return _modes.stack[-1] if _modes.stack else None


def _get_current_function_mode_stack() -> list[TorchFunctionMode]:
    return list(_modes.stack)
