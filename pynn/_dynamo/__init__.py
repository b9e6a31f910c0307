"""What programs tell the compiler of PyTorch 2: accepted without effect. Names as in torch._dynamo."""

from __future__ import annotations

from typing import Any

from pynn._dynamo.eval_frame import OptimizedModule as OptimizedModule
from pynn._dynamo.eval_frame import is_dynamo_supported as is_dynamo_supported
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


def graph_break(msg: str = "") -> None:
    """Nothing to break."""


def mark_static(t: Any, index: Any = None) -> None:
    """Nothing to remember."""


mark_static_address = mark_dynamic = maybe_mark_dynamic = mark_static
