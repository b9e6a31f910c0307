"""Nested containers as a list of leaves and a structure. Names as in torch.utils._pytree."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from typing import Any

PyTree = Any
TreeSpec = namedtuple("TreeSpec", "type context children_specs")
NodeDef = namedtuple("NodeDef", "type flatten_fn unflatten_fn flatten_with_keys_fn")
MappingKey = namedtuple("MappingKey", "key")

SUPPORTED_NODES: dict[
    Any, NodeDef
] = {}  # the containers: each gives (children, context), and is built again from them


def register_pytree_node(
    cls: Any,
    flatten_fn: Callable[[Any], tuple[Any, Any]],
    unflatten_fn: Callable[[Any, Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Any = None,
) -> None:
    """Makes a class a container: flatten_fn(x) gives (children, context), unflatten_fn(children, context) gives x.

    Raises:
        ValueError: it is one already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"register_pytree_node: a new class is required, got {cls}, which is registered")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return LEAF


LEAF = TreeSpec(None, None, ())


def _dict_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d.values()), list(d)


def _dict_unflatten(values: Any, context: Any) -> dict[Any, Any]:
    return dict(zip(context, values, strict=True))


def _dict_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    values, context = _dict_flatten(d)
    return [(MappingKey(key), value) for key, value in zip(context, values, strict=True)], context


def _defaultdict_unflatten(values: Any, context: Any) -> Any:
    factory, keys = context
    return defaultdict(factory, zip(keys, values, strict=True))


register_pytree_node(dict, _dict_flatten, _dict_unflatten, flatten_with_keys_fn=_dict_flatten_with_keys)
register_pytree_node(OrderedDict, _dict_flatten, lambda v, keys: OrderedDict(zip(keys, v, strict=True)))
register_pytree_node(
    defaultdict, lambda d: (list(d.values()), (d.default_factory, list(d))), _defaultdict_unflatten
)
register_pytree_node(list, lambda x: (x, None), lambda v, _: list(v))
register_pytree_node(tuple, lambda x: (list(x), None), lambda v, _: tuple(v))
register_pytree_node(deque, lambda x: (list(x), x.maxlen), lambda v, maxlen: deque(v, maxlen))
register_pytree_node(namedtuple, lambda x: (list(x), type(x)), lambda v, kind: kind(*v))
# the results of ops with names, built from one sequence
_STRUCT = "structseq"
register_pytree_node(_STRUCT, lambda x: (list(x), type(x)), lambda v, kind: kind(v))


def _get_node_type(tree: Any) -> Any:
    """The key of SUPPORTED_NODES for a container, or the class of a leaf."""
    kind = type(tree)
    if kind not in SUPPORTED_NODES and isinstance(tree, tuple):
        if hasattr(kind, "_fields"):
            return namedtuple
        if hasattr(kind, "n_sequence_fields"):
            return _STRUCT
    return kind


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the structure; what is_leaf(x) holds for is not taken apart."""
    kind = _get_node_type(tree)
    node = SUPPORTED_NODES.get(kind)
    if node is None or (is_leaf is not None and is_leaf(tree)):
        return [tree], LEAF
    children, context = node.flatten_fn(tree)
    leaves: list[Any] = []
    specs = []
    for child in children:
        more, spec = tree_flatten(child, is_leaf)
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
        return SUPPORTED_NODES[kind].unflatten_fn([build(child) for child in specs], context)

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
