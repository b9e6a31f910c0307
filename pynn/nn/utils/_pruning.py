"""What the methods of prune.py have in common: the hook, and several hooks as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import pynn
from pynn import Tensor

from ..modules.module import Module


class BasePruningMethod(ABC):
    """A way to choose a mask; a subclass gives compute_mask and PRUNING_TYPE.

    PRUNING_TYPE says what a later method sees of a tensor that is pruned already: "unstructured", the kept elements
    as a vector; "structured", the slices along self.dim that are not all zero; "global", everything. Same as
    torch.nn.utils.prune.BasePruningMethod.
    """

    PRUNING_TYPE: str
    _tensor_name: str  # apply() sets it

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask of the importance scores t; what default_mask, of t's shape, drops stays dropped."""

    def apply_mask(self, module: Module) -> Tensor:
        """Return the module's original tensor times its mask."""
        mask, orig = (getattr(module, self._tensor_name + suffix) for suffix in ("_mask", "_orig"))
        return mask.to(dtype=orig.dtype) * orig

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prune a parameter, on top of what it was pruned before; return the hook.

        A call that raises leaves the module as it was, with the hook it had.

        Args:
            args, kwargs: those of the method's class.
            importance_scores: what stands for the parameter when the mask is chosen, of its shape.

        Raises:
            AssertionError: the scores are of another shape.
        """
        method = cls(*args, **kwargs)
        method._tensor_name = name
        hooks = module._forward_pre_hooks
        olds = [k for k, h in hooks.items() if isinstance(h, BasePruningMethod) and h._tensor_name == name]
        if len(olds) > 1:
            raise AssertionError(f"{name} of {module} has several pruning hooks. Use a PruningContainer.")
        tensor = getattr(module, name)
        scores = _scores_of(tensor, importance_scores, f"parameter {name} of {module}")
        if not olds:
            mask = method.compute_mask(scores, default_mask=pynn.ones_like(tensor))
            method._attach(module, tensor, mask)
        else:
            old = hooks[olds[0]]
            before = getattr(module, name + "_mask").detach().clone(memory_format=pynn.contiguous_format)
            container = old if isinstance(old, PruningContainer) else PruningContainer(old)
            methods = container._pruning_methods
            container.add_pruning_method(method)
            try:
                mask = container.compute_mask(scores, default_mask=before)
            except Exception:
                container._pruning_methods = methods
                raise
            module.register_buffer(name + "_mask", mask)
            setattr(module, name, container.apply_mask(module))
            del hooks[olds[0]]
            method = container
        module.register_forward_pre_hook(method)
        return method

    def _attach(self, module: Module, parameter: Any, mask: Tensor) -> None:
        name = self._tensor_name
        module.register_parameter(name + "_orig", parameter)
        try:
            module.register_buffer(name + "_mask", mask)
            pruned = self.apply_mask(module)
        except Exception:
            module._buffers.pop(name + "_mask", None)
            delattr(module, name + "_orig")
            raise
        delattr(module, name)
        setattr(module, name, pruned)

    def prune(
        self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None
    ) -> Tensor:
        """Return t times the mask that the method gives it; no module takes part.

        Raises:
            AssertionError: the scores are of another shape.
        """
        scores = _scores_of(t, importance_scores, "tensor t")
        if default_mask is None:
            default_mask = pynn.ones_like(t)
        return t * self.compute_mask(scores, default_mask=default_mask)

    def remove(self, module: Module) -> None:
        """Make the pruned tensor the parameter again; the zeros stay. The hook itself is not taken away."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        orig = module._parameters[name + "_orig"]
        assert orig is not None
        for suffix in ("", "_orig", "_mask"):
            if hasattr(module, name + suffix):
                delattr(module, name + suffix)
        orig.data = weight.detach()  # the same object, which an optimizer may hold
        setattr(module, name, orig)


class PruningContainer(BasePruningMethod):
    """Methods that prune one tensor, in order; the last one refines the mask of those before.

    Same as torch.nn.utils.prune.PruningContainer.
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if args:
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add a method at the end.

        Raises:
            TypeError: it is none.
            ValueError: it prunes a tensor of another name.
        """
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method._tensor_name != self._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}', got one for '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return default_mask, refined by the last method among what it keeps.

        Raises:
            AttributeError: a structured method has no dim.
            IndexError: its dim is out of range.
            ValueError: the method's PRUNING_TYPE is unknown.
        """
        method = self._pruning_methods[-1]
        kept = _kept(method, default_mask, t.dim())
        mask = default_mask.to(dtype=t.dtype, copy=True)
        mask[kept] = method.compute_mask(t[kept], default_mask=default_mask[kept]).to(dtype=mask.dtype)
        return mask


def _kept(method: Any, mask: Tensor, ndim: int) -> Any:
    """The index of what the mask leaves to the method."""
    kind = method.PRUNING_TYPE
    if kind == "unstructured":
        return mask == 1
    index: list[Any] = [slice(None)] * ndim
    if kind == "structured":
        if not hasattr(method, "dim"):
            raise AttributeError('a method of PRUNING_TYPE "structured" needs the attribute `dim`')
        if not -ndim <= method.dim < ndim:
            raise IndexError(f"Index {method.dim} is out of bounds for a tensor with {ndim} dimensions")
        dim = method.dim % ndim
        index[dim] = mask.sum(dim=[d for d in range(ndim) if d != dim]) != 0
    elif kind != "global":
        raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
    return tuple(index)


def _scores_of(t: Tensor, scores: Tensor | None, what: str) -> Tensor:
    if scores is None:
        return t
    if scores.shape != t.shape:
        raise AssertionError(
            f"importance_scores should have the same shape as {what}, got {scores.shape} vs {t.shape}"
        )
    return scores
