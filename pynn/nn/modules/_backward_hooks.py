"""Taps in the autograd graph around a module's forward, for its backward hooks.

Note [Backward taps]
The tensors that enter the module pass through one identity node, those that leave it through another. In
backward the output tap runs first: it runs the pre-hooks and keeps the gradients of the outputs. The input
tap runs when the gradients of all inputs are there: it runs the hooks with both and passes on what they
return. If no input needs a gradient there is no input tap, and the output tap runs the hooks itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pynn import Tensor, is_grad_enabled
from pynn.autograd import Function


class _Tap(Function):
    """Identity whose backward passes on what `see(gradients)` returns."""

    @staticmethod
    def forward(
        ctx: Any, see: Callable[..., Any], fill_missing: bool, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.see = see
        ctx.set_materialize_grads(fill_missing)
        same = [tensor.view_as(tensor) for tensor in tensors]
        ctx.mark_non_differentiable(
            *[new for new, old in zip(same, tensors, strict=True) if not old.requires_grad]
        )
        return tuple(same)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return (None, None, *ctx.see(grads))


def _tap(
    values: tuple[Any, ...], see: Callable[..., Any], fill_missing: bool
) -> tuple[tuple[Any, ...], list[int]]:
    """If one of the tensors needs a gradient, tap all of them; return the new values and their places."""
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not is_grad_enabled() or not any(values[i].requires_grad for i in places):
        return values, []
    tapped = list(values)
    for place, tensor in zip(
        places, _Tap.apply(see, fill_missing, *[values[i] for i in places]), strict=True
    ):
        tapped[place] = tensor
    if type(values) is tuple:
        return tuple(tapped), places
    return type(values)(*tapped), places  # a named tuple keeps its type


def _spread(places: list[int], values: Iterable[Any], size: int) -> tuple[Any, ...]:
    spread = [None] * size
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return tuple(spread)


class BackwardTaps:
    """The two taps of one call. See Note [Backward taps]."""

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_outputs: tuple[Any, ...] | None = None
        self.inputs: list[int] = []  # places of the tapped inputs among the arguments
        self.outputs: list[int] = []
        self.n_inputs = 0
        self.n_outputs = 0

    def tap_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        args, self.inputs = _tap(args, self._see_inputs, fill_missing=True)
        return args

    def tap_outputs(self, result: Any) -> Any:
        if isinstance(result, tuple):
            values = result
        elif isinstance(result, Tensor):
            values = (result,)
        else:
            import warnings

            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
                f"received {type(result)}",
                stacklevel=3,
            )
            return result
        self.n_outputs = len(values)
        values, self.outputs = _tap(values, self._see_outputs, fill_missing=False)
        return values if isinstance(result, tuple) else values[0]

    def _see_outputs(self, grads: tuple[Any, ...]) -> Iterable[Any]:
        grad_outputs = _spread(self.outputs, grads, self.n_outputs)
        for hook in self.pre_hooks:
            new = hook(self.module, grad_outputs)
            if new is None:
                continue
            if len(new) != len(grad_outputs):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(new)}, but expected {len(grad_outputs)}"
                )
            grad_outputs = new
        if self.inputs:
            self.grad_outputs = grad_outputs
        else:
            self._run_without_inputs(grad_outputs)
        return [grad_outputs[place] for place in self.outputs]

    def _run_without_inputs(self, grad_outputs: tuple[Any, ...]) -> None:
        import warnings

        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module outputs since "
            "no inputs "
            "require gradients.",
            stacklevel=2,
        )
        for hook in self.hooks:
            new = hook(self.module, (None,) * self.n_inputs, grad_outputs)
            if new is not None and not (isinstance(new, tuple) and all(grad is None for grad in new)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None "
                    "or None "
                    "for all gradients."
                )

    def _see_inputs(self, grads: tuple[Any, ...]) -> Iterable[Any]:
        grad_inputs = _spread(self.inputs, grads, self.n_inputs)
        if self.grad_outputs is None:
            return grads  # the outputs took no part in this backward
        for hook in self.hooks:
            new = hook(self.module, grad_inputs, self.grad_outputs)
            if new is None:
                continue
            if len(new) != len(grad_inputs):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(new)}, but expected {len(grad_inputs)}"
                )
            grad_inputs = new
        self.grad_outputs = None
        return [grad_inputs[place] for place in self.inputs]


def hook_last_node(module: Any, hooks: Iterable[Callable[..., Any]], result: Any) -> None:
    """Put old-style backward hooks on the node that made the first tensor of `result`."""
    while not isinstance(result, Tensor):
        result = (
            next(v for v in result.values() if isinstance(v, Tensor))
            if isinstance(result, dict)
            else result[0]
        )
    node = result.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(lambda grad_input, grad_output, hook=hook: hook(module, grad_input, grad_output))
