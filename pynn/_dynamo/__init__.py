"""What programs tell the compiler of PyTorch 2: accepted without effect. Names as in torch._dynamo."""

from __future__ import annotations

from typing import Any

from pynn.compiler import allow_in_graph as allow_in_graph
from pynn.compiler import disable as disable
from pynn.compiler import is_compiling as is_compiling
from pynn.compiler import reset as reset

disallow_in_graph = forbid_in_graph = graph_break_on = assume_constant_result = allow_in_graph


class _Config:
    """Takes every setting."""

    suppress_errors = False
    verbose = False
    cache_size_limit = 8


config = _Config()


class OptimizedModule:
    """What PyTorch's compiler makes of a module: here nothing is one."""


def graph_break(msg: str = "") -> None:
    """Nothing to break."""


def mark_static(t: Any, index: Any = None) -> None:
    """Nothing to remember."""


mark_static_address = mark_dynamic = maybe_mark_dynamic = mark_static


def is_dynamo_supported() -> bool:
    """False: functions run as they are."""
    return False
