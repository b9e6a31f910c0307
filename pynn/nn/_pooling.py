"""Pooling, for functional.py."""

from __future__ import annotations

import math

import pynn
from pynn import _C, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Size = int | Sequence[int]
    Pair = tuple[Tensor, Tensor]

_nn = _C._nn

avg_pool1d = pynn.avg_pool1d
avg_pool2d = _nn.avg_pool2d
avg_pool3d = _nn.avg_pool3d
adaptive_avg_pool1d = _nn.adaptive_avg_pool1d


def _tuple(x: Any, n: int) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,) * n


# -- maxima over sliding windows ------------------------------------------------------------------------------------


def _max_pool(dims: int) -> tuple[Callable[..., Any], Callable[..., Pair]]:
    values, both = getattr(pynn, f"max_pool{dims}d"), getattr(_nn, f"max_pool{dims}d_with_indices")

    def max_pool(
        input: Tensor,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor | Pair:
        op = both if return_indices else values
        return op(input, kernel_size, stride, padding, dilation, ceil_mode)

    def max_pool_with_indices(
        input: Tensor,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Pair:
        return both(input, kernel_size, stride, padding, dilation, ceil_mode)

    return _named(max_pool, f"max_pool{dims}d", _MAX_DOC), _named(
        max_pool_with_indices, f"max_pool{dims}d_with_indices", _MAX_DOC
    )


def _named(f: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    f.__name__ = f.__qualname__ = name
    f.__doc__ = doc
    return f


_MAX_DOC = """The largest element of each window, and with `return_indices` its position in the flattened
spatial dims.

    Args:
        stride: distance between windows; None is the kernel size.
        padding: positions added at both ends, which are never the largest.
        dilation: distance between the elements of a window.
        ceil_mode: a last window may reach beyond the end.
    """
_ADAPTIVE_DOC = """The largest elements of `output_size` windows that cover each dim; None keeps a dim's
size."""

max_pool1d, max_pool1d_with_indices = _max_pool(1)
max_pool2d, max_pool2d_with_indices = _max_pool(2)
max_pool3d, max_pool3d_with_indices = _max_pool(3)


# -- adaptive windows -----------------------------------------------------------------------------------------------


def _resolve(name: str, output_size: Any, input: Tensor, dims: int) -> tuple[int, ...]:
    """Return one number for each dim; None stands for the input's size."""
    sizes = _tuple(output_size, dims)
    if dims > 1 and isinstance(output_size, (tuple, list)) and input.dim() <= len(sizes):
        raise ValueError(f"{name}: the input must have at least {len(sizes) + 1} dims, got {input.dim()}")
    if len(sizes) != dims:
        raise RuntimeError(f"{name}: output_size must be {dims} numbers, got {output_size}")
    if dims > 1 and input.dim() >= dims:  # the op refuses fewer
        return tuple(s if n is None else n for n, s in zip(sizes, input.shape[-dims:], strict=True))
    return sizes


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Return averages of `output_size` windows that cover each dim; None keeps a dim's size."""
    return _nn.adaptive_avg_pool2d(input, _resolve("adaptive_avg_pool2d", output_size, input, 2))


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Return averages of `output_size` windows that cover each dim; None keeps a dim's size."""
    return _nn.adaptive_avg_pool3d(input, _resolve("adaptive_avg_pool3d", output_size, input, 3))


def _adaptive_max_pool(dims: int) -> tuple[Callable[..., Any], Callable[..., Pair]]:
    name = f"adaptive_max_pool{dims}d"
    op = getattr(_nn, name)

    def adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor | Pair:
        both = op(input, _resolve(name, output_size, input, dims))
        return both if return_indices else both[0]

    def adaptive_max_pool_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Pair:
        return op(input, _resolve(name, output_size, input, dims))

    return _named(adaptive_max_pool, name, _ADAPTIVE_DOC), _named(
        adaptive_max_pool_with_indices, f"{name}_with_indices", _ADAPTIVE_DOC
    )


adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _adaptive_max_pool(1)
adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _adaptive_max_pool(2)
adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _adaptive_max_pool(3)


# -- power averages -------------------------------------------------------------------------------------------------


def _lp_pool(
    input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None, ceil_mode: bool, dims: int
) -> Tensor:
    kernel = _tuple(kernel_size, dims)
    average = (avg_pool1d, avg_pool2d, avg_pool3d)[dims - 1]
    out = average(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    return (out.sign() * _nn.relu(out.abs())).mul(math.prod(kernel)).pow(1.0 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: int,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the norm of order `norm_type` of each window."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the norm of order `norm_type` of each window."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Return the norm of order `norm_type` of each window."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 3)


# -- windows at random places ---------------------------------------------------------------------------------------


def _starts(name: str, samples: Tensor, size: int, out: int, kernel: int) -> Tensor:
    """Return where the windows of one dim start: pseudo-random steps whose mean is (size - kernel) / (out - 1)."""
    if out + kernel - 1 > size:
        raise RuntimeError(
            f"{name}: output_size + kernel_size - 1 must not exceed the input's size, got {out} + {kernel} - 1 > "
            f"{size} (pool size too large relative to input)"
        )
    last = samples.new_full((*samples.shape, 1), size - kernel).long()
    if out == 1:
        return last
    alpha = (size - kernel) / (out - 1)
    u = samples.unsqueeze(-1)
    places = pynn.arange(out - 1, dtype=samples.dtype, device=samples.device)
    return pynn.cat([((places + u) * alpha).long() - (u * alpha).long(), last], -1)


def _fractional_max_pool(
    dims: int,
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None,
    output_ratio: Any,
    samples: Tensor | None,
) -> Pair:
    name = f"fractional_max_pool{dims}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if input.dim() not in (dims + 1, dims + 2) or 0 in input.shape[-dims - 1 :]:
        raise RuntimeError(
            f"{name}: expected {dims + 1}D or {dims + 2}D input whose sizes, but that of the batch, are not zero, "
            f"got {tuple(input.shape)}"
        )
    spatial = input.shape[-dims:]
    kernel = _tuple(kernel_size, dims)
    if output_size is None:
        ratios = _tuple(output_ratio, dims)
        out = tuple(int(s * r) for s, r in zip(spatial, ratios, strict=True))
    else:
        out = _tuple(output_size, dims)
    x = input if input.dim() == dims + 2 else input.unsqueeze(0)
    planes = x.shape[:2]
    if samples is None:
        samples = pynn.rand(*planes, dims, dtype=input.dtype, device=input.device)
    elif input.dim() == dims + 1:
        samples = samples[:1]  # one batch
    # In two dims PyTorch's first sample is the width's.
    order = reversed(range(2)) if dims == 2 else range(dims)
    starts = [
        _starts(name, samples[..., i], s, o, k)
        for i, s, o, k in zip(order, spatial, out, kernel, strict=True)
    ]
    # Positions in the flattened plane, for each place of the windows and each output.
    where: Any = 0
    for d in range(dims):
        place = starts[d].unsqueeze(2) + pynn.arange(kernel[d], device=input.device).unsqueeze(1)
        spread = [*planes, *[1] * (2 * dims)]
        spread[2 + d], spread[2 + dims + d] = kernel[d], out[d]
        where = where * spatial[d] + place.view(spread)
    flat = x.flatten(2)
    windows = where.reshape(*planes, math.prod(kernel) * math.prod(out))
    places = (*planes, math.prod(kernel), math.prod(out))
    best = flat.detach().gather(2, windows).view(places).argmax(2, True)
    index = windows.view(places).gather(2, best).squeeze(2)
    shape = (*planes, *out) if input.dim() == dims + 2 else (*planes[1:], *out)
    return flat.gather(2, index).view(shape), index.view(shape)


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Pair:
    """Return the largest elements of windows at random places, and where they stand. Graham 2014, arXiv:1412.6071."""
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Pair:
    """Return the largest elements of windows at random places, and where they stand. Graham 2014, arXiv:1412.6071."""
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Tensor | Pair:
    """Return the largest elements of windows at random places. Graham 2014, arXiv:1412.6071.

    Args:
        output_size: how many windows; or
        output_ratio: how many of the input's size.
    """
    both = _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return both if return_indices else both[0]


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Tensor | Pair:
    """Return the largest elements of windows at random places; see fractional_max_pool2d."""
    both = _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return both if return_indices else both[0]


# -- the way back ---------------------------------------------------------------------------------------------------


def _max_unpool(
    dims: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: Sequence[int] | None,
) -> Tensor:
    name = f"max_unpool{dims}d"
    if input.dim() not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}: expected {dims + 1}D or {dims + 2}D input, got {tuple(input.shape)}")
    kernel, pad = _tuple(kernel_size, dims), _tuple(padding, dims)
    step = kernel if stride is None else _tuple(stride, dims)
    usual: list[int] = [
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(input.shape[-dims:], step, kernel, pad, strict=True)
    ]
    size = _unpool_size(name, output_size, usual, step, dims)
    if indices.dtype != pynn.int64:
        raise RuntimeError(f"{name}: elements in indices should be type int64, got {indices.dtype}")
    if indices.shape != input.shape:
        raise RuntimeError(
            f"{name}: indices must have the input's shape {tuple(input.shape)}, got {tuple(indices.shape)}"
        )
    total = math.prod(size)
    if indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= total):
        bad = indices[(indices < 0) | (indices >= total)][0]
        raise RuntimeError(
            f"{name}: found an invalid max index: {int(bad)} (output volumes are of size {size})"
        )
    lead = input.shape[:-dims]
    flat = input.new_zeros((*lead, total))
    return flat.scatter(-1, indices.flatten(-dims), input.flatten(-dims)).view(*lead, *size)


def _unpool_size(name: str, wanted: Any, usual: list[int], step: Any, dims: int) -> list[int]:
    if wanted is None:
        return usual
    size = list(wanted)
    if len(size) == dims + 2:
        size = size[2:]
    if len(size) != dims:
        raise ValueError(
            f"{name}: output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a length of "
            f"'{len(size)}'"
        )
    for d in range(dims):
        low, high = usual[d] - step[d], usual[d] + step[d]
        if not low < size[d] < high:
            raise ValueError(
                f'{name}: invalid output_size "{tuple(size)}" (dim {d} must be between {low} and {high})'
            )
    return size


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the elements where max_pool1d found them, zeros elsewhere."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the elements where max_pool2d found them, zeros elsewhere."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the elements where max_pool3d found them, zeros elsewhere."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
