"""Automatic differentiation: backward, grad, custom functions, modes and hooks. Names as in torch.autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn.autograd import graph
from pynn.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from pynn.autograd.function import Function, once_differentiable
from pynn.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from pynn.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from pynn.autograd.graph import _end_pass, _waiting

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def _tuple(x: Any) -> tuple:
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _root_grads(op: str, roots: tuple[Tensor, ...], grads: Any) -> list[Tensor]:
    """Given gradients, or 1 for roots of one element."""
    given = (None,) * len(roots) if grads is None else _tuple(grads)
    for g in given:
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if len(given) != len(roots):
        raise RuntimeError(f"{op}: got {len(roots)} tensors and {len(given)} gradients")
    out = []
    for root, g in zip(roots, given, strict=True):
        if not isinstance(root, Tensor):
            raise TypeError(f"{op}: tensors are required, got {type(root).__name__}")
        if g is None:
            if root.requires_grad and root.numel() != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, got shape {tuple(root.shape)}"
                )
            if root.requires_grad and root.is_complex():
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {root.dtype}"
                )
            g = _C.ones_like(root)
        out.append(g)
    return out


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of `tensors` to the .grad of the leaves they came from. Same as torch.autograd.backward.

    Args:
        grad_tensors: one gradient per tensor; 1 for tensors of one element if left out.
        retain_graph: keep what backward needs, for another backward. Default: create_graph.
        create_graph: record the backward itself, for higher derivatives.
        inputs: add gradients to these only.
    """
    roots = _tuple(tensors)
    if inputs is not None and not isinstance(inputs, Tensor) and len(inputs) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    grads = _root_grads("backward", roots, grad_tensors if grad_tensors is not None else grad_variables)
    keep = create_graph if retain_graph is None else retain_graph
    mark = len(_waiting)
    try:
        _C._backward(roots, grads, keep, create_graph, () if inputs is None else _tuple(inputs))
    except BaseException:
        _end_pass(mark, True)
        raise
    if len(_waiting) > mark:
        _end_pass(mark, False)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of `outputs` with respect to `inputs`, without touching .grad. Same as torch.autograd.grad.

    Raises:
        RuntimeError: an input was not used and neither allow_unused nor materialize_grads is set.
    """
    if is_grads_batched:
        raise RuntimeError("grad: is_grads_batched is not supported (call grad once per row)")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    roots, wanted = _tuple(outputs), _tuple(inputs)
    grads = _root_grads("grad", roots, grad_outputs)
    keep = create_graph if retain_graph is None else retain_graph
    mark = len(_waiting)
    try:
        found = _C._grad(roots, grads, wanted, keep, create_graph, bool(allow_unused) or materialize_grads)
    except BaseException:
        _end_pass(mark, True)
        raise
    if len(_waiting) > mark:
        _end_pass(mark, False)
    if materialize_grads:
        found = [_C.zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]
    return tuple(found)


class Variable(Tensor):
    """A tensor under its old name: Variable(t) is t. Same as torch.autograd.Variable."""

    __torch_function__ = _C._disabled_torch_function_impl

    def __new__(cls, data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Tensor:  # type: ignore[misc]
        return data.requires_grad_() if requires_grad else data


def __getattr__(name: str) -> Any:
    from pynn._lazy import submodule

    return submodule(__name__, name)
