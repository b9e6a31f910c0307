"""The generalised Pareto distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Size, Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Excesses over a threshold `loc`: P(x > loc + scale z) = (1 + c z)^(-1 / c), e^-z for a `concentration` c of 0."""

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    _params = {"loc": 0, "scale": 0, "concentration": 0}

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, pynn.where(self.concentration < 0, end, pynn.inf))

    def _flat(self) -> tuple[Tensor, Tensor]:
        """Where the concentration counts as 0, and one to divide by there."""
        zero = pynn.isclose(self.concentration, pynn.zeros_like(self.concentration))
        return zero, pynn.where(zero, pynn.ones_like(self.concentration), self.concentration)

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(pynn.rand(shape, dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        zero, c = self._flat()
        return pynn.where(zero, -z, -(1 / c + 1) * pynn.log1p(c * z)) - self.scale.log()

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of a sample above `value`."""
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        zero, c = self._flat()
        return pynn.where(zero, -z, -pynn.log1p(c * z) / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of cdf."""
        return pynn.log1p(-self.log_survival_function(value).exp())

    def cdf(self, value: Tensor) -> Tensor:
        return self.log_cdf(value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        zero, c = self._flat()
        log_rest = pynn.log1p(-value)
        return self.loc + self.scale * pynn.where(zero, -log_rest, pynn.expm1(-c * log_rest) / c)

    @property
    def mean(self) -> Tensor:
        c = self.concentration
        finite = c < 1
        return pynn.where(finite, self.loc + self.scale / (1 - pynn.where(finite, c, 0.5)), pynn.inf)

    @property
    def variance(self) -> Tensor:
        finite = self.concentration < 0.5
        c = pynn.where(finite, self.concentration, 0.25)
        return pynn.where(finite, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), pynn.inf)

    @property
    def mode(self) -> Tensor:
        return self.loc

    def entropy(self) -> Tensor:
        return (self.scale.log() + self.concentration + 1).expand(self._batch_shape)
