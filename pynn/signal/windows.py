"""Windows for spectra and filters: symmetric unless sym=False, then of period M. Same as torch.signal.windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(
    name: str, M: int, sym: bool, options: dict[str, Any], f: Callable[[Tensor, float], Tensor]
) -> Tensor:
    """f(n, N) of n = 0 .. M - 1 in float64 and the last position N."""
    dtype = options.pop("dtype", None) or _C.get_default_dtype()
    requires_grad = options.pop("requires_grad", False)
    device = options.pop("device", None) or "cpu"
    unknown = set(options) - {"layout"}
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument '{unknown.pop()}'")
    if not dtype.is_floating_point or dtype not in (_C.float32, _C.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if M < 2:
        out = _C.ones(M, dtype=dtype)
    else:
        n = _C.arange(M, dtype=_C.float64)
        out = f(n, float(M - 1 if sym else M)).to(dtype)
    out = out.to(device)
    return out.requires_grad_() if requires_grad else out


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Any
) -> Tensor:
    """exp(-|n - center| / tau)."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return _window(
        "exponential",
        M,
        sym,
        options,
        lambda n, N: (-(n - (N / 2 if center is None else center)).abs() / tau).exp(),
    )


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """sin(pi (n + 1/2) / (N + 1))."""
    return _window("cosine", M, sym, options, lambda n, N: (math.pi * (n + 0.5) / (N + 1)).sin())


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-((n - N/2) / std)^2 / 2)."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _window("gaussian", M, sym, options, lambda n, N: (-0.5 * ((n - N / 2) / std) ** 2).exp())


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - (2 n / N - 1)^2)) / I0(beta)."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    scale = _C.i0(_C.tensor(beta, dtype=_C.float64))
    return _window(
        "kaiser",
        M,
        sym,
        options,
        lambda n, N: _C.i0(beta * (1 - (2 * n / N - 1) ** 2).clamp_min(0.0).sqrt()) / scale,
    )


def _cosines(name: str, M: int, a: Iterable[float], sym: bool, options: dict[str, Any]) -> Tensor:
    def values(n: Tensor, N: float) -> Tensor:
        total = _C.zeros_like(n)
        for k, w in enumerate(weights):
            total = total + (-1) ** k * w * (2 * math.pi * k * n / N).cos()
        return total

    weights = list(a)
    return _window(name, M, sym, options, values)


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Any) -> Tensor:
    """The sum of (-1)^k a_k cos(2 pi k n / N)."""
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    weights = list(a)
    if not weights:
        raise ValueError("Coefficients cannot be empty")
    return _cosines("general_cosine", M, weights, sym, options)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / N)."""
    return _cosines("general_hamming", M, [alpha, 1.0 - alpha], sym, options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / N)."""
    return _cosines("hamming", M, [0.54, 0.46], sym, options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """(1 - cos(2 pi n / N)) / 2."""
    return _cosines("hann", M, [0.5, 0.5], sym, options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.42 - cos(2 pi n / N) / 2 + 0.08 cos(4 pi n / N)."""
    return _cosines("blackman", M, [0.42, 0.5, 0.08], sym, options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Nuttall's minimum four-term Blackman-Harris window."""
    return _cosines("nuttall", M, [0.3635819, 0.4891775, 0.1365995, 0.0106411], sym, options)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """1 - |2 n / N - 1|."""
    return _window("bartlett", M, sym, options, lambda n, N: 1 - (2 * n / N - 1).abs())
