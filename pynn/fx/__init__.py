"""Marks for torch.fx. Functions and modules are not traced: there is no symbolic_trace."""

from __future__ import annotations

from typing import Any

__all__ = ["GraphModule", "wrap"]


class GraphModule:
    """A traced module, of which there is none."""


def wrap(fn_or_name: Any) -> Any:
    """`fn_or_name` itself: nothing is traced."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            f"wrap: a function or the name of one is required, got {type(fn_or_name).__name__}"
        )
    return fn_or_name
