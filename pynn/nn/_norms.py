"""Normalisation, for functional.py."""

from __future__ import annotations

import math

import pynn
from pynn import Tensor

from ._pooling import avg_pool2d, avg_pool3d

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def _check_values(name: str, input: Tensor, count: int, words: str) -> None:
    if count == 1:
        raise ValueError(
            f"{name}: expected more than 1 {words} when training, got input size {tuple(input.shape)}"
        )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    relu: bool = False,
) -> Tensor:
    """Return (x - mean) / sqrt(var + eps) * weight + bias for each channel (dim 1), or relu of it.

    In training mean and variance are the batch's, and the running ones move towards them by `momentum` (the
    variance's unbiased form); else the running ones are taken. Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    if training:
        if eps <= 0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
        if input.dim() > 1:
            _check_values(
                "batch_norm", input, input.size(0) * math.prod(input.shape[2:]), "value per channel"
            )
    elif eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return pynn.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, relu=relu)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return batch_norm of each image alone. Ulyanov et al. 2016, arXiv:1607.08022."""
    if use_input_stats:
        _check_values("instance_norm", input, math.prod(input.shape[2:]), "spatial element")
    return pynn.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each image and group of channels by its own statistics. Wu and He 2018, arXiv:1803.08494."""
    if input.dim() > 1 and num_groups > 0:
        count = input.size(0) * (input.size(1) // num_groups) * math.prod(input.shape[2:])
        _check_values("group_norm", input, count, "value per channel")
    elif num_groups == 0:
        raise ZeroDivisionError("group_norm: num_groups must be positive, got 0")
    return pynn.group_norm(input, num_groups, weight, bias, eps)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return x / sqrt(mean(x^2) + eps) * weight over the last dims.

    eps None is the dtype's epsilon. Zhang and Sennrich 2019, arXiv:1910.07467.
    """
    if isinstance(normalized_shape, int):
        raise TypeError(
            f"rms_norm(): argument 'normalized_shape' must be tuple of ints, not int (got {normalized_shape})"
        )
    return pynn.rms_norm(input, normalized_shape, weight, eps)


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Return x / (k + alpha * mean of x^2 over `size` neighbouring channels) ^ beta. Krizhevsky et al. 2012."""
    if input.dim() < 3:
        raise ValueError(
            f"local_response_norm: expected 3D or higher dimensionality input (got {input.dim()} dimensions)"
        )
    if size <= 0:
        raise RuntimeError(f"local_response_norm: size should be greater than zero, got {size}")
    if input.numel() == 0:
        return input
    squares = input.square().unsqueeze(1)
    low, high = size // 2, (size - 1) // 2
    if input.dim() == 3:
        div = avg_pool2d(pynn.nn.functional.pad(squares, (0, 0, low, high)), (size, 1), 1).squeeze(1)
    else:
        flat = squares.reshape(input.size(0), 1, input.size(1), input.size(2), -1)
        flat = pynn.nn.functional.pad(flat, (0, 0, 0, 0, low, high))
        div = avg_pool3d(flat, (size, 1, 1), 1).view(input.shape)
    return input / (div * alpha + k) ** beta
