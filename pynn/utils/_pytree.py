"""Nested containers as a list of leaves and a structure. Names as in torch.utils._pytree."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from typing import Any

TreeSpec = namedtuple("TreeSpec", "kind context children")
LEAF = TreeSpec(None, None, ())


def _children(tree: Any) -> tuple[Any, Any, list[Any]] | None:
    """(kind, what it takes to build it again, children), or None for a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict):
        return kind, list(tree), list(tree.values())
    if kind is defaultdict:
        return kind, (tree.default_factory, list(tree)), list(tree.values())
    if kind in (list, tuple):
        return kind, None, list(tree)
    if isinstance(tree, tuple) and (hasattr(kind, "_fields") or hasattr(kind, "n_sequence_fields")):
        return kind, None, list(tree)
    return None


def tree_flatten(tree: Any) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the structure."""
    found = _children(tree)
    if found is None:
        return [tree], LEAF
    kind, context, children = found
    leaves: list[Any] = []
    specs = []
    for child in children:
        more, spec = tree_flatten(child)
        leaves += more
        specs.append(spec)
    return leaves, TreeSpec(kind, context, tuple(specs))


def tree_unflatten(leaves: Any, spec: TreeSpec) -> Any:
    """The container with these leaves."""
    items = iter(leaves)

    def build(spec: TreeSpec) -> Any:
        kind, context, specs = spec
        if kind is None:
            return next(items)
        children = [build(child) for child in specs]
        if kind in (dict, OrderedDict):
            return kind(zip(context, children, strict=True))
        if kind is defaultdict:
            return defaultdict(context[0], zip(context[1], children, strict=True))
        if kind in (list, tuple):
            return kind(children)
        return kind(*children) if hasattr(kind, "_fields") else kind(children)

    return build(spec)


def tree_map(fn: Callable[..., Any], tree: Any, *rests: Any) -> Any:
    """fn of every leaf (and of those in the same places of `rests`)."""
    leaves, spec = tree_flatten(tree)
    others = [tree_flatten(rest)[0] for rest in rests]
    return tree_unflatten([fn(*xs) for xs in zip(leaves, *others, strict=True)], spec)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves in order."""
    return tree_flatten(tree)[0]


def tree_map_only(kinds: Any, fn: Callable[[Any], Any], tree: Any) -> Any:
    """fn of the leaves of some types; the others stay."""
    return tree_map(lambda x: fn(x) if isinstance(x, kinds) else x, tree)
