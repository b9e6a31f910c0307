"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Tensor

__all__ = ["functional_call", "stack_module_state"]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with other parameters and buffers. Same as torch.func.functional_call.

    Args:
        parameter_and_buffer_dicts: a dict from name to tensor, or several of them.
        args: the arguments; anything but a tuple counts as one.
        tie_weights: a tensor that the module has under several names is replaced under all of them.
        strict: the names must be those of the module; otherwise others are passed over.

    Raises:
        RuntimeError: with strict, a name that the module does not have, or a missing one.
        ValueError: a name comes twice.
    """
    values: dict[str, Tensor] = {}
    given = parameter_and_buffer_dicts
    for part in [given] if isinstance(given, dict) else given:
        for name in part:
            if name in values:
                raise ValueError(f"functional_call: {name} appears in multiple dictionaries")
        values.update(part)
    places = {}  # name -> (mapping, key)
    for prefix, owner in module.named_modules(remove_duplicate=False):
        for members in (owner._parameters, owner._buffers):
            for key in members:
                places[f"{prefix}.{key}" if prefix else key] = (members, key)
    unknown = [name for name in values if name not in places]
    missing = [name for name in places if name not in values]
    if strict and (unknown or missing):
        raise RuntimeError(
            f"functional_call: Unexpected key(s): {unknown}, missing key(s): {missing} of {type(module).__name__}"
        )
    values = {name: value for name, value in values.items() if name in places}
    if tie_weights:
        by_tensor: dict[int, list[str]] = {}
        for name, (members, key) in places.items():
            if members[key] is not None:
                by_tensor.setdefault(id(members[key]), []).append(name)
        for names in by_tensor.values():
            replaced = {id(values[name]): values[name] for name in names if name in values}
            if len(replaced) > 1:
                raise ValueError(f"functional_call: {names} are tied in the module, got different values")
            for value in replaced.values():
                values.update({name: value for name in names if name not in values})
    before = {name: places[name][0][places[name][1]] for name in values}
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        for name, value in values.items():
            members, key = places[name]
            members[key] = value
        return module(*arguments, **(kwargs or {}))
    finally:
        for name, value in before.items():
            members, key = places[name]
            members[key] = value


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of several models of one kind, stacked along a new first dim. Same as torch.func.stack_module_state."""
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({type(model) for model in models}) != 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    if len({model.training for model in models}) != 1:
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")

    def stacked(per_model: list[dict[str, Tensor]], parameters: bool) -> dict[str, Any]:
        out = {}
        for name, first in per_model[0].items():
            t = pynn.stack([state[name] for state in per_model]).detach()
            out[name] = t.requires_grad_(first.requires_grad) if parameters else t
        return out

    return (
        stacked([dict(model.named_parameters()) for model in models], True),
        stacked([dict(model.named_buffers()) for model in models], False),
    )
