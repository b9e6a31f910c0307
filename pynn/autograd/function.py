"""Custom differentiable functions."""

from __future__ import annotations

import functools
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What forward leaves for backward. Same as the ctx of torch.autograd.Function."""

    needs_input_grad: tuple[bool, ...] = ()
    _to_save: tuple[Tensor | None, ...] | None = None
    _dirty: tuple[Tensor, ...] | None = None
    _non_differentiable: tuple[Tensor, ...] | None = None
    _materialize_grads = True
    _node: Any = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for backward, where they come back as ctx.saved_tensors."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Accepted; forward-mode derivatives do not exist here."""

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which inputs forward wrote to in place; they must be returned."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs have no derivative; backward gets zeros for them."""
        self._non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Choose zeros (True) or None (False) for gradients that did not arrive."""
        self._materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """What save_for_backward kept; an error if it was written to in place since, or freed."""
        if self._node is None:
            return tuple(self._to_save or ())  # type: ignore[arg-type]  # still in forward
        return self._node.saved_tensors

    saved_variables = saved_tensors  # the old name


class Function:
    """A differentiable function with a backward of its own. Same as torch.autograd.Function.

    Subclasses define static methods `forward(ctx, *args)` (or `forward(*args)` and `setup_context(ctx, inputs, output)`)
    and `backward(ctx, *grads)`, which returns one gradient per argument, None where there is none. Call `apply(*args)`.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "vjp" in cls.__dict__ and "backward" not in cls.__dict__:
            cls.backward = staticmethod(cls.__dict__["vjp"].__func__)  # type: ignore[assignment]

    def __init__(self, *args: object, **kwargs: object) -> None:
        import warnings

        warnings.warn(
            f"{type(self).__name__}: instances are not used (call {type(self).__name__}.apply)",
            DeprecationWarning,
            stacklevel=2,
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward and put the outputs on the graph. Arguments may be given by name."""
        separate = cls.setup_context is not Function.setup_context
        if kwargs:
            args = _positional(cls, args, kwargs, separate)
        return _C._function_apply(cls, FunctionCtx(), args, cls.__name__ + "Backward", separate)


def _positional(cls: type[Function], args: tuple, kwargs: dict[str, Any], separate: bool) -> tuple:
    """All arguments of forward by position, as backward counts them."""
    import inspect

    context = () if separate else (None,)
    bound = inspect.signature(cls.forward).bind(*context, *args, **kwargs)
    if bound.kwargs:  # an argument before them was left out
        bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(
            f"{cls.__name__}.apply: positional parameters of forward are required, got {list(bound.kwargs)} "
            "(which are keyword-only)"
        )
    return bound.args[len(context) :]


def once_differentiable(backward: Any) -> Any:
    """Say that a backward is not itself differentiable: differentiating it raises. Same as torch's."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with _no_grad():
            out = backward(ctx, *grads)
        if not _C.is_grad_enabled() or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return out
        many = out if isinstance(out, tuple) else (out,)
        errors = tuple(o if o is None else _Once.apply(o.detach().requires_grad_()) for o in many)
        return errors if isinstance(out, tuple) else errors[0]

    return wrapper


class _Once(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def _no_grad() -> Any:
    from pynn.autograd.grad_mode import no_grad

    return no_grad()
