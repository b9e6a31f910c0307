"""vmap: a function of one sample as a function of a batch, by a loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor
from pynn.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["vmap"]


def _dims_of(dims: Any, tree: Any, op: str) -> list[int | None]:
    """One dim per leaf of `tree`; an int or None counts for all below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(tree_flatten(tree)[0])
    if isinstance(tree, dict) and isinstance(dims, dict) and set(dims) == set(tree):
        return [d for key in tree for d in _dims_of(dims[key], tree[key], op)]
    if isinstance(tree, (list, tuple)) and isinstance(dims, (list, tuple)) and len(dims) == len(tree):
        return [d for part, sub in zip(dims, tree, strict=True) for d in _dims_of(part, sub, op)]
    raise ValueError(f"{op}: in_dims is not compatible with the structure of inputs, got in_dims={dims}")


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """`func` of every sample along `in_dims`, the results stacked along `out_dims`. Like torch.func.vmap, but a loop.

    Args:
        in_dims: an int, or a structure of ints and None (not mapped) as that of the arguments.
        out_dims: an int, or one per output.
        randomness: "same" draws the same numbers for each sample; "different" and "error" do not interfere.
        chunk_size: accepted without effect.

    Raises:
        ValueError: nothing to map over, or unequal sizes.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, spec = tree_flatten(args)
        dims = _dims_of(in_dims, args, "vmap")
        named, named_spec = tree_flatten(kwargs)  # keywords are mapped along their first dim
        leaves = leaves + named
        dims = dims + [0 if isinstance(x, Tensor) else None for x in named]
        mapped = [(x, d) for x, d in zip(leaves, dims, strict=True) if d is not None]
        if not mapped:
            raise ValueError("vmap: at least one Tensor to map over is required (in_dims are all None)")
        for x, d in mapped:
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"vmap: Got in_dim={d} for an input of type {type(x).__name__}, not a Tensor"
                )
            if not -x.dim() <= d < x.dim():
                raise ValueError(f"vmap: Got in_dim={d} for an input of {x.dim()} dims")
        sizes = {x.size(d) for x, d in mapped}
        if len(sizes) != 1:
            raise ValueError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)}"
            )
        state = pynn.get_rng_state() if randomness == "same" else None
        rows = []
        out_spec: Any = None
        count = sizes.pop()
        if count == 0:
            raise ValueError("vmap: at least one sample is required, got 0")
        for i in range(count):
            if state is not None:
                pynn.set_rng_state(state)
            sample = [x if d is None else x.select(d, i) for x, d in zip(leaves, dims, strict=True)]
            cut = len(sample) - len(named)
            out = func(*tree_unflatten(sample[:cut], spec), **tree_unflatten(sample[cut:], named_spec))
            row, out_spec = tree_flatten(out)
            for y in row:
                if not isinstance(y, Tensor):
                    raise ValueError(f"vmap: the function must only return Tensors, got {type(y).__name__}")
            rows.append(row)
        ends: list[Any] = (
            [out_dims] * len(rows[0]) if isinstance(out_dims, int) else tree_flatten(out_dims)[0]
        )
        if len(ends) != len(rows[0]):
            raise ValueError(
                f"vmap: one out_dim per output is required, got {out_dims} for {len(rows[0])} outputs"
            )
        stacked = [pynn.stack([row[k] for row in rows], dim=ends[k]) for k in range(len(ends))]
        return tree_unflatten(stacked, out_spec)

    return wrapper
