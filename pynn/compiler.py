"""Compiling: accepted, and left out. Names as in torch.compiler; `compile` is torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F")


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """`model` itself: ops run as they are called. Also a decorator, with or without options. Same names as torch.compile."""
    if model is None:
        return lambda model: model
    if not callable(model):
        raise TypeError(f"compile: a callable is required, got {type(model).__name__}")
    return model


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """`fn` itself: nothing is compiled."""
    return fn if fn is not None else lambda fn: fn


def allow_in_graph(fn: F) -> F:
    """`fn` itself."""
    return fn


def reset() -> None:
    """Nothing to forget."""


def is_compiling() -> bool:
    """False."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def cudagraph_mark_step_begin() -> None:
    """Nothing to mark."""


def list_backends(exclude_tags: Any = ()) -> list[str]:
    """None."""
    return []


class SymInt:
    """A number that compiled code leaves open, of which there is none."""


class SymFloat(SymInt):
    """The same of floats."""


class SymBool(SymInt):
    """The same of bools."""
