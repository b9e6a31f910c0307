"""The functions behind the modules. Same as torch.nn.functional.

Native ops that have PyTorch's signature are bound as they are. The others get a thin function that takes the
old or the `inplace` arguments, or are composed of tensor functions here, as in `_losses.py`.
"""

from __future__ import annotations

import pynn
from pynn import _C, Tensor

from ._activations import (
    gumbel_softmax,
    hardshrink,
    rrelu,
    rrelu_,
    softshrink,
)
from ._attention import multi_head_attention_forward
from ._distance import cosine_similarity, pairwise_distance
from ._dropout import (
    alpha_dropout,
    feature_alpha_dropout,
)
from ._embedding_bag import embedding_bag, limit_rows
from ._fold import (
    fold,
    unfold,
)
from ._grid import (
    affine_grid,
    grid_sample,
)
from ._linear_cross_entropy import linear_cross_entropy
from ._losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from ._norms import (
    batch_norm,
    group_norm,
    instance_norm,
    local_response_norm,
    rms_norm,
)
from ._pair_losses import (
    cosine_embedding_loss,
    ctc_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ._pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from ._upsample import (
    interpolate,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv_tbc",
    "grouped_mm",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "linear_cross_entropy",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "native_channel_shuffle",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

_nn = _C._nn

linear = _nn.linear
pad = _nn.pad
bilinear = _nn.bilinear
conv1d = pynn.conv1d
conv2d = pynn.conv2d
conv3d = pynn.conv3d
conv_transpose1d = pynn.conv_transpose1d
conv_transpose2d = pynn.conv_transpose2d
conv_transpose3d = pynn.conv_transpose3d
pixel_shuffle = pynn.pixel_shuffle
pixel_unshuffle = pynn.pixel_unshuffle
channel_shuffle = pynn.channel_shuffle
native_channel_shuffle = pynn.native_channel_shuffle
gelu = _nn.gelu
softplus = _nn.softplus
layer_norm = _nn.layer_norm
pdist = pynn.pdist
relu_ = _nn.relu_
scaled_dot_product_attention = _nn.scaled_dot_product_attention
elu_ = _nn.elu_
leaky_relu_ = _nn.leaky_relu_
sigmoid = pynn.sigmoid
tanh = pynn.tanh


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return max(x, 0)."""
    return _nn.relu_(input) if inplace else _nn.relu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x * sigmoid(x)."""
    return _nn.silu_(input) if inplace else _nn.silu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return x where x > 0, negative_slope * x elsewhere."""
    return _nn.leaky_relu_(input, negative_slope) if inplace else _nn.leaky_relu(input, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x where x > 0, alpha * (exp(x) - 1) elsewhere."""
    return _nn.elu_(input, alpha) if inplace else _nn.elu(input, alpha)


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolve (T, B, C) with a weight of (window, C, out) along the first dim."""
    if input.dim() != 3 or weight.dim() != 3 or bias.dim() != 1:
        raise RuntimeError(
            "conv_tbc: input and weight of 3 dims and a bias of 1 are required, got "
            f"{input.dim()}, {weight.dim()} and {bias.dim()}"
        )
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad).permute(2, 0, 1)


def grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: Any = None,
) -> Tensor:
    """Return the products of groups: of matrices, or of the rows or columns between the offsets `offs`."""
    from ._grouped_mm import grouped_mm

    return grouped_mm(mat_a, mat_b, offs, bias, out_dtype)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Return x where x > threshold, `value` elsewhere."""
    return _nn.threshold_(input, threshold, value) if inplace else _nn.threshold(input, threshold, value)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Return x between the bounds, the nearer bound elsewhere."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if not input.is_floating_point():  # integers stay integers
        min_val, max_val = int(min_val), int(max_val)
    return _nn.hardtanh_(input, min_val, max_val) if inplace else _nn.hardtanh(input, min_val, max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Return min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Return relu6(x + 3) / 6."""
    return _nn.hardsigmoid_(input) if inplace else _nn.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x * relu6(x + 3) / 6."""
    return _nn.hardswish_(input) if inplace else _nn.hardswish(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Return x * tanh(softplus(x)). Misra 2019, arXiv:1908.08681."""
    return _nn.mish_(input) if inplace else _nn.mish(input)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return scale * elu(x, alpha) with the constants of Klambauer et al. 2017, arXiv:1706.02515."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return _nn.elu_(input, alpha, scale) if inplace else _nn.elu(input, alpha, scale)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Return max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0). Barron 2017, arXiv:1704.07483."""
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be zero, got 0")
    return _nn.elu_(input, alpha, 1.0, 1 / alpha) if inplace else _nn.elu(input, alpha, 1.0, 1 / alpha)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """Threshold in place."""
    return _nn.threshold_(input, threshold, value)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Hardtanh in place."""
    return hardtanh(input, min_val, max_val, True)


def selu_(input: Tensor) -> Tensor:
    """Selu in place."""
    return selu(input, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """Celu in place."""
    return celu(input, alpha, True)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Return x where x > 0, weight * x elsewhere; one weight for all channels (dim 1) or one for each."""
    if weight.numel() != 1:
        channels = input.size(1) if input.dim() > 1 else 1
        if weight.dim() != 1 or weight.numel() != channels:
            raise RuntimeError(
                f"prelu: weight must have one number or one for each of the {channels} channels, "
                f"got shape {tuple(weight.shape)}"
            )
        weight = weight.view(-1, *[1] * (input.dim() - 2))
    else:
        weight = weight.reshape([1] * input.dim())
    return _nn.prelu(input, weight)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Return a * sigmoid(b), where a and b are the halves of x along `dim`. Dauphin et al.

    2016, arXiv:1612.08083.
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    size = input.size(dim)
    if size % 2:
        raise RuntimeError(f"glu: the size along dim {dim} must be even, got {size}")
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


def logsigmoid(input: Tensor) -> Tensor:
    """Return log(sigmoid(x)) = -log(1 + exp(-x))."""
    return softplus(input, -1.0, 80.0)  # exp(80) still fits float32, and beyond it the two branches agree


def softsign(input: Tensor) -> Tensor:
    """Return x / (1 + |x|)."""
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """Return x - tanh(x)."""
    return input - input.tanh()


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return exp(x) / sum(exp(x)) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmax", input, _stacklevel)
    return _nn.softmax(input, dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return log(softmax(x)) along `dim`."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input, _stacklevel)
    return _nn.log_softmax(input, dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Return softmax(-x) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmin", input, _stacklevel)
    return _nn.softmax(-input, dim, dtype)


def _implicit_dim(name: str, input: Tensor, stacklevel: int) -> int:
    import warnings

    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an "
        "argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.dim() in (0, 1, 3) else 1


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training set each element to zero with probability `p` and multiply the others by 1 / (1 - p)."""
    _check_probability(p)
    if not inplace:
        return _nn.dropout(input, p, training)
    return input.copy_(_nn.dropout(input, p, True)) if training else input


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, L) or (C, L)."""
    if input.dim() not in (2, 3):
        raise RuntimeError(f"dropout1d: input must have 2 or 3 dimensions, got {input.dim()}")
    return _drop_channels(input, 2 if input.dim() == 3 else 1, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, H, W); dim 1 is the channel for any number of dims, as in PyTorch."""
    if input.dim() != 4:
        import warnings

        warnings.warn(
            f"dropout2d: input should have 4 dimensions, got {input.dim()}; dim 1 is taken as the channel "
            "(use dropout1d for (N, C, L))",
            stacklevel=2,
        )
    return _drop_channels(input, 2, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    if input.dim() not in (4, 5):
        import warnings

        warnings.warn(f"dropout3d: input should have 4 or 5 dimensions, got {input.dim()}", stacklevel=2)
    return _drop_channels(input, 2 if input.dim() == 5 else 1, p, training, inplace)


def _drop_channels(input: Tensor, kept: int, p: float, training: bool, inplace: bool) -> Tensor:
    """Dropout with one draw for each index of the first `kept` dimensions."""
    _check_probability(p)
    if not training or p == 0:
        return input
    if input.dim() < kept:
        raise RuntimeError(f"dropout: input must have at least {kept} dimensions, got {input.dim()}")
    ones = input.new_ones((*input.shape[:kept], *[1] * (input.dim() - kept)))
    scale = _nn.dropout(ones, p, True)
    return input.mul_(scale) if inplace else input * scale


def _check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Return the rows of `weight` that `input` names.

    Args:
        padding_idx: a row that gets no gradient.
        max_norm: rows in use whose norm is larger are first scaled down to it, in place.
        scale_grad_by_freq: divide the gradient of a row by how often it is named.
        sparse: taken for PyTorch's sake; the gradient is dense, with the same values.
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        rows = weight.size(0)
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        if padding_idx < 0:
            padding_idx += rows
    if max_norm is not None:
        limit_rows(weight, input, max_norm, norm_type)
    return _nn.embedding(weight, input, padding_idx, scale_grad_by_freq)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return zeros with a one where `tensor` says, in a new last dim of `num_classes` (-1: enough)."""
    if tensor.dtype != pynn.int64:
        raise RuntimeError(f"one_hot: classes must be int64, got {tensor.dtype}")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    else:
        if int(tensor.min()) < 0:
            raise RuntimeError("Class values must be non-negative.")
        largest = int(tensor.max())
        if num_classes == -1:
            num_classes = largest + 1
        elif num_classes < 1:
            raise RuntimeError("num_classes should be positive")
        elif largest >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    return tensor.new_zeros((*tensor.shape, num_classes)).scatter_(-1, tensor.unsqueeze(-1), 1)


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """Return x / max(norm of order p along `dim`, eps)."""
    norm = input.norm(p, dim, keepdim=True).clamp(min=eps)
    return input / norm if out is None else pynn.div(input, norm, out=out)
