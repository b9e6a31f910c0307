"""Numerical estimates from samples that are written in Python. All of them are names of the package itself."""

from __future__ import annotations

import builtins
import math
from collections import namedtuple
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["gradient", "histogram", "histogramdd"]

_TYPES: dict[str, Any] = {
    name: namedtuple(name, ("hist", "bin_edges")) for name in ("histogram", "histogramdd")
}


def _uneven(x: Tensor, at: Tensor, dim: int, edge_order: int) -> Tensor:
    """The derivative along dim of samples at positions `at`: each parabola through three neighbours, at its middle."""
    n = x.size(dim)
    step = at[1:] - at[:-1]
    shape = [1] * x.dim()
    shape[dim] = -1
    left, right = step[:-1].reshape(shape), step[1:].reshape(shape)
    before, middle, after = (x.narrow(dim, i, n - 2) for i in range(3))
    inner = (
        before * (-right / (left * (left + right)))
        + middle * ((right - left) / (left * right))
        + after * (left / (right * (left + right)))
    )
    first, last = (x.narrow(dim, i, 1) for i in (0, n - 1))
    second, second_last = (x.narrow(dim, i, 1) for i in (1, n - 2))
    if edge_order == 1:
        head = (second - first) / step[0]
        tail = (last - second_last) / step[-1]
    else:
        a, b, c, d = step[0], step[1], step[-2], step[-1]
        head = (
            first * (-(2 * a + b) / (a * (a + b)))
            + second * ((a + b) / (a * b))
            + x.narrow(dim, 2, 1) * (-a / (b * (a + b)))
        )
        tail = (
            x.narrow(dim, n - 3, 1) * (d / (c * (c + d)))
            + second_last * (-(d + c) / (c * d))
            + last * ((2 * d + c) / (d * (c + d)))
        )
    return _C.cat([head, inner, tail], dim)


def _even(x: Tensor, spacing: float, dim: int, edge_order: int) -> Tensor:
    n = x.size(dim)
    inner = (x.narrow(dim, 2, n - 2) - x.narrow(dim, 0, n - 2)) / (2 * spacing)
    at = [x.narrow(dim, i, 1) for i in (0, 1, n - 2, n - 1)]
    if edge_order == 1:
        head, tail = (at[1] - at[0]) / spacing, (at[3] - at[2]) / spacing
    else:
        head = (4 * at[1] - 3 * at[0] - x.narrow(dim, 2, 1)) / (2 * spacing)
        tail = (3 * at[3] - 4 * at[2] + x.narrow(dim, n - 3, 1)) / (2 * spacing)
    return _C.cat([head, inner, tail], dim)


