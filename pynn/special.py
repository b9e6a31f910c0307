"""Special functions. Same as torch.special."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import (
    Tensor,
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    log1p,
    logit,
    logsumexp,
    polygamma,
    round,
    sinc,
    xlogy,
)
from pynn._C import digamma as psi
from pynn._C import igamma as gammainc
from pynn._C import igammac as gammaincc
from pynn._C import lgamma as gammaln
from pynn._C import mvlgamma as multigammaln
from pynn._C import sigmoid as expit

__all__ = [
    "airy_ai",
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "chebyshev_polynomial_t",
    "chebyshev_polynomial_u",
    "chebyshev_polynomial_v",
    "chebyshev_polynomial_w",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
    "gammaln",
    "hermite_polynomial_h",
    "hermite_polynomial_he",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "laguerre_polynomial_l",
    "legendre_polynomial_p",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "modified_bessel_i0",
    "modified_bessel_i1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u",
    "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
    "sinc",
    "softmax",
    "spherical_bessel_j0",
    "xlog1py",
    "xlogy",
    "zeta",
]

# Ops of this namespace alone.
airy_ai = _C._special.airy_ai
bessel_j0 = _C._special.bessel_j0
bessel_j1 = _C._special.bessel_j1
bessel_y0 = _C._special.bessel_y0
bessel_y1 = _C._special.bessel_y1
chebyshev_polynomial_t = _C._special.chebyshev_polynomial_t
chebyshev_polynomial_u = _C._special.chebyshev_polynomial_u
chebyshev_polynomial_v = _C._special.chebyshev_polynomial_v
chebyshev_polynomial_w = _C._special.chebyshev_polynomial_w
entr = _C._special.entr
erfcx = _C._special.erfcx
hermite_polynomial_h = _C._special.hermite_polynomial_h
hermite_polynomial_he = _C._special.hermite_polynomial_he
i0e = _C._special.i0e
i1 = _C._special.i1
i1e = _C._special.i1e
laguerre_polynomial_l = _C._special.laguerre_polynomial_l
legendre_polynomial_p = _C._special.legendre_polynomial_p
log_ndtr = _C._special.log_ndtr
modified_bessel_i0 = _C._special.modified_bessel_i0
modified_bessel_i1 = _C._special.modified_bessel_i1
modified_bessel_k0 = _C._special.modified_bessel_k0
modified_bessel_k1 = _C._special.modified_bessel_k1
ndtr = _C._special.ndtr
ndtri = _C._special.ndtri
scaled_modified_bessel_k0 = _C._special.scaled_modified_bessel_k0
scaled_modified_bessel_k1 = _C._special.scaled_modified_bessel_k1
shifted_chebyshev_polynomial_t = _C._special.shifted_chebyshev_polynomial_t
shifted_chebyshev_polynomial_u = _C._special.shifted_chebyshev_polynomial_u
shifted_chebyshev_polynomial_v = _C._special.shifted_chebyshev_polynomial_v
shifted_chebyshev_polynomial_w = _C._special.shifted_chebyshev_polynomial_w
spherical_bessel_j0 = _C._special.spherical_bessel_j0
xlog1py = _C._special.xlog1py
zeta = _C._special.zeta


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) over its sum along dim. Same as torch.special.softmax."""
    return _C.softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of softmax. Same as torch.special.log_softmax."""
    return _C.log_softmax(input, dim, dtype=dtype)
