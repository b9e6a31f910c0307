"""Window functions for spectra, of the default dtype unless another one is given."""

from __future__ import annotations

import math
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]


def _phase(name: str, n: int, periodic: bool, dtype: Any, device: Any) -> tuple[Tensor, Any] | None:
    """0 .. 1 over the window in float64, and the dtype of the result; None for windows of less than two."""
    dtype = _C.get_default_dtype() if dtype is None else dtype
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name}: {name} expects floating point dtypes, got: {dtype}")
    if n < 0:
        raise RuntimeError(f"{name}: {name} requires non-negative window_length, got window_length={n}")
    if n < 2:
        return None
    return _C.arange(n, dtype=_C.float64, device=device) / (n if periodic else n - 1), dtype


def _finish(values: Tensor, dtype: Any, requires_grad: bool) -> Tensor:
    out = values.to(dtype)
    return out.requires_grad_() if requires_grad else out


def _short(n: int, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    return _C.ones(n, dtype=dtype, device=device, requires_grad=requires_grad)


def _cosines(
    name: str,
    n: int,
    periodic: bool,
    weights: tuple[float, ...],
    dtype: Any,
    device: Any,
    requires_grad: bool,
) -> Tensor:
    """The sum of (-1)^k w_k cos(2 pi k t)."""
    found = _phase(name, n, periodic, dtype, device)
    if found is None:
        return _short(n, dtype, device, requires_grad)
    t, kind = found
    total = _C.zeros_like(t)
    for k, w in enumerate(weights):
        total = total + (-1) ** k * w * (2 * math.pi * k * t).cos()
    return _finish(total, kind, requires_grad)


def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """(1 - cos(2 pi n / N)) / 2. Same as torch.hann_window."""
    return _cosines("hann_window", window_length, periodic, (0.5, 0.5), dtype, device, requires_grad)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - beta cos(2 pi n / N). Same as torch.hamming_window."""
    return _cosines("hamming_window", window_length, periodic, (alpha, beta), dtype, device, requires_grad)


def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """0.42 - cos(2 pi n / N) / 2 + 0.08 cos(4 pi n / N). Same as torch.blackman_window."""
    return _cosines(
        "blackman_window", window_length, periodic, (0.42, 0.5, 0.08), dtype, device, requires_grad
    )


def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """1 - |2 n / N - 1|, a triangle. Same as torch.bartlett_window."""
    found = _phase("bartlett_window", window_length, periodic, dtype, device)
    if found is None:
        return _short(window_length, dtype, device, requires_grad)
    t, kind = found
    return _finish(1 - (2 * t - 1).abs(), kind, requires_grad)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """I0(beta sqrt(1 - (2 n / N - 1)^2)) / I0(beta). Same as torch.kaiser_window."""
    found = _phase("kaiser_window", window_length, periodic, dtype, device)
    if found is None:
        return _short(window_length, dtype, device, requires_grad)
    t, kind = found
    y = _C.i0(beta * (1 - (2 * t - 1) ** 2).clamp_min(0.0).sqrt()) / _C.i0(
        _C.tensor(beta, dtype=_C.float64, device=t.device)
    )
    return _finish(y, kind, requires_grad)
