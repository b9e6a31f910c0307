"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Size, Tensor
from pynn.nn.functional import binary_cross_entropy_with_logits

from . import constraints
from ._probs import BinaryParam, check_one_given
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(BinaryParam, ExponentialFamily):
    """On [0, 1], with the density probs^x (1 - probs)^(1 - x) times a constant.

    Its formulas divide by 1 - 2 probs: between `lims`, power series about 1/2 stand in for them.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _params = {"probs": 0, "logits": 0, "_param": 0}

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        check_one_given(probs, logits)
        if probs is not None:
            (probs,) = broadcast_all(probs)
            if validate_args is not None and not self.arg_constraints["probs"].check(probs).all():
                raise ValueError("The parameter probs has invalid values")
            self._set_param(clamp_probs(probs), None)
        else:
            self._set_param(None, broadcast_all(logits)[0])
        self._lims = lims
        super().__init__(self._param.shape, validate_args=validate_args)

    def _expand_more(self, new: Any, batch_shape: Size) -> None:
        new._lims = self._lims

    @lazy_property
    def probs(self) -> Tensor:
        """The parameter, of which the mean is a function."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """The probs, those between lims replaced by the lower."""
        low = pynn.full_like(self.probs, self._lims[0])
        return pynn.where(self._outside_unstable_region(), self.probs, low)

    def _choose(self, formula: Tensor, series: Tensor) -> Tensor:
        return pynn.where(self._outside_unstable_region(), formula, series)

    def _cont_bern_log_norm(self) -> Tensor:
        """log of 2 atanh(1 - 2 probs) / (1 - 2 probs)."""
        cut = self._cut_probs()
        # Either side of 1/2 with terms of one sign.
        below = pynn.where(cut <= 0.5, cut, 0.0)
        above = pynn.where(cut >= 0.5, cut, 1.0)
        width = pynn.where(cut <= 0.5, pynn.log1p(-2.0 * below), pynn.log(2.0 * above - 1.0))
        formula = pynn.log((pynn.log1p(-cut) - cut.log()).abs()) - width
        x = (self.probs - 0.5).pow(2)
        return self._choose(formula, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> Tensor:
        cut = self._cut_probs()
        formula = cut / (2.0 * cut - 1.0) + 1.0 / (pynn.log1p(-cut) - cut.log())
        x = self.probs - 0.5
        return self._choose(formula, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x)

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    @property
    def variance(self) -> Tensor:
        cut = self._cut_probs()
        formula = cut * (cut - 1.0) / (1.0 - 2.0 * cut).pow(2) + 1.0 / (pynn.log1p(-cut) - cut.log()).pow(2)
        x = (self.probs - 0.5).pow(2)
        return self._choose(formula, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def _uniform(self, sample_shape: Sequence[int]) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return pynn.rand(shape, dtype=self.probs.dtype, device=self.probs.device)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        with pynn.no_grad():
            return self.icdf(self._uniform(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        return self.icdf(self._uniform(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return self._cont_bern_log_norm() - binary_cross_entropy_with_logits(logits, value, reduction="none")

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        cut = self._cut_probs()
        formula = (cut.pow(value) * (1.0 - cut).pow(1.0 - value) + cut - 1.0) / (2.0 * cut - 1.0)
        return self._choose(formula, value).masked_fill(value <= 0.0, 0.0).masked_fill(value >= 1.0, 1.0)

    def icdf(self, value: Tensor) -> Tensor:
        cut = self._cut_probs()
        low = pynn.log1p(-cut)
        return self._choose((pynn.log1p(-cut + value * (2.0 * cut - 1.0)) - low) / (cut.log() - low), value)

    def entropy(self) -> Tensor:
        log_not, log_yes = pynn.log1p(-self.probs), self.probs.log()
        return self.mean * (log_not - log_yes) - self._cont_bern_log_norm() - log_not

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        """log of (e^x - 1) / x, by its series near 0."""
        far = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = pynn.where(far, x, pynn.full_like(x, self._lims[0] - 0.5))
        formula = pynn.log(cut.expm1().abs()) - cut.abs().log()
        return pynn.where(far, formula, 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0)
