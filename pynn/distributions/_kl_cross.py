"""Divergences between distributions of different families, for kl.py.

KL(p || q) = -entropy of p - E[log q(x)], and the expectation needs few facts about p: its mean and variance for a normal
q, E[log x] for a gamma q, E[e^(-x / s)] for a Gumbel q. It is infinite where p gives values that q does not.
"""

from __future__ import annotations

import math
from typing import Any

import pynn
from pynn import Tensor

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .continuous_bernoulli import ContinuousBernoulli
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import Gumbel
from .kl import register_kl
from .laplace import Laplace
from .normal import Normal
from .pareto import Pareto
from .poisson import Poisson
from .uniform import Uniform
from .utils import euler_constant


@register_kl(Beta, Pareto)
@register_kl(ContinuousBernoulli, Pareto)
@register_kl(Exponential, Beta)
@register_kl(Exponential, ContinuousBernoulli)
@register_kl(Exponential, Pareto)
@register_kl(Exponential, Uniform)
@register_kl(Gamma, Beta)
@register_kl(Gamma, ContinuousBernoulli)
@register_kl(Gamma, Pareto)
@register_kl(Gamma, Uniform)
@register_kl(Gumbel, Beta)
@register_kl(Gumbel, ContinuousBernoulli)
@register_kl(Gumbel, Exponential)
@register_kl(Gumbel, Gamma)
@register_kl(Gumbel, Pareto)
@register_kl(Gumbel, Uniform)
@register_kl(Laplace, Beta)
@register_kl(Laplace, ContinuousBernoulli)
@register_kl(Laplace, Exponential)
@register_kl(Laplace, Gamma)
@register_kl(Laplace, Pareto)
@register_kl(Laplace, Uniform)
@register_kl(Normal, Beta)
@register_kl(Normal, ContinuousBernoulli)
@register_kl(Normal, Exponential)
@register_kl(Normal, Gamma)
@register_kl(Normal, Pareto)
@register_kl(Normal, Uniform)
@register_kl(Pareto, Beta)
@register_kl(Pareto, ContinuousBernoulli)
@register_kl(Pareto, Uniform)
@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def _infinite(p: Any, q: Any) -> Tensor:
    return pynn.full_like(p.mean, pynn.inf)


# ---- Expectations


def _x_log_x(x: Tensor) -> Tensor:
    return pynn.xlogy(x, x)


def _uniform_mean_log(low: Tensor, high: Tensor) -> Tensor:
    """E[log x]."""
    return (_x_log_x(high) - _x_log_x(low)) / (high - low) - 1


def _mean_log(p: Any) -> Tensor:
    """E[log x] of a distribution of positive numbers."""
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Exponential):
        return -p.rate.log() - euler_constant
    if isinstance(p, Gamma):
        return p.concentration.digamma() - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + p.alpha.reciprocal()
    return _uniform_mean_log(p.low, p.high)


def _mean_exp(p: Any, s: Tensor) -> Tensor:
    """E[e^(-x / s)]."""
    if isinstance(p, Exponential):
        return p.rate * s / (p.rate * s + 1)
    if isinstance(p, Gamma):
        return (1 + (p.rate * s).reciprocal()).pow(-p.concentration)
    if isinstance(p, Normal):
        return ((p.scale / s).pow(2) / 2 - p.loc / s).exp()
    return s / (p.high - p.low) * ((-p.low / s).exp() - (-p.high / s).exp())


# ---- By q


@register_kl(Bernoulli, Poisson)
def _to_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
def _to_normal(p: Any, q: Any) -> Tensor:
    square = p.variance + (p.mean - q.loc).pow(2)
    return -p.entropy() + 0.5 * math.log(2 * math.pi) + q.scale.log() + 0.5 * square / q.scale.pow(2)


