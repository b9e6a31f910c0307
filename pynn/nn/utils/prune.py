"""Pruning: module.weight becomes weight_orig times a mask of zeros and ones. Same as torch.nn.utils.prune.

A method is the hook before the forward, too, and multiplies anew there: training goes on through weight_orig.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import pynn
from pynn import Tensor

from ..modules.module import Module
from ._pruning import BasePruningMethod, PruningContainer
from .convert_parameters import parameters_to_vector

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


class Identity(BasePruningMethod):
    """Prune nothing, but make the mask, for one to be set later. Same as torch.nn.utils.prune.Identity."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name)


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    most = float("inf") if isinstance(amount, numbers.Integral) else 1
    if not 0 <= amount <= most:  # type: ignore[operator]
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer"
        )


def _count(amount: Any, size: int) -> int:
    """How many of `size` an amount is."""
    count = int(amount) if isinstance(amount, numbers.Integral) else round(amount * size)
    if count > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return count


class _Unstructured(BasePruningMethod):
    PRUNING_TYPE = "unstructured"
    _largest = False  # whether elements of the largest or of the smallest scores go

    def __init__(self, amount: int | float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        mask = default_mask.clone(memory_format=pynn.contiguous_format)
        if count:
            chosen = self._scores(t).view(-1).topk(count, largest=self._largest).indices
            mask.view(-1)[chosen] = 0
        return mask

    def _scores(self, t: Tensor) -> Tensor:
        """Numbers, of t's shape, by which elements are chosen."""
        raise NotImplementedError


class RandomUnstructured(_Unstructured):
    """Prune elements drawn at random. Same as torch.nn.utils.prune.RandomUnstructured.

    Args:
        amount: how many; a float is a share of them.
    """

    _largest = True

    def _scores(self, t: Tensor) -> Tensor:
        return pynn.rand_like(t)

    @classmethod
    def apply(cls, module: Module, name: str, amount: int | float) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name, amount=amount)


class L1Unstructured(_Unstructured):
    """Prune the elements nearest to zero. Same as torch.nn.utils.prune.L1Unstructured.

    Args:
        amount: how many; a float is a share of them.
    """

    def _scores(self, t: Tensor) -> Tensor:
        return t.detach().abs()

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: int | float, importance_scores: Tensor | None = None
    ) -> BasePruningMethod:
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class _Structured(BasePruningMethod):
    PRUNING_TYPE = "structured"
    dim: int
    amount: int | float

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.dim() <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors, "
                f"got shape {t.shape} with {t.dim()} dims"
            )
        if not -t.dim() <= self.dim < t.dim():
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        size = t.shape[self.dim]
        count = _count(self.amount, size)
        kept = self._channels(t, size, count)
        if not count:
            return default_mask
        mask = pynn.zeros_like(t)
        index: list[Any] = [slice(None)] * t.dim()
        index[self.dim] = kept
        mask[tuple(index)] = 1
        mask *= default_mask.to(dtype=mask.dtype)
        return mask

    def _channels(self, t: Tensor, size: int, count: int) -> Any:
        """The index, along dim, of the size - count slices to keep."""
        raise NotImplementedError


class RandomStructured(_Structured):
    """Prune slices drawn at random. Same as torch.nn.utils.prune.RandomStructured.

    Args:
        amount: how many; a float is a share of them.
        dim: the dimension that the slices lie along.
    """

    def __init__(self, amount: int | float, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount = amount
        self.dim = dim

    def _channels(self, t: Tensor, size: int, count: int) -> Any:
        if not count:
            return None  # draws nothing, as PyTorch
        draws = pynn.rand(size)  # on the CPU wherever t is, so with the same numbers
        return (draws > draws.kthvalue(count).values).to(t.device)

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: int | float, dim: int = -1
    ) -> BasePruningMethod:
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Structured):
    """Prune the slices of smallest norm. Same as torch.nn.utils.prune.LnStructured.

    Args:
        amount: how many; a float is a share of them.
        n: which norm: a number, inf, -inf, "fro" or "nuc", as norm's p.
        dim: the dimension that the slices lie along.
    """

    def __init__(self, amount: int | float, n: float | str, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount = amount
        self.n = n
        self.dim = dim

    def _channels(self, t: Tensor, size: int, count: int) -> Any:
        others = [d for d in range(t.dim()) if d != self.dim % t.dim()]
        return pynn.norm(t.detach(), p=self.n, dim=others).topk(size - count).indices

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: Module,
        name: str,
        amount: int | float,
        n: float | str,
        dim: int,
        importance_scores: Tensor | None = None,
    ) -> BasePruningMethod:
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prune by a given mask, of the parameter's shape. Same as torch.nn.utils.prune.CustomFromMask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if self.mask.shape != default_mask.shape:
            raise AssertionError(
                f"the mask's shape {self.mask.shape} must match {default_mask.shape}, that of default_mask"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, mask: Tensor) -> BasePruningMethod:  # type: ignore[override]
        return super().apply(module, name, mask=mask)


