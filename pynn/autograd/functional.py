"""Derivatives of functions as functions. Names as in torch.autograd.functional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn import Tensor
from pynn.autograd import grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(op: str, what: str, x: Any) -> tuple[bool, tuple[Tensor, ...]]:
    if isinstance(x, Tensor):
        return False, (x,)
    if isinstance(x, (tuple, list)) and all(isinstance(t, Tensor) for t in x):
        return True, tuple(x)
    found = [type(t).__name__ for t in x] if isinstance(x, (tuple, list)) else type(x).__name__
    raise TypeError(f"{op}: the {what} must be a tensor or a tuple of tensors, got {found}")


def _prepared(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """New tensors to differentiate by; with create_graph they stay part of the graph of `inputs`."""
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs
    )


def _call(
    op: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool
) -> tuple[bool, tuple[Tensor, ...], bool, tuple[Tensor, ...]]:
    """(inputs are a tuple, inputs, outputs are a tuple, outputs)"""
    several, inputs = _as_tuple(op, "inputs", inputs)
    inputs = _prepared(inputs, create_graph)
    several_out, outputs = _as_tuple(op, "outputs of the user-provided function", func(*inputs))
    if strict:
        for i, out in enumerate(outputs):
            if not out.requires_grad:
                raise RuntimeError(
                    f"{op}: Output {i} of the user-provided function does not require gradients. The outputs must be "
                    f"computed in a differentiable manner from the input when running in strict mode."
                )
    return several, inputs, several_out, outputs


def _grad(
    op: str,
    outputs: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    vectors: tuple[Tensor, ...] | None,
    strict: bool,
    create_graph: bool = True,
) -> tuple[Tensor, ...]:
    """Gradients, zeros where an input has no part in the outputs."""
    vectors = vectors if vectors is not None else tuple(pynn.ones_like(out) for out in outputs)
    used = [(out, v) for out, v in zip(outputs, vectors, strict=True) if out.requires_grad]
    found: tuple[Any, ...] = (None,) * len(inputs)
    if used:
        found = grad(
            [out for out, _ in used],
            inputs,
            [v for _, v in used],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
    for i, g in enumerate(found):
        if strict and g is None:
            raise RuntimeError(
                f"{op}: The output of the user-provided function is independent of input {i}. This is not allowed in "
                "strict mode."
            )
    return tuple(pynn.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True))


def _checked(op: str, v: Any, like: tuple[Tensor, ...], several: bool, of: str) -> tuple[Tensor, ...]:
    """The vector v, of the shapes of `like`; 1 if it is left out and there is one element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"{op}: The vector v can only be None if {of} is a single Tensor with a single element."
            )
        return (pynn.ones_like(like[0]),)
    _, vectors = _as_tuple(op, "vector v", v)
    if len(vectors) != len(like):
        raise RuntimeError(
            f"{op}: v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}."
        )
    for i, (a, b) in enumerate(zip(vectors, like, strict=True)):
        if a.shape != b.shape:
            raise RuntimeError(
                f"{op}: Entry {i} in v has invalid size: should be {b.shape} but got {a.shape}."
            )
    return tuple(x.detach() if not x.requires_grad else x for x in vectors)


