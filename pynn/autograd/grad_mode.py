"""Switches of the thread: whether ops are recorded. Each is a context manager and a decorator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pynn import _C

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]

_new, _set_grad_enabled = object.__new__, _C._set_grad_enabled  # found at once


class _Mode:
    """A switch that a with block or a call of the decorated function sets and sets back."""

    __slots__ = ("_before",)
    _before: bool

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        raise NotImplementedError

    def _clone(self) -> _Mode:
        return type(self)()

    def __call__(self, function: Any) -> Any:
        if isinstance(function, type):
            import warnings

            warnings.warn(
                f"{type(self).__name__}: decorates __init__ of {function.__name__} only (decorate its methods)",
                FutureWarning,
                stacklevel=2,
            )
            function.__init__ = self(function.__init__)  # type: ignore[misc]
            return function
        clone = self._clone
        # A generator runs under the switch each time it is resumed, and its caller does not.
        if function.__code__.co_flags & 0x20 if hasattr(function, "__code__") else False:

            @functools.wraps(function)
            def generator(*args, **kwargs):
                inner = function(*args, **kwargs)
                try:
                    with clone():
                        item = next(inner)
                    while True:
                        try:
                            sent = yield item
                        except GeneratorExit:
                            with clone():
                                inner.close()
                            raise
                        except BaseException as error:
                            with clone():
                                item = inner.throw(error)
                        else:
                            with clone():
                                item = inner.send(sent)
                except StopIteration as stop:
                    return stop.value

            return generator

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with clone():
                return function(*args, **kwargs)

        return wrapper


class _NoArgument(_Mode):
    """Also a decorator without the parentheses."""

    __slots__ = ()

    def __new__(cls, function: Callable | None = None):
        return _new(cls) if function is None else _new(cls)(function)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _set_grad_enabled(self._before)


class no_grad(_NoArgument):
    """Ops are not recorded. Same as torch.no_grad."""

    __slots__ = ()

    def __enter__(self) -> None:
        self._before = _set_grad_enabled(False)


class enable_grad(_NoArgument):
    """Ops are recorded, also within no_grad. Same as torch.enable_grad."""

    __slots__ = ()

    def __enter__(self) -> None:
        self._before = _set_grad_enabled(True)


class set_grad_enabled(_Mode):
    """Sets whether ops are recorded: at once, and until the end of a with block. Same as torch.set_grad_enabled."""

    __slots__ = ("mode",)

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled: a bool is required, got {type(mode).__name__}")
        self.mode = mode
        self._before = _set_grad_enabled(bool(mode))

    def _clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, function: Any) -> Any:
        _set_grad_enabled(self._before)  # a decorator does not switch at once
        return super().__call__(function)

    def __enter__(self) -> None:
        _set_grad_enabled(bool(self.mode))

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _set_grad_enabled(self._before)


class inference_mode(_Mode):
    """Ops are not recorded, and what is made inside can never be part of a graph. Same as torch.inference_mode."""

    __slots__ = ("_inference", "mode")
    mode: bool

    def __new__(cls, mode: bool | Callable = True):
        self = super().__new__(cls)
        if callable(mode):
            self.mode = True
            return self(mode)
        self.mode = mode
        return self

    def _clone(self) -> inference_mode:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self._inference = _C._set_inference(self.mode)
        self._before = _set_grad_enabled(not self.mode)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        _C._set_inference(self._inference)
        _set_grad_enabled(self._before)