def gradient(
    input: Tensor, *, spacing: Any = None, dim: int | list[int] | None = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivatives of samples along dims, by differences of second order inside. Same as torch.gradient.

    Args:
        spacing: the distance of neighbours, one per dim, or the positions along each dim as 1-D tensors.
        dim: along which; all of them by default.
        edge_order: 1 or 2, the order of the estimate at both ends.
    """
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    given = (
        [1.0] * len(dims)
        if spacing is None
        else list(spacing)
        if isinstance(spacing, (list, tuple))
        else [spacing] * len(dims)
    )
    if len(given) != len(dims):
        raise RuntimeError(
            f"gradient: torch.gradient expected spacing to be unspecified, a scalar or it's spacing argument to have "
            f"a length equal to {len(dims)}, but got {len(given)}"
        )
    if edge_order not in (1, 2):
        raise RuntimeError(
            f"gradient: torch.gradient only supports edge_order=1 and edge_order=2, got {edge_order}"
        )
    if len({d % max(input.dim(), 1) for d in dims}) < len(dims):
        raise RuntimeError(f"gradient: a dim appears multiple times in the list of dims, got {dims}")
    results = []
    for d, space in zip(dims, given, strict=True):
        if not -input.dim() <= d < input.dim():
            raise IndexError(f"gradient: dimension out of range, got {d} for {input.dim()} dims")
        d %= input.dim()
        if input.size(d) < edge_order + 1:
            raise RuntimeError(
                "gradient: torch.gradient expected each dimension size to be at least edge_order+1, got "
                f"{input.size(d)} for edge_order={edge_order}"
            )
        if isinstance(space, Tensor) and space.dim():
            if space.dim() != 1 or space.numel() != input.size(d):
                raise RuntimeError(
                    f"gradient: one position per sample is required, got {tuple(space.shape)} for {input.size(d)}"
                )
            if input.size(d) == 2:
                slope = (input.narrow(d, 1, 1) - input.narrow(d, 0, 1)) / (space[1] - space[0])
                results.append(_C.cat([slope, slope], d))
            else:
                results.append(_uneven(input, space, d, edge_order))
        else:
            results.append(_even(input, float(space), d, edge_order))
    return tuple(results)


def _edges(input: Tensor, bins: int, limits: Any) -> Tensor:
    """bins + 1 edges of equal distance over the given limits, or over the values'."""
    if bins <= 0:
        raise RuntimeError(f"histogram: bins must be > 0, but got {bins}")
    if limits is not None:
        low, high = (float(v) for v in limits)
    elif input.numel():
        low, high = float(input.min()), float(input.max())
    else:
        low, high = 0.0, 1.0
    if not (-float("inf") < low <= high < float("inf")):
        raise RuntimeError(f"histogram: dimension 0's range [{low}, {high}] is not finite or not ascending")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return _C.linspace(low, high, bins + 1, dtype=input.dtype, device=input.device)


def histogramdd(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """Counts, or sums of weights, in a grid of bins for rows of coordinates. Same as torch.histogramdd.

    Args:
        input: [..., D], one point per row.
        bins: how many per dim, one number for all dims, or the edges along each.
        range: low and high of every dim in turn, by default those of the values.
        weight: [...], of each point.
        density: divide by the total and by each bin's volume.

    Returns:
        hist and bin_edges, a tuple of tensors.
    """
    if not input.is_floating_point():
        raise NotImplementedError(f"histogramdd: a floating point tensor is required, got {input.dtype}")
    if input.dim() < 2:
        raise RuntimeError("histogramdd: input tensor should have at least 2 dimensions")
    d = input.size(-1)
    points = input.detach().reshape(-1, d)
    if isinstance(bins, int):
        bins = [bins] * d
    bins = list(bins)
    if len(bins) != d:
        raise RuntimeError(
            f"histogramdd: expected {d} sequences of bin edges for a {d}-dimensional histogram, got {len(bins)}"
        )
    if range is not None and len(range) != 2 * d:
        raise RuntimeError(f"histogramdd: for a {d}-dimensional histogram range should have {2 * d} elements")
    if weight is not None and weight.dtype != input.dtype:
        raise TypeError(
            f"histogramdd: input and weight must have one dtype, got {input.dtype} and {weight.dtype}"
        )
    if weight is not None and weight.numel() != points.size(0):
        raise RuntimeError(
            "histogramdd: if weight tensor is provided it should have one element per point of input"
        )
    edges = []
    place: Any = 0  # in a grid that has a bin below and one above the edges of every dim
    for i, b in enumerate(bins):
        x = points[:, i].contiguous()
        if isinstance(b, Tensor):
            if b.dtype != input.dtype:
                raise TypeError(
                    f"histogramdd: input and bins must have one dtype, got {input.dtype} and {b.dtype}"
                )
            edge = b.detach()
        else:
            edge = _edges(x, b, None if range is None else range[2 * i : 2 * i + 2])
        edges.append(edge)
        n = edge.numel() - 1
        at = _C.searchsorted(edge, x, right=True)
        at = _C.where(x == edge[-1], n, at)
        place = at if i == 0 else place * (n + 2) + at
    shape = [e.numel() + 1 for e in edges]
    weights = None if weight is None else weight.detach().reshape(-1)
    hist = _C.bincount(place, weights, minlength=math.prod(shape)).reshape(shape)
    hist = hist[(slice(1, -1),) * d].to(input.dtype).contiguous()
    if density:
        hist = hist / hist.sum()
        for i, e in enumerate(edges):
            hist = hist / e.diff().reshape([-1 if i == j else 1 for j in builtins.range(d)])
    return _TYPES["histogramdd"](hist, tuple(edges))


def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: Any = None,
) -> Any:
    """Counts, or sums of weights, in bins: so many of equal width, or between given edges. Same as torch.histogram.

    Returns:
        hist and bin_edges.
    """
    points = input.reshape(-1, 1)
    hist, (edges,) = histogramdd(
        points, [bins], range=range, weight=None if weight is None else weight.reshape(-1), density=density
    )
    if out is not None:
        _C.add(hist, 0, out=out[0])
        _C.add(edges, 0, out=out[1])
        hist, edges = out
    return _TYPES["histogram"](hist, edges)
