"""The von Mises distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Size, Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, lazy_property

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles about `loc` with the density e^(concentration cos(x - loc)) times a constant."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False
    _params = {"loc": 0, "concentration": 0}

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        # I0(c) = i0e(c) e^c
        log_i0 = pynn.special.i0e(self.concentration).log() + self.concentration
        return self.concentration * pynn.cos(value - self.loc) - math.log(2 * math.pi) - log_i0

    @lazy_property
    def _proposal_r(self) -> Tensor:
        """The parameter of the wrapped Cauchy envelope, in float64."""
        c = self.concentration.detach().double()
        tau = 1 + (1 + 4 * c**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * c)
        small = 1 / c + c  # the limit, where rho cancels
        return pynn.where(c < 1e-5, small, (1 + rho**2) / (2 * rho))

    @pynn.no_grad()
    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Rejection from a wrapped Cauchy distribution (Best and Fisher, 1979), drawn in float64."""
        shape = self._extended_shape(sample_shape)
        loc, c = self.loc.double(), self.concentration.double().expand(shape)
        r = self._proposal_r.expand(shape)
        x = pynn.empty(shape, dtype=pynn.double, device=loc.device)
        done = pynn.zeros(shape, dtype=pynn.bool, device=loc.device)
        while not done.all():
            u1, u2, u3 = pynn.rand((3, *shape), dtype=pynn.double, device=loc.device).unbind()
            z = pynn.cos(math.pi * u1)
            f = (1 + r * z) / (r + z)
            bound = c * (r - f)
            accept = (bound * (2 - bound) - u2 > 0) | ((bound / u2).log() + 1 - bound >= 0)
            x = pynn.where(accept, (u3 - 0.5).sign() * f.acos(), x)
            done = done | accept
        return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)

    @property
    def mean(self) -> Tensor:
        """The mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        """The circular variance, 1 - I1(c) / I0(c)."""
        return 1 - pynn.special.i1e(self.concentration) / pynn.special.i0e(self.concentration)