@register_kl(Normal, Laplace)
def _to_laplace(p: Any, q: Any) -> Tensor:
    z = (p.loc - q.loc) / (p.scale * math.sqrt(2))
    distance = p.scale * math.sqrt(2) * ((-z.pow(2)).exp() / math.sqrt(math.pi) + z * z.erf())  # E|x - loc|
    return -p.entropy() + (2 * q.scale).log() + distance / q.scale


@register_kl(Beta, Exponential)
@register_kl(ContinuousBernoulli, Exponential)
@register_kl(Gamma, Exponential)
def _to_exponential(p: Any, q: Any) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Beta, Gamma)
@register_kl(Exponential, Gamma)
def _to_gamma(p: Any, q: Any) -> Tensor:
    c = q.concentration
    return -p.entropy() - c * q.rate.log() + c.lgamma() - (c - 1) * _mean_log(p) + q.rate * p.mean


@register_kl(Exponential, Gumbel)
@register_kl(Gamma, Gumbel)
@register_kl(Normal, Gumbel)
@register_kl(Uniform, Gumbel)
def _to_gumbel(p: Any, q: Any) -> Tensor:
    s = q.scale
    return -p.entropy() + s.log() + (p.mean - q.loc) / s + (q.loc / s).exp() * _mean_exp(p, s)


@register_kl(Beta, ContinuousBernoulli)
def _to_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return -p.entropy() - p.mean * q.logits - pynn.log1p(-q.probs) - q._cont_bern_log_norm()


@register_kl(Beta, Uniform)
@register_kl(ContinuousBernoulli, Uniform)
def _unit_to_uniform(p: Any, q: Any) -> Tensor:
    kl = -p.entropy() + (q.high - q.low).log()
    return pynn.where((q.low > 0) | (q.high < 1), pynn.inf, kl)


# ---- Pareto p: infinite where its mean, or for a normal q its variance, is


def _if_moment(p: Any, n: int, formula: Any) -> Tensor:
    heavy = p.alpha <= n
    tame = Pareto(p.scale, pynn.where(heavy, n + 1.0, p.alpha), validate_args=False)  # with finite slopes
    return pynn.where(heavy, pynn.inf, formula(tame))


@register_kl(Pareto, Normal)
def _pareto_to_normal(p: Any, q: Any) -> Tensor:
    return _if_moment(p, 2, lambda p: _to_normal(p, q))


@register_kl(Pareto, Exponential)
def _pareto_to_exponential(p: Any, q: Any) -> Tensor:
    return _if_moment(p, 1, lambda p: _to_exponential(p, q))


@register_kl(Pareto, Gamma)
def _pareto_to_gamma(p: Any, q: Any) -> Tensor:
    return _if_moment(p, 1, lambda p: _to_gamma(p, q))


# ---- Uniform p: infinite where it leaves the support of q


def _unless_outside(p: Any, kl: Tensor, low: Any, high: Any = pynn.inf) -> Tensor:
    return pynn.where((p.low < low) | (p.high > high), pynn.inf, kl)


@register_kl(Uniform, Beta)
def _uniform_to_beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    means = (a - 1) * _mean_log(p) + (b - 1) * _uniform_mean_log(1 - p.high, 1 - p.low)
    kl = -p.entropy() - means + a.lgamma() + b.lgamma() - (a + b).lgamma()
    return _unless_outside(p, kl, 0, 1)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_to_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return _unless_outside(p, _to_continuous_bernoulli(p, q), 0, 1)


@register_kl(Uniform, Exponential)
def _uniform_to_exponential(p: Any, q: Any) -> Tensor:
    return _unless_outside(p, _to_exponential(p, q), 0)


@register_kl(Uniform, Gamma)
def _uniform_to_gamma(p: Any, q: Any) -> Tensor:
    return _unless_outside(p, _to_gamma(p, q), 0)


@register_kl(Uniform, Pareto)
def _uniform_to_pareto(p: Any, q: Any) -> Tensor:
    kl = -p.entropy() - q.alpha.log() - q.alpha * q.scale.log() + (q.alpha + 1) * _mean_log(p)
    return _unless_outside(p, kl, q.scale)
