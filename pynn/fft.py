"""Discrete Fourier transforms, computed by NumPy's pocketfft in the precision of the input. Same as torch.fft.

Three linear maps do all the work: c2c over any dims, r2c and c2r over one. Their derivatives are each other, so they can
be differentiated any number of times. A map has a direction (the sign in the exponent) and a scale, which NumPy has as
one name: `norm`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn._linalg.common import array
from pynn.autograd.function import Function

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "hfft2",
    "hfftn",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "ihfft2",
    "ihfftn",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

# What NumPy calls the scale of a map in the other direction.
_OTHER_WAY = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


@functools.cache
def _ufuncs() -> Any:
    """NumPy's transforms as functions of an array and a scale, from NumPy 2 on. np.fft itself passes on the scale 1 as an
    int, by which NumPy takes float32 for float64, converts there and back, and needs five times as long."""
    try:
        from numpy.fft import _pocketfft_umath  # type: ignore[attr-defined]
    except ImportError:
        return None
    names = "fft", "ifft", "rfft_n_even", "rfft_n_odd", "irfft"
    return _pocketfft_umath if all(hasattr(_pocketfft_umath, name) for name in names) else None


def _along(name: str, a: Any, out: Any, dim: int, norm: str) -> None:
    """out, which may be a, takes np.fft's function `name` of a along one dim."""
    import numpy as np

    n = (a if name == "rfft" else out).shape[dim]
    ufuncs = _ufuncs()
    if ufuncs is None:
        out[...] = getattr(np.fft, name)(a, n, dim, norm)
        return
    inverse = name.startswith("i")
    power = {"backward": inverse, "forward": not inverse, "ortho": 0.5}[norm]
    name = ("rfft_n_odd" if n % 2 else "rfft_n_even") if name == "rfft" else name
    getattr(ufuncs, name)(a, out.real.dtype.type(n**-power), axes=[(dim,), (), (dim,)], out=out)


def _transform(name: str, x: Tensor, dims: tuple[int, ...], size: int, dtype: Any, norm: str) -> Tensor:
    """That along each of dims; the result's size of the last."""
    shape = list(x.shape)
    shape[dims[-1]] = size
    y = _C.empty(shape, dtype=dtype, device="cpu")
    a, out = array(x), y.numpy()
    for dim in reversed(dims):
        _along(name, a, out, dim, norm)
        a = out
    return y.to(x.device)


class FftC2C(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dims: tuple[int, ...], forward: bool, norm: str) -> Tensor:
        ctx.args = dims, not forward, _OTHER_WAY[norm]
        return _transform("fft" if forward else "ifft", x, dims, x.size(dims[-1]), x.dtype, norm)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return _c2c(g, *ctx.args), None, None, None


class FftR2C(Function):
    """Forward along one dim; the half without the conjugates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, norm: str) -> Tensor:
        ctx.args = dim, x.size(dim), norm
        return _transform("rfft", x, (dim,), x.size(dim) // 2 + 1, x.dtype.to_complex(), norm)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        dim, n, norm = ctx.args
        return _c2c(_resized(g, dim, n), (dim,), False, _OTHER_WAY[norm]).real, None, None


class FftC2R(Function):
    """Back along one dim, from the half without the conjugates to n real numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, n: int, norm: str) -> Tensor:
        ctx.args = dim, n, norm
        return _transform("irfft", x, (dim,), n, x.dtype.to_real(), norm)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        # Each number of the half but the first, and the middle one of an even n, stands for its conjugate too.
        dim, n, norm = ctx.args
        weights = _C.full((n // 2 + 1,), 2.0, dtype=g.dtype, device=g.device)
        weights[0] = 1.0
        if n % 2 == 0:
            weights[-1] = 1.0
        shape = [1] * g.dim()
        shape[dim] = -1
        return _r2c(g, dim, _OTHER_WAY[norm]) * weights.reshape(shape), None, None, None


def _c2c(x: Tensor, dims: tuple[int, ...], forward: bool, norm: str) -> Tensor:
    return FftC2C.apply(x, dims, forward, norm) if dims else x


def _r2c(x: Tensor, dim: int, norm: str) -> Tensor:
    return FftR2C.apply(x, dim, norm)


def _c2r(x: Tensor, dim: int, n: int, norm: str) -> Tensor:
    return FftC2R.apply(x, dim, n, norm)


def _resized(x: Tensor, dim: int, n: int) -> Tensor:
    """The first n elements, or zeros behind all of them."""
    have = x.size(dim)
    if n < have:
        return x.narrow(dim, 0, n)
    if n == have:
        return x
    shape = list(x.shape)
    shape[dim] = n - have
    return _C.cat([x, _C.zeros(shape, dtype=x.dtype, device=x.device)], dim)


# -- Arguments ------------------------------------------------------------------------------------------------------


def _norm(norm: str | None) -> str:
    if norm is None:
        return "backward"
    if norm not in _OTHER_WAY:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm


def _input(name: str, x: Tensor, real: bool = False) -> Tensor:
    """Of a dtype that has a transform; integers become floats."""
    if not isinstance(x, Tensor):
        raise TypeError(f"fft_{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    if x.dtype in (_C.float16, _C.bfloat16):
        raise RuntimeError(f"{name}: Unsupported dtype {x.dtype} (convert to float32 first)")
    if real and x.is_complex():
        raise RuntimeError(f"{name} expects a real input tensor, but got {x.dtype}")
    return x if x.is_floating_point() or x.is_complex() else x.to(_C.get_default_dtype())


def _complex(x: Tensor) -> Tensor:
    return x if x.is_complex() else x.to(x.dtype.to_complex())


def _wrapped(x: Tensor, dim: int) -> int:
    if x.dim() == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if not -x.dim() <= dim < x.dim():
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-x.dim()}, {x.dim() - 1}], but got {dim})"
        )
    return dim % x.dim()


