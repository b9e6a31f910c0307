"""Divergences between distributions of one family, for kl.py."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor
from pynn.nn.functional import softplus

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .kl import kl_divergence, register_kl
from .laplace import Laplace
from .lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    _lowrank_log_det,
    _lowrank_mahalanobis,
)
from .multivariate_normal import MultivariateNormal, _half_log_det, _mahalanobis
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import _sum_rightmost, euler_constant


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    yes = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    yes = pynn.where(p.probs == 0, 0.0, pynn.where(q.probs == 0, pynn.inf, yes))
    no = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    no = pynn.where(p.probs == 1, 0.0, pynn.where(q.probs == 1, pynn.inf, no))
    return yes + no


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    constant = c.lgamma() + d.lgamma() + (a + b).lgamma() - (c + d).lgamma() - a.lgamma() - b.lgamma()
    slopes = (a - c) * a.digamma() + (b - d) * b.digamma() + (c + d - a - b) * (a + b).digamma()
    return constant + slopes


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return pynn.where(p.total_count > q.total_count, pynn.inf, kl)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = pynn.where(q.probs == 0, pynn.inf, terms)
    return pynn.where(p.probs == 0, 0.0, terms).sum(-1)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    apart = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return apart.log() - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return (
        p.mean * (p.logits - q.logits)
        + (p._cont_bern_log_norm() + pynn.log1p(-p.probs))
        - (q._cont_bern_log_norm() + pynn.log1p(-q.probs))
    )


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    constant = total.lgamma() - b.sum(-1).lgamma() + (b.lgamma() - a.lgamma()).sum(-1)
    return constant + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log normalizer between the natural parameters."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            "divergences"
        )
    theta_p = [t.detach().requires_grad_() for t in p._natural_params]
    theta_q = q._natural_params
    with pynn.enable_grad():
        normalizer = p._log_normalizer(*theta_p)
        slopes = pynn.autograd.grad(normalizer.sum(), theta_p, create_graph=True)
    kl = q._log_normalizer(*theta_q) - normalizer
    for tp, tq, slope in zip(theta_p, theta_q, slopes):
        kl = kl - _sum_rightmost((tq - tp) * slope, len(q.event_shape))
    return kl


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log()
        + b.lgamma()
        - a.lgamma()
        + (a - b) * a.digamma()
        + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - pynn.log1p(-q.probs) / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc) / q.scale
    return apart - ratio.log() + (ratio - 1) * euler_constant - 1 + ((1 + ratio).lgamma() - apart).exp()


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return apart / q.scale + ratio * (-apart / p.scale).exp() - ratio.log() - 1


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: Any, q: Any) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    kl = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return pynn.where(p.scale < q.scale, pynn.inf, kl)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    more = len(p.event_shape) - len(p.base_dist.event_shape)
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), more)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    kl = ((q.high - q.low) / (p.high - p.low)).log()
    return pynn.where((q.low > p.low) | (q.high < p.high), pynn.inf, kl)


# Normal vectors: 1/2 (log det S_q - log det S_p + tr S_q^-1 S_p + the distance of the means - n).


def _check_sizes(p: Any, q: Any, low_rank: bool) -> None:
    if p.event_shape != q.event_shape:
        what = "(Low Rank) Multivariate Normals" if low_rank else "Multivariate Normals"
        raise ValueError(
            f"KL-divergence between two {what} with                          different event shapes cannot be "
            "computed"
        )


def _parts(q: Any) -> tuple[Any, Any, Any]:
    return q._unbroadcasted_cov_factor, q._unbroadcasted_cov_diag, q._capacitance_tril


def _square_sum(x: Tensor) -> Tensor:
    return x.pow(2).sum((-2, -1))


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Tensor:
    _check_sizes(p, q, False)
    lp, lq = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    trace = _square_sum(pynn.linalg.solve_triangular(lq, lp, upper=False))
    distance = _mahalanobis(lq, q.loc - p.loc)
    return _half_log_det(lq) - _half_log_det(lp) + 0.5 * (trace + distance - p.event_shape[0])


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _multivariate_normal_low_rank(p: Any, q: Any) -> Tensor:
    _check_sizes(p, q, True)
    w, d, capacitance = _parts(q)
    lp = p._unbroadcasted_scale_tril
    log_det = _lowrank_log_det(d, capacitance) - 2 * _half_log_det(lp)
    distance = _lowrank_mahalanobis(w, d, q.loc - p.loc, capacitance)
    # S_q^-1 = D^-1 - A^T A
    a = pynn.linalg.solve_triangular(capacitance, w.mT / d.unsqueeze(-2), upper=False)
    trace = _square_sum(lp / d.sqrt().unsqueeze(-1)) - _square_sum(a @ lp)
    return 0.5 * (log_det + trace + distance - p.event_shape[0])


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_multivariate_normal(p: Any, q: Any) -> Tensor:
    _check_sizes(p, q, True)
    w, d, capacitance = _parts(p)
    lq = q._unbroadcasted_scale_tril
    log_det = 2 * _half_log_det(lq) - _lowrank_log_det(d, capacitance)
    distance = _mahalanobis(lq, q.loc - p.loc)
    solve = pynn.linalg.solve_triangular
    trace = _square_sum(solve(lq, w, upper=False)) + _square_sum(
        solve(lq, d.sqrt().diag_embed(), upper=False)
    )
    return 0.5 * (log_det + trace + distance - p.event_shape[0])


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_rank_both(p: Any, q: Any) -> Tensor:
    _check_sizes(p, q, True)
    wp, dp, capacitance_p = _parts(p)
    wq, dq, capacitance_q = _parts(q)
    log_det = _lowrank_log_det(dq, capacitance_q) - _lowrank_log_det(dp, capacitance_p)
    distance = _lowrank_mahalanobis(wq, dq, q.loc - p.loc, capacitance_q)
    a = pynn.linalg.solve_triangular(capacitance_q, wq.mT / dq.unsqueeze(-2), upper=False)
    trace = (
        (dp / dq).sum(-1)
        + _square_sum(wp / dq.sqrt().unsqueeze(-1))
        - _square_sum(a * dp.sqrt().unsqueeze(-2))
        - _square_sum(a @ wp)
    )
    return 0.5 * (log_det + trace + distance - p.event_shape[0])