def identity(module: Module, name: str) -> Module:
    """Give a parameter a mask of ones; return the module. Same as torch.nn.utils.prune.identity."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: int | float) -> Module:
    """Prune elements drawn at random; return the module. Same as torch.nn.utils.prune.random_unstructured.

    Args:
        amount: how many; a float is a share of those that are not pruned yet.

    Raises:
        TypeError: the amount is no number.
        ValueError: it is negative, a float over 1, or more than there are.
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: int | float, importance_scores: Tensor | None = None
) -> Module:
    """Prune the elements nearest to zero; return the module. Same as torch.nn.utils.prune.l1_unstructured.

    Args:
        amount: as random_unstructured's, with its errors.
        importance_scores: what to look at in place of the parameter, of its shape.
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: int | float, dim: int) -> Module:
    """Prune slices along dim, drawn at random; return the module. Same as torch.nn.utils.prune.random_structured.

    Args:
        amount: how many slices; a float is a share of those that are not pruned yet.

    Raises:
        IndexError: dim is out of range.
        TypeError: the amount is no number.
        ValueError: it is out of range, or the parameter has fewer than 2 dimensions.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module,
    name: str,
    amount: int | float,
    n: float | str,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Module:
    """Prune the slices along dim of smallest norm; return the module. Same as torch.nn.utils.prune.ln_structured.

    Args:
        amount: as random_structured's, with its errors.
        n: which norm: a number, inf, -inf, "fro" or "nuc".
        importance_scores: what to look at in place of the parameter, of its shape.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: Any,
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune parameters of several modules as if they were one. Same as torch.nn.utils.prune.global_unstructured.

    Args:
        parameters: pairs of a module and a name in it.
        pruning_method: a class of PRUNING_TYPE "unstructured"; kwargs are its arguments.
        importance_scores: what to look at in place of some of the parameters.

    Raises:
        TypeError: an argument or the PRUNING_TYPE is of another kind.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    if importance_scores is None:
        importance_scores = {}
    if not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs = list(parameters)
    tensors = [getattr(module, name) for module, name in pairs]
    scores = parameters_to_vector(
        importance_scores.get(pair, t) for pair, t in zip(pairs, tensors, strict=True)
    )
    before = parameters_to_vector(
        getattr(module, name + "_mask", pynn.ones_like(t))
        for (module, name), t in zip(pairs, tensors, strict=True)
    )
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for pruning_method, '
            f"got {pruning_method} of type {method.PRUNING_TYPE}"
        )
    method._tensor_name = "all"  # a container takes none without
    mask = PruningContainer(method).compute_mask(scores, before)
    parts = mask.split([t.numel() for t in tensors])
    for (module, name), t, part in zip(pairs, tensors, parts, strict=True):
        custom_from_mask(module, name, mask=part.view_as(t))


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune a parameter by a mask of its shape; return the module. Same as torch.nn.utils.prune.custom_from_mask.

    Raises:
        AssertionError: the mask has another shape.
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter a usual one, with its zeros; return the module. Same as torch.nn.utils.prune.remove.

    Raises:
        ValueError: the parameter is not pruned.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Return whether the module, or one within it, has a pruned parameter. Same as torch.nn.utils.prune.is_pruned."""
    hooks = (hook for m in module.modules() for hook in m._forward_pre_hooks.values())
    return any(isinstance(hook, BasePruningMethod) for hook in hooks)
