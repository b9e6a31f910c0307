"""Student's t-distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Size, Tensor

from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .utils import _standard_normal, broadcast_all

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A normal variable over the root of Chi2(df) / df, times `scale`, plus `loc`."""

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    _params = {"df": 0, "loc": 0, "scale": 0, "_chi2": 0}

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc.masked_fill(self.df <= 1, pynn.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        finite = self.df > 2
        df = pynn.where(finite, self.df, 3.0)
        variance = pynn.where(finite, self.scale.pow(2) * df / (df - 2), pynn.inf)
        return variance.masked_fill(self.df <= 1, pynn.nan)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        normal = _standard_normal(self._extended_shape(sample_shape), self.df.dtype, self.df.device)
        chi2 = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (normal * pynn.rsqrt(chi2 / self.df))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        half = 0.5 * (self.df + 1.0)
        constant = half.lgamma() - (0.5 * self.df).lgamma() - 0.5 * (self.df * math.pi).log()
        return constant - self.scale.log() - half * pynn.log1p(z**2 / self.df)

    def entropy(self) -> Tensor:
        half, half_next = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = math.lgamma(0.5) + half.lgamma() - half_next.lgamma()
        slope = half_next * (half_next.digamma() - half.digamma())
        return self.scale.log() + slope + 0.5 * self.df.log() + log_beta
