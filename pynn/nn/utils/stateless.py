"""Call a module with other tensors in place of its own. Same as torch.nn.utils.stateless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pynn import Tensor

from ..modules.module import Module

__all__ = ["functional_call"]

_ABSENT = object()


def _tied_groups(module: Module) -> list[set[str]]:
    """Names of one tensor, for every tensor that has several."""
    names: dict[int, set[str]] = {}
    for kind in (module.named_parameters, module.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            names.setdefault(id(tensor), set()).add(name)
    return [group for group in names.values() if len(group) > 1]


@contextmanager
def _replaced(
    module: Module, tensors: Mapping[str, Tensor], tie_weights: bool, strict: bool
) -> Iterator[None]:
    values = dict(tensors)
    if tie_weights:
        for group in _tied_groups(module):
            given = {name: values[name] for name in group if name in values}
            if len({id(t) for t in given.values()}) > 1:
                raise ValueError(
                    f"functional_call got multiple values for keys {sorted(given)}, which are tied. Consider using "
                    "tie_weights=False"
                )
            if given:
                values.update(dict.fromkeys(group, next(iter(given.values()))))
    names = {n for n, _ in module.named_parameters(remove_duplicate=False)}
    names |= {n for n, _ in module.named_buffers(remove_duplicate=False)}
    unknown = [name for name in values if name not in names]
    missing = sorted(names - set(values))
    if strict and (unknown or missing):
        text = "".join(
            f"\n{what} key(s): " + ", ".join(keys) + "."
            for what, keys in (("Unexpected", unknown), ("Missing", missing))
            if keys
        )
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:{text}")
    places: list[Any] = []
    for name, tensor in values.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{tensor} is not an instance of torch.Tensor")
        path, _, last = name.rpartition(".")
        try:
            places.append((module.get_submodule(path), last, tensor))
        except AttributeError:
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`") from None
    kept: list[Any] = []
    try:
        for owner, last, tensor in places:
            members = owner._parameters if last in owner._parameters else owner._buffers
            kept.append((members, last, members.get(last, _ABSENT)))
            members[last] = tensor
        yield
        # What the call wrote to buffers goes to the mapping, if that can be written to.
        if isinstance(tensors, dict):
            for name, (members, last, _) in zip(values, kept, strict=True):
                if name in tensors and members[last] is not values[name]:
                    tensors[name] = members[last]
    finally:
        for members, last, tensor in reversed(kept):
            if tensor is _ABSENT:
                del members[last]
            else:
                members[last] = tensor


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor] | Iterable[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Return module(*args, **kwargs) with the named tensors in place of the module's own.

    Args:
        parameters_and_buffers: tensors by their state-dict names, or several such mappings.
        args: a tuple of arguments, or one argument.
        tie_weights: a tensor with several names is replaced under all of them.
        strict: all tensors of the module must be given, and no others.
    """
    if isinstance(parameters_and_buffers, Mapping):
        tensors = parameters_and_buffers
    else:
        mappings = list(parameters_and_buffers)
        names = [name for mapping in mappings for name in mapping]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(
                f"{twice} appeared in multiple dictionaries; behavior of functional call is ambiguous"
            )
        tensors = {name: t for mapping in mappings for name, t in mapping.items()}
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _replaced(module, tensors, tie_weights, strict):
        return module(*args, **(kwargs or {}))