def _finished(values: tuple[Tensor, ...], several: bool, create_graph: bool) -> Any:
    done = values if create_graph else tuple(x.detach() for x in values)
    return done if several else done[0]


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v^T J) for the Jacobian J. Same as torch.autograd.functional.vjp.

    Args:
        inputs: a tensor or a tuple of tensors.
        v: of the shape of the outputs; may be left out for one number.
        create_graph: keep the graph, for further derivatives.
        strict: raise where an output does not depend on an input, in place of zeros.
    """
    with pynn.enable_grad():
        several, inputs, several_out, outputs = _call("vjp", func, inputs, create_graph, strict)
        vectors = _checked("vjp", v, outputs, several_out, "the user-provided function's result")
        found = _grad("vjp", outputs, inputs, vectors, strict, create_graph)
    return _finished(outputs, several_out, create_graph), _finished(found, several, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), J v) for the Jacobian J, by two backward passes. Same as torch.autograd.functional.jvp."""
    with pynn.enable_grad():
        several, inputs, several_out, outputs = _call("jvp", func, inputs, create_graph, strict)
        vectors = _checked("jvp", v, inputs, several, "the input")
        # u^T J is linear in u: its derivative by u, times v, is J v
        u = tuple(pynn.zeros_like(out).requires_grad_() for out in outputs)
        backward = _grad("jvp", outputs, inputs, u, strict)
        found = _grad("jvp", backward, u, vectors, False, create_graph)
    return _finished(outputs, several_out, create_graph), _finished(found, several_out, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All derivatives of outputs by inputs. Same as torch.autograd.functional.jacobian.

    For one input and one output it has their shapes joined, (*output, *input); for a tuple of either it is a tuple, for
    both a tuple (per output) of tuples. `vectorize` and `strategy` change nothing: a backward pass runs for each number
    of the outputs.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            f'Expected strategy to be either "forward-mode" or "reverse-mode", got {strategy}'
        )
    with pynn.enable_grad():
        several, inputs, several_out, outputs = _call("jacobian", func, inputs, create_graph, strict)
        rows = []
        for out in outputs:
            columns: list[list[Tensor]] = [[] for _ in inputs]
            flat = out.reshape(-1)
            for j in range(out.numel()):
                found = _grad("jacobian", (flat[j],), inputs, None, strict, create_graph)
                for column, g in zip(columns, found, strict=True):
                    column.append(g)
            row = tuple(
                (pynn.stack(column) if column else x.new_zeros((0, *x.shape))).reshape((*out.shape, *x.shape))
                for column, x in zip(columns, inputs, strict=True)
            )
            rows.append(_finished(row, several, create_graph))
    return tuple(rows) if several_out else rows[0]


def _number(op: str, func: Callable[..., Any]) -> Callable[..., Tensor]:
    """func, whose result has to be one number."""

    def checked(*inputs: Tensor) -> Tensor:
        out = func(*inputs)
        if isinstance(out, tuple) and len(out) == 1:
            out = out[0]
        if not isinstance(out, Tensor):
            raise RuntimeError(f"{op}: The function given should return a single Tensor")
        if out.numel() != 1:
            raise RuntimeError(
                f"{op}: The Tensor returned by the function given should contain a single element"
            )
        return out.reshape(())

    return checked


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """All second derivatives of one number. Same as torch.autograd.functional.hessian.

    For one input it has the shape (*input, *input); for a tuple it is a tuple of tuples.
    """
    several, xs = _as_tuple("hessian", "inputs", inputs)
    number = _number("hessian", func)

    def first(*inner: Tensor) -> Any:
        found = jacobian(number, inner if several else inner[0], create_graph=True, strict=strict)
        if strict:
            return found
        kept = found if several else (found,)
        # what does not depend on the inputs has a zero derivative
        kept = tuple(g if g.requires_grad else g + 0 * inner[0].sum() for g in kept)
        return kept if several else kept[0]

    return jacobian(first, xs if several else xs[0], create_graph, strict, vectorize, outer_jacobian_strategy)


def _second(
    op: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, transposed: bool
) -> tuple[Any, Any]:
    with pynn.enable_grad():
        several, xs, _, outputs = _call(op, _number(op, func), inputs, create_graph, strict)
        vectors = _checked(op, v, xs, several, "the input")
        first = _grad(op, outputs, xs, None, strict)
        if transposed:
            found = _grad(op, first, xs, vectors, strict, create_graph)
        else:
            u = tuple(pynn.zeros_like(x).requires_grad_() for x in xs)
            backward = _grad(op, first, xs, u, strict)
            found = _grad(op, backward, u, vectors, False, create_graph)
    return _finished(outputs, False, create_graph), _finished(found, several, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v^T H) for the Hessian H of one number. Same as torch.autograd.functional.vhp."""
    return _second("vhp", func, inputs, v, create_graph, strict, True)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), H v) for the Hessian H of one number; vhp is cheaper, and the same where H is symmetric.

    Same as torch.autograd.functional.hvp.
    """
    return _second("hvp", func, inputs, v, create_graph, strict, False)
