"""grad, vjp, jvp, jacrev and hessian, by reverse passes over the graph.

A transform differentiates by fresh views of its arguments, so that those of an outer transform still see through them.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pynn
from pynn import Tensor, autograd
from pynn.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp"]

_local = threading.local()


@contextmanager
def _level() -> Iterator[bool]:
    """Within a transform; gives whether it is the outermost."""
    depth = getattr(_local, "depth", 0)
    _local.depth = depth + 1
    try:
        with pynn.enable_grad():
            yield depth == 0
    finally:
        _local.depth = depth


def _fresh(tree: Any) -> tuple[Any, list[Tensor], bool]:
    """The tree with tensors to differentiate by, these tensors, and whether any has a graph already."""
    leaves, spec = tree_flatten(tree)
    made = []
    for x in leaves:
        if not isinstance(x, Tensor):
            raise ValueError(f"Expected tensors to differentiate by, got {type(x).__name__}")
        made.append(x.view_as(x) if x.requires_grad else x.detach().requires_grad_())
    outer = any(x.requires_grad for x in leaves)
    return tree_unflatten(made, spec), made, outer


def _results(tree: Any, detach: bool) -> Any:
    return tree_map(lambda x: x.detach() if detach and isinstance(x, Tensor) else x, tree)


def _gradients(
    outputs: list[Tensor], inputs: list[Tensor], vectors: list[Tensor] | None, create_graph: bool
) -> list[Tensor]:
    vectors = vectors if vectors is not None else [pynn.ones_like(out) for out in outputs]
    used = [(out, v) for out, v in zip(outputs, vectors, strict=True) if out.requires_grad]
    if not used:
        return [pynn.zeros_like(x) for x in inputs]
    return list(
        autograd.grad(
            [out for out, _ in used],
            inputs,
            [v for _, v in used],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
            materialize_grads=True,
        )
    )


def _split(argnums: Any, args: tuple[Any, ...], op: str) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The arguments to differentiate by, and how to put others in their places."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"{op}: Got argnum={n}, but only {len(args)} positional inputs")
    numbers = tuple(n % len(args) for n in numbers)

    def put(values: Any) -> tuple[Any, ...]:
        out = list(args)
        for n, v in zip(numbers, (values,) if isinstance(argnums, int) else values, strict=True):
            out[n] = v
        return tuple(out)

    return (args[numbers[0]] if isinstance(argnums, int) else tuple(args[n] for n in numbers)), put


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives (derivatives by the arguments `argnums`, value) of one that gives one number.

    Same as torch.func.grad_and_value. With has_aux func gives (number, aux), and the result is (derivatives, (value, aux)).
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _level() as outermost:
            wanted, put = _split(argnums, args, "grad")
            tree, inputs, outer = _fresh(wanted)
            out = func(*put(tree), **kwargs)
            aux = None
            if has_aux:
                if not isinstance(out, tuple) or len(out) != 2:
                    raise RuntimeError("grad: with has_aux the function must return a tuple (output, aux)")
                out, aux = out
            if not isinstance(out, Tensor) or out.numel() != 1 or out.dim() != 0:
                got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
                raise RuntimeError(f"grad: Expected f(*args) to return a scalar tensor, got {got}")
            found = _gradients([out], inputs, None, not outermost or outer)
            detach = outermost and not outer
            grads = tree_unflatten(found, tree_flatten(wanted)[1])
            value = _results((out, aux) if has_aux else out, detach)
            return _results(grads, detach), value

    return wrapper


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the derivatives, by the arguments `argnums`, of one that gives one number.

    Same as torch.func.grad; grad(grad(f)) is the second derivative.
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return wrapper


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), the function from v to v^T J), and aux with has_aux. Same as torch.func.vjp."""
    with _level() as outermost:
        tree, inputs, outer = _fresh(primals)
        out = func(*tree)
        aux = None
        if has_aux:
            out, aux = out
        outputs, spec = tree_flatten(out)
        keep = not outermost or outer

        def backward(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
            given = cotangents[0] if len(cotangents) == 1 else cotangents
            vectors, got = tree_flatten(given)
            if len(vectors) != len(outputs):
                raise RuntimeError(
                    f"vjp: Expected cotangents of the structure of the outputs, got {len(vectors)} for {len(outputs)} tensors"
                )
            with pynn.enable_grad():
                further = keep or any(v.requires_grad for v in vectors)
                found = _gradients(outputs, inputs, vectors, further)
            result = tree_unflatten(found, tree_flatten(primals)[1])
            result = _results(result, not further)
            return result

        shown = _results(out, not keep)
        return (shown, backward, _results(aux, not keep)) if has_aux else (shown, backward)


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """(func(*primals), J tangents), and aux with has_aux, by two reverse passes. Same as torch.func.jvp."""
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or not primals:
        raise RuntimeError("jvp: primals and tangents must be tuples that are not empty")
    with _level() as outermost:
        tree, inputs, outer = _fresh(primals)
        vectors, _ = tree_flatten(tangents)
        if [v.shape for v in vectors] != [x.shape for x in inputs]:
            raise RuntimeError("jvp: primals and tangents must have the same structure and shapes")
        out = func(*tree)
        aux = None
        if has_aux:
            out, aux = out
        outputs, spec = tree_flatten(out)
        u = [pynn.zeros_like(x).requires_grad_() for x in outputs]
        backward = _gradients(outputs, inputs, u, True)
        keep = not outermost or outer or any(v.requires_grad for v in vectors)
        found = _gradients(backward, u, vectors, keep)
        tangent = _results(tree_unflatten(found, spec), not keep)
        shown = _results(out, not keep)
        return (shown, tangent, _results(aux, not keep)) if has_aux else (shown, tangent)


def jacrev(
    func: Callable[..., Any],
    argnums: Any = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """A function that gives all derivatives of the outputs by the arguments `argnums`. Same as torch.func.jacrev.

    A tensor of derivatives has the shape (*output, *input). One backward pass runs for each number of the outputs.
    """

    return _jacobian(func, argnums, has_aux, "jacrev")


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """The same derivatives as jacrev, in two backward passes for each number of the inputs where these are few.

    Same results as torch.func.jacfwd.
    """
    return _jacobian(func, argnums, has_aux, "jacfwd")


def _jacobian(func: Callable[..., Any], argnums: Any, has_aux: bool, op: str) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _level() as outermost:
            wanted, put = _split(argnums, args, op)
            tree, inputs, outer = _fresh(wanted)
            out = func(*put(tree), **kwargs)
            aux = None
            if has_aux:
                out, aux = out
            outputs, spec = tree_flatten(out)
            for y in outputs:
                if not isinstance(y, Tensor):
                    raise RuntimeError(f"{op}: Expected tensors as outputs, got {type(y).__name__}")
            keep = not outermost or outer
            # a pass by columns is one through the graph of a backward pass, about twice as long as one by rows
            few = 2 * sum(x.numel() for x in inputs) <= sum(y.numel() for y in outputs)
            find = _by_columns if op == "jacfwd" and few else _by_rows
            inner = tree_flatten(wanted)[1]
            per_output = [tree_unflatten(row, inner) for row in find(outputs, inputs, keep)]
            result = _results(tree_unflatten(per_output, spec), not keep)
            return (result, _results(aux, not keep)) if has_aux else result

    return wrapper


def _by_rows(outputs: list[Tensor], inputs: list[Tensor], keep: bool) -> list[list[Tensor]]:
    """Derivatives of each output by each input: a backward pass for each number of the outputs."""
    found = []
    for y in outputs:
        flat = y.reshape(-1)
        rows = [_gradients([flat[j]], inputs, None, keep) for j in range(y.numel())]
        found.append(
            [
                (pynn.stack([row[i] for row in rows]) if rows else x.new_zeros((0, *x.shape))).reshape(
                    (*y.shape, *x.shape)
                )
                for i, x in enumerate(inputs)
            ]
        )
    return found


def _by_columns(outputs: list[Tensor], inputs: list[Tensor], keep: bool) -> list[list[Tensor]]:
    """The same from u^T J, which is linear in u: its derivatives by u, along one number of the inputs at a time."""
    u = [pynn.zeros_like(y).requires_grad_() for y in outputs]
    backward = _gradients(outputs, inputs, u, True)
    found: list[list[Tensor]] = [[] for _ in outputs]
    for x, product in zip(inputs, backward, strict=True):
        flat = product.reshape(-1)
        columns = [_gradients([flat[j]], u, None, keep) for j in range(x.numel())]
        for k, y in enumerate(outputs):
            column = [c[k] for c in columns]
            stacked = pynn.stack(column, dim=-1) if column else y.new_zeros((*y.shape, 0))
            found[k].append(stacked.reshape((*y.shape, *x.shape)))
    return found


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function that gives all second derivatives. Same as torch.func.hessian."""
    return jacfwd(jacrev(func, argnums), argnums)
