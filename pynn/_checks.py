"""torch._assert and torch._check*: raise unless a condition holds; conditions that a compiler would keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_Message = Callable[[], Any] | None


def _assert(condition: Any, message: str) -> None:
    """Raises AssertionError(message) unless `condition` holds. Same as torch._assert."""
    if not condition:
        raise AssertionError(message)


def _check_with(error: type[Exception], cond: Any, message: _Message = None) -> None:
    """Raises `error` with message() unless `cond` holds."""
    if not cond:
        raise error("Expected cond to be True, but got False." if message is None else str(message()))


def _check(cond: Any, message: _Message = None) -> None:
    """RuntimeError unless `cond` holds."""
    _check_with(RuntimeError, cond, message)


def _check_index(cond: Any, message: _Message = None) -> None:
    """IndexError unless `cond` holds."""
    _check_with(IndexError, cond, message)


def _check_value(cond: Any, message: _Message = None) -> None:
    """ValueError unless `cond` holds."""
    _check_with(ValueError, cond, message)


def _check_type(cond: Any, message: _Message = None) -> None:
    """TypeError unless `cond` holds."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: Any, message: _Message = None) -> None:
    """NotImplementedError unless `cond` holds."""
    _check_with(NotImplementedError, cond, message)


def _check_is_size(i: Any, message: _Message = None, *, max: Any = None) -> None:
    """RuntimeError unless `i` is at least 0."""
    _check(i >= 0 and (max is None or i <= max), message)