def _check_points(n: int) -> int:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def _shape_and_dims(
    x: Tensor, s: int | Sequence[int] | None, dim: int | Sequence[int] | None
) -> tuple[list[int], list[int]]:
    """The number of points of each transformed dim, -1 where the tensor says, and the dims."""
    s = [s] if isinstance(s, int) else s
    dim = [dim] if isinstance(dim, int) else dim
    if dim is None:
        if s is None:
            dims = list(range(x.dim()))
        elif len(s) > x.dim():
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {x.dim()} dimensions."
            )
        else:
            dims = list(range(x.dim() - len(s), x.dim()))
    else:
        dims = [_wrapped(x, d) for d in dim]
        if len(set(dims)) < len(dims):
            raise RuntimeError("FFT dims must be unique")
    if s is not None and len(s) != len(dims):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    return list(s) if s is not None else [-1] * len(dims), dims


def _all_resized(x: Tensor, points: list[int], dims: list[int]) -> Tensor:
    for n, d in zip(points, dims, strict=True):
        x = _resized(x, d, _check_points(x.size(d) if n == -1 else n))
    return x


def _given(name: str, result: Tensor, out: Tensor | None) -> Tensor:
    if out is None:
        return result
    if out.is_complex() != result.is_complex():
        kind = "complex" if result.is_complex() else "floating point"
        raise RuntimeError(f"{name} expects a {kind} output tensor, but got {out.dtype}")
    return _C.add(result, 0, out=out)


# -- One dim --------------------------------------------------------------------------------------------------------


def fft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """X_k = sum of x_j e^(-2 pi i j k / n) along a dim. Same as torch.fft.fft.

    Args:
        n: how many points; the input is cut off, or zeros are put behind it.
        norm: "backward" (None): no scale; "ortho": 1 / sqrt(n); "forward": 1 / n.
    """
    return _given("fft", _one(_input("fft", input), n, dim, True, norm), out)


def ifft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of fft: with e^(+2 pi i j k / n), and 1 / n unless `norm` says otherwise. Same as torch.fft.ifft."""
    return _given("ifft", _one(_input("ifft", input), n, dim, False, norm), out)


def _one(x: Tensor, n: int | None, dim: int, forward: bool, norm: str | None) -> Tensor:
    dim = _wrapped(x, dim)
    x = _resized(x, dim, _check_points(x.size(dim) if n is None else n))
    return _c2c(_complex(x), (dim,), forward, _norm(norm))


def rfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """fft of real numbers: the first n // 2 + 1 results, whose conjugates are the others. Same as torch.fft.rfft."""
    x = _input("rfft", input, real=True)
    dim = _wrapped(x, dim)
    x = _resized(x, dim, _check_points(x.size(dim) if n is None else n))
    return _given("rfft", _r2c(x, dim, _norm(norm)), out)


def irfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of rfft: n real numbers, by default an even number. Same as torch.fft.irfft."""
    return _given("irfft", _half_to_real(_complex(_input("irfft", input)), n, dim, _norm(norm)), out)


def hfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """fft of what equals its conjugate in reverse, of which half is given: n real numbers. Same as torch.fft.hfft."""
    x = _complex(_input("hfft", input)).conj()
    return _given("hfft", _half_to_real(x, n, dim, _OTHER_WAY[_norm(norm)]), out)


def _half_to_real(x: Tensor, n: int | None, dim: int, norm: str) -> Tensor:
    dim = _wrapped(x, dim)
    n = _check_points(2 * (x.size(dim) - 1) if n is None or n == -1 else n)
    return _c2r(_resized(x, dim, n // 2 + 1), dim, n, norm)


def ihfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of hfft. Same as torch.fft.ihfft."""
    x = _input("ihfft", input, real=True)
    return _given("ihfft", rfft(x, n, dim, _OTHER_WAY[_norm(norm)]).conj(), out)


# -- Several dims ---------------------------------------------------------------------------------------------------


def fftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """fft along several dims, by default all. Same as torch.fft.fftn.

    Args:
        s: the numbers of points; -1 leaves a dim as it is. Without `dim`, those of the last dims.
    """
    return _given("fftn", _many("fftn", input, s, dim, True, norm), out)


def ifftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """ifft along several dims, by default all. Same as torch.fft.ifftn."""
    return _given("ifftn", _many("ifftn", input, s, dim, False, norm), out)


def _many(name: str, x: Tensor, s: Any, dim: Any, forward: bool, norm: str | None) -> Tensor:
    x = _input(name, x)
    points, dims = _shape_and_dims(x, s, dim)
    return _c2c(_complex(_all_resized(x, points, dims)), tuple(dims), forward, _norm(norm))


def _real_shape(name: str, x: Tensor, s: Any, dim: Any) -> tuple[list[int], list[int]]:
    points, dims = _shape_and_dims(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    return points, dims


def _from_real(name: str, x: Tensor, s: Any, dim: Any, forward: bool, norm: str | None) -> Tensor:
    x = _input(name, x, real=True)
    points, dims = _real_shape(name, x, s, dim)
    x = _all_resized(x, points, dims)
    last = rfft if forward else ihfft
    return _c2c(last(x, dim=dims[-1], norm=norm), tuple(dims[:-1]), forward, _norm(norm))


def _to_real(name: str, x: Tensor, s: Any, dim: Any, forward: bool, norm: str | None) -> Tensor:
    x = _complex(_input(name, x))
    points, dims = _real_shape(name, x, s, dim)
    x = _c2c(_all_resized(x, points[:-1], dims[:-1]), tuple(dims[:-1]), forward, _norm(norm))
    return (hfft if forward else irfft)(x, points[-1] if points[-1] != -1 else None, dims[-1], norm)


def rfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """fftn of real numbers, without the conjugates along the last dim. Same as torch.fft.rfftn."""
    return _given("rfftn", _from_real("rfftn", input, s, dim, True, norm), out)


def irfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of rfftn. Same as torch.fft.irfftn."""
    return _given("irfftn", _to_real("irfftn", input, s, dim, False, norm), out)


def hfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """fftn of what equals its conjugate in reverse, of which half is given. Same as torch.fft.hfftn."""
    return _given("hfftn", _to_real("hfftn", input, s, dim, True, norm), out)


def ihfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of hfftn. Same as torch.fft.ihfftn."""
    return _given("ihfftn", _from_real("ihfftn", input, s, dim, False, norm), out)


def _two_dims(name: str, transform: Any) -> Any:
    def function(
        input: Tensor,
        s: Any = None,
        dim: Any = (-2, -1),
        norm: str | None = None,
        *,
        out: Tensor | None = None,
    ) -> Tensor:
        return transform(input, s, dim, norm, out=out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{transform.__name__} along two dims, by default the last. Same as torch.fft.{name}."
    return function


fft2 = _two_dims("fft2", fftn)
ifft2 = _two_dims("ifft2", ifftn)
rfft2 = _two_dims("rfft2", rfftn)
irfft2 = _two_dims("irfft2", irfftn)
hfft2 = _two_dims("hfft2", hfftn)
ihfft2 = _two_dims("ihfft2", ihfftn)


# -- Frequencies ----------------------------------------------------------------------------------------------------


def _frequencies(
    name: str, numbers: Any, n: int, d: float, out: Any, dtype: Any, device: Any, grad: bool
) -> Tensor:
    dtype = dtype or _C.get_default_dtype()
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    device = out.device if device is None and out is not None else device
    found = numbers(device).to(dtype) * (1.0 / (n * d) if n else math.inf)
    return _given(name, found.requires_grad_() if grad else found, out)


def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of fft's results, of samples d apart: 0, 1, ... and the negative ones, by 1 / (n d). Same as torch.fft.fftfreq."""

    def numbers(device: Any) -> Tensor:
        if n < 1:
            return _C.arange(n, device=device)
        return _C.cat([_C.arange((n + 1) // 2, device=device), _C.arange(-(n // 2), 0, device=device)])

    return _frequencies("fftfreq", numbers, n, d, out, dtype, device, requires_grad)


def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Tensor | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The frequencies of rfft's results. Same as torch.fft.rfftfreq."""
    return _frequencies(
        "rfftfreq",
        lambda device: _C.arange(n // 2 + 1, device=device),
        n,
        d,
        out,
        dtype,
        device,
        requires_grad,
    )


def _shifted(x: Tensor, dim: Any, back: int) -> Tensor:
    dims = list(range(x.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return x.roll([(x.size(d) + back) // 2 for d in dims], dims) if dims else x.clone()


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The results of fftn with frequency 0 in the middle of each dim (or of those given). Same as torch.fft.fftshift."""
    return _shifted(input, dim, 0)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of fftshift. Same as torch.fft.ifftshift."""
    return _shifted(input, dim, 1)
