"""Ops written in Python under a name: `torch.ops.<namespace>.<name>`. Names as in torch.library.

Nothing is compiled and meta tensors run the op itself, so what register_fake is given is kept and not called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynn
from pynn import ops

__all__ = ["CustomOpDef", "custom_op", "register_autograd", "register_fake", "register_kernel"]


class CustomOpDef:
    """An op: called like its function, which autograd does not look into."""

    def __init__(self, name: str, fn: Callable[..., Any]) -> None:
        self._qualname = name
        self._init_fn = fn
        self._signature = inspect.signature(fn)
        self._function: Any = None
        self._fake: Any = None
        self.__name__ = name.partition("::")[2]
        self.__doc__ = fn.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if self._function is not None and not bound.kwargs:
            return self._function.apply(*bound.args)
        with pynn.no_grad():
            return self._init_fn(*bound.args, **bound.kwargs)

    @property
    def default(self) -> CustomOpDef:
        """The op itself: it has one overload."""
        return self

    def register_autograd(self, backward: Callable[..., Any], /, *, setup_context: Any = None) -> None:
        """backward(ctx, *grads) gives a gradient for each argument; setup_context(ctx, inputs, output) saves for it."""
        members = {
            "forward": staticmethod(self._init_fn),
            "setup_context": staticmethod(setup_context or (lambda ctx, inputs, output: None)),
            "backward": staticmethod(backward),
        }
        self._function = type(self.__name__, (pynn.autograd.Function,), members)

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Keeps what computes the result's shape for compilers."""
        self._fake = fn
        return fn

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """Replaces the function on the CPU; those of other devices are left out. Also a decorator."""

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            if device_types is None or "cpu" in device_types:
                self._init_fn = fn
            return fn

        return register if fn is None else register(fn)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: Any,
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Makes a function the op "namespace::name". Also a decorator.

    Raises:
        ValueError: the name has no namespace.
    """

    def make(fn: Callable[..., Any]) -> CustomOpDef:
        namespace, colons, short = name.partition("::")
        if not (namespace.isidentifier() and colons and short.isidentifier()):
            raise ValueError(f"custom_op: a name like namespace::name is required, got {name!r}")
        op = CustomOpDef(name, fn)
        space = vars(ops).setdefault(namespace, SimpleNamespace())
        setattr(space, short, op)
        return op

    return make if fn is None else make(fn)


def _op(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    namespace, _, short = str(op).partition("::")
    found = getattr(vars(ops).get(namespace), short, None)
    if not isinstance(found, CustomOpDef):
        raise RuntimeError(f"library: an op of custom_op is required, got {op!r}")
    return found


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Any = None, lib: Any = None
) -> None:
    """Gives the op a derivative; see CustomOpDef.register_autograd."""
    _op(op).register_autograd(backward, setup_context=setup_context)


def register_fake(op: Any, func: Any = None, /, *, lib: Any = None, **kwargs: Any) -> Any:
    """See CustomOpDef.register_fake. Also a decorator."""
    return _op(op).register_fake if func is None else _op(op).register_fake(func)


def register_kernel(op: Any, device_types: Any, func: Any = None, /, *, lib: Any = None) -> Any:
    """See CustomOpDef.register_kernel. Also a decorator."""
    return _op(op).register_kernel(device_types, func)
