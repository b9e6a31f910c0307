"""The old home of vmap, which some programs import. Names as in torch._vmap_internals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynn.func import vmap

__all__ = ["vmap"]


def _vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, allow_none_pass_through: bool = False
) -> Callable[..., Any]:
    return vmap(func, in_dims, out_dims)
