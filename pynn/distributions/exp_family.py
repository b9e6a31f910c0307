"""Exponential families: densities exp(<t(x), theta> - F(theta) + k(x))."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor

from .distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Gives the entropy from natural parameters theta, log normalizer F and the expectation of k."""

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """F(theta) - <theta, grad F(theta)> - E[k]."""
        carrier = self._mean_carrier_measure
        params = [p.detach().requires_grad_() for p in self._natural_params]
        with pynn.enable_grad():
            normalizer = self._log_normalizer(*params)
            slopes = pynn.autograd.grad(normalizer.sum(), params, create_graph=True)
        result = normalizer - carrier
        for theta, slope in zip(params, slopes):
            result = result - (theta * slope).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
