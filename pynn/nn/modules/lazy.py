"""Modules that learn the sizes of their parameters from their first input."""

from __future__ import annotations

import pynn
from pynn import Tensor

from ..parameter import UninitializedParameter, is_lazy
from .linear import Linear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["LazyLinear"]


class LazyModuleMixin:
    """Base, beside a module class, of modules with uninitialised parameters.

    Same as torch.nn.modules.lazy.LazyModuleMixin. A subclass sets such parameters in __init__ and has
    `initialize_parameters(*inputs)`, which materialises them before the first forward; the module then becomes an
    instance of `cls_to_become`.
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(_materialize_from, with_module=True)  # type: ignore[attr-defined]
        self._initialize_hook = self.register_forward_pre_hook(_infer_parameters, with_kwargs=True)  # type: ignore[attr-defined]

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes, by what forward will be called with."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__} (a lazy module has to have it)"
        )

    def _own(self) -> list[Any]:
        return [t for t in (*self._parameters.values(), *self._buffers.values()) if t is not None]  # type: ignore[attr-defined]

    def has_uninitialized_params(self) -> bool:
        """Return whether a parameter or buffer has no shape yet."""
        return any(is_lazy(t) for t in self._own())

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
        for members in (self._parameters, self._buffers):  # type: ignore[attr-defined]
            for name, t in members.items():
                if is_lazy(t) and prefix + name in destination:
                    destination[prefix + name] = t  # itself: its data is not that of a tensor


def _infer_parameters(module: Any, args: Any, kwargs: Any) -> None:
    """The hook before the first forward."""
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(
            f"module {type(module).__name__} has not been fully initialized (initialize_parameters left something out)"
        )
    module._initialize_hook.remove()
    module._load_hook.remove()
    del module._initialize_hook, module._load_hook
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


def _materialize_from(module: Any, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """The hook before loading: shapes are those of what is loaded."""
    for members in (module._parameters, module._buffers):
        for name, t in members.items():
            given = state_dict.get(prefix + name)
            if given is not None and is_lazy(t) and not is_lazy(given):
                with pynn.no_grad():
                    t.materialize(given.shape)


class LazyLinear(LazyModuleMixin, Linear):
    """A Linear whose in_features is the last size of its first input. Same as torch.nn.LazyLinear."""

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the weights, if they have a shape."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:  # type: ignore[override]
        """Take in_features from the input."""
        if self.in_features == 0:
            self.in_features = input.shape[-1]
        if not self.has_uninitialized_params():
            return
        with pynn.no_grad():
            self.weight.materialize((self.out_features, self.in_features))  # type: ignore[attr-defined]
            if self.bias is not None:
                self.bias.materialize((self.out_features,))  # type: ignore[attr-defined]
            self.reset_parameters()
