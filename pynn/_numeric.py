"""Numerical estimates from samples that are written in Python. All of them are names of the package itself."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["gradient"]


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
        raise RuntimeError(f"gradient: torch.gradient only supports edge_order=1 and edge_order=2, got {edge_order}")
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
