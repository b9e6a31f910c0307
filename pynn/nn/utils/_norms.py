"""What weight_norm and spectral_norm share."""

from __future__ import annotations

from pynn import Tensor

from ..modules.module import Module


def along_first(weight: Tensor, dim: int) -> Tensor:
    """`dim` moved to the front."""
    return weight if dim == 0 else weight.permute(dim, *[d for d in range(weight.dim()) if d != dim])


def direction_norms(v: Tensor, dim: int) -> Tensor:
    """Euclidean norms over all dims but `dim`, kept as dims of size 1; for -1 one norm of all elements."""
    if dim == -1:
        return v.norm()
    others = [d for d in range(v.dim()) if d != dim]
    return v.norm(2, others, keepdim=True) if others else v.abs()


def transposes(module: Module) -> bool:
    """Whether the module is a transposed convolution, whose outputs are dim 1 of its weight."""
    return any(cls.__name__.startswith("ConvTranspose") for cls in type(module).__mro__)
