"""Fold batch normalisation into the layer before it, for inference. Same as torch.nn.utils.fusion."""

from __future__ import annotations

import copy

import pynn
from pynn import Tensor

from ..modules.module import Module
from ..parameter import Parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _fused_weights(
    w: Tensor, b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Any, bn_b: Any, dim: int
) -> tuple[Parameter, Parameter]:
    """`dim` of the weight is that of the outputs."""
    scale = (bn_rv + bn_eps).rsqrt()
    if bn_w is not None:
        scale = scale * bn_w
    bias = -bn_rm if b is None else b - bn_rm
    bias = bias * scale
    if bn_b is not None:
        bias = bias + bn_b
    shape = [1] * w.dim()
    shape[dim] = -1
    weight = (w * scale.reshape(shape)).to(w.dtype)
    return (
        Parameter(weight.detach(), w.requires_grad),
        Parameter(
            bias.to(w.dtype if b is None else b.dtype).detach(), True if b is None else b.requires_grad
        ),
    )


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the convolution that does both."""
    return _fused_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the Linear that does both."""
    return _fused_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _fused(layer: Any, bn: Any, dim: int) -> Any:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    fused = copy.deepcopy(layer)
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Expected bn.running_mean and bn.running_var to be not None")
    fused.weight, fused.bias = _fused_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, dim
    )
    return fused


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """Return a convolution that computes bn(conv(x)); both must be in eval mode."""
    return _fused(conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """Return a Linear that computes bn(linear(x)); both must be in eval mode.

    Raises:
        AssertionError: one of them is in training mode, or their numbers of features differ.
    """
    if linear.out_features != bn.num_features and bn.num_features != 1:  # type: ignore[attr-defined]
        raise AssertionError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    with pynn.no_grad():
        return _fused(linear, bn, 0)
