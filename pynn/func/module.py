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
    from pynn.nn.utils.stateless import functional_call

    return functional_call(
        module, parameter_and_buffer_dicts, args, kwargs, tie_weights=tie_weights, strict=strict
    )


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
