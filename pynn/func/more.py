"""linearize, and what modules and tensors need for transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pynn import Tensor
from pynn.func.transforms import jvp
from pynn.nn.modules.batchnorm import _BatchNorm
from pynn.utils._pytree import tree_map

__all__ = ["debug_unwrap", "functionalize", "linearize", "replace_all_batch_norm_modules_"]


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(func(*primals), the function of tangents that gives J tangents). Same as torch.func.linearize.

    The function runs `func` again at each call.
    """
    if not primals:
        raise RuntimeError("linearize: expected at least one primal, got none")
    kept = tree_map(lambda x: x.detach().clone() if isinstance(x, Tensor) else x, primals)

    def jvp_fn(*tangents: Any) -> Any:
        return jvp(func, kept, tangents)[1]

    return func(*primals), jvp_fn


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func` as it is: writes in place are seen by transforms here, and need not be removed."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations') and functionalize(f, remove='mutations_and_views') are valid, got "
            f"remove={remove!r}"
        )

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapper


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """The tensor itself: within transforms, tensors are plain tensors."""
    return tensor


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Let the batch norms of a module, in place, keep no running statistics, which vmap could not write to."""
    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = None
            module.running_var = None
            module.num_batches_tracked = None
            module.track_running_stats = False
    return root
