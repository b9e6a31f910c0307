"""Distributions by what defines them: densities that integrate to one, moments and entropies that are integrals, samples
that follow, divergences that are expectations."""

import math
import pickle

import numpy as np
import pytest
from helpers import raises, tensor

import pynn
import pynn.distributions as d
from pynn.autograd import gradcheck


def t(x):
    return tensor(np.asarray(x, np.float64))


CONTINUOUS = {
    "Beta": (lambda: d.Beta(t(2.0), t(3.5)), 0, 1),
    "Cauchy": (lambda: d.Cauchy(t(0.3), t(0.8)), -math.inf, math.inf),
    "Chi2": (lambda: d.Chi2(t(5.0)), 0, math.inf),
    "ContinuousBernoulli": (lambda: d.ContinuousBernoulli(t(0.3)), 0, 1),
    "ContinuousBernoulli half": (lambda: d.ContinuousBernoulli(t(0.5)), 0, 1),
    "ContinuousBernoulli near": (lambda: d.ContinuousBernoulli(t(0.4999)), 0, 1),
    "Exponential": (lambda: d.Exponential(t(1.7)), 0, math.inf),
    "FisherSnedecor": (lambda: d.FisherSnedecor(t(5.0), t(12.0)), 0, math.inf),
    "Gamma": (lambda: d.Gamma(t(2.2), t(0.7)), 0, math.inf),
    "GeneralizedPareto": (lambda: d.GeneralizedPareto(t(0.5), t(1.5), t(0.1)), 0.5, math.inf),
    "GeneralizedPareto bounded": (lambda: d.GeneralizedPareto(t(0.5), t(1.5), t(-0.5)), 0.5, 3.5),
    "GeneralizedPareto flat": (lambda: d.GeneralizedPareto(t(0.5), t(1.5), t(0.0)), 0.5, math.inf),
    "Gumbel": (lambda: d.Gumbel(t(0.4), t(1.3)), -math.inf, math.inf),
    "HalfCauchy": (lambda: d.HalfCauchy(t(1.3)), 0, math.inf),
    "HalfNormal": (lambda: d.HalfNormal(t(1.3)), 0, math.inf),
    "InverseGamma": (lambda: d.InverseGamma(t(7.0), t(2.0)), 0, math.inf),
    "Kumaraswamy": (lambda: d.Kumaraswamy(t(2.0), t(3.0)), 0, 1),
    "Laplace": (lambda: d.Laplace(t(0.5), t(1.4)), -math.inf, math.inf),
    "LogNormal": (lambda: d.LogNormal(t(0.2), t(0.5)), 0, math.inf),
    "Mixture": (
        lambda: d.MixtureSameFamily(d.Categorical(t([0.3, 0.7])), d.Normal(t([-1.0, 2.0]), t([0.5, 1.0]))),
        -math.inf,
        math.inf,
    ),
    "Normal": (lambda: d.Normal(t(0.5), t(1.4)), -math.inf, math.inf),
    "Pareto": (lambda: d.Pareto(t(1.2), t(7.0)), 1.2, math.inf),
    "RelaxedBernoulli": (lambda: d.RelaxedBernoulli(t(0.9), t(0.3)), 0, 1),
    "StudentT": (lambda: d.StudentT(t(7.0), t(0.3), t(1.2)), -math.inf, math.inf),
    "Uniform": (lambda: d.Uniform(t(-0.5), t(1.4)), -0.5, 1.4),
    "VonMises": (lambda: d.VonMises(t(0.5), t(2.5)), -math.pi, math.pi),
    "Weibull": (lambda: d.Weibull(t(1.5), t(1.8)), 0, math.inf),
}
NO_MOMENTS = {"Cauchy", "HalfCauchy", "RelaxedBernoulli", "VonMises"}


def nodes(low, high, n=4001):
    """Points and weights: the double exponential rule, which bears singular and infinite ends."""
    s = np.linspace(-1, 1, n)
    if math.isinf(low) and math.isinf(high):
        u = 4.4 * s
        x, dx = np.sinh(np.pi / 2 * np.sinh(u)), np.cosh(np.pi / 2 * np.sinh(u)) * np.cosh(u)
    elif math.isinf(high):
        u = 4.0 * s
        x = low + np.exp(np.pi / 2 * np.sinh(u))
        dx = (x - low) * np.cosh(u)
    else:
        u = 3.0 * s
        half = (high - low) / 2
        g = np.tanh(np.pi / 2 * np.sinh(u))
        x, dx = low + half * (1 + g), half * (1 - g**2) * np.cosh(u)
    w = dx * np.pi / 2 * (u[1] - u[0])
    keep = (x > low) & (x < high) & (w > 0)
    return x[keep], w[keep]


def integral(f, low, high):
    x, w = nodes(low, high)
    with np.errstate(all="ignore"):
        terms = f(t(x)).numpy() * w
    return float(np.where(np.isfinite(terms), terms, 0).sum())


@pytest.mark.parametrize("name", CONTINUOUS)
def test_densities(name):
    make, low, high = CONTINUOUS[name]
    p = make()

    def expect(f):
        return integral(lambda x: f(x) * p.log_prob(x).exp(), low, high)

    assert abs(expect(lambda x: x * 0 + 1) - 1) < 1e-6
    if name not in NO_MOMENTS:
        mean = expect(lambda x: x)
        assert abs(float(p.mean) - mean) < 1e-6
        variance = expect(lambda x: (x - mean) ** 2)
        assert abs(float(p.variance) - variance) < 1e-5 * max(1, variance)
        assert abs(float(p.stddev) - variance**0.5) < 1e-5 * max(1, variance)
    try:
        entropy = p.entropy()
    except NotImplementedError:
        return
    assert abs(float(entropy) - expect(lambda x: -p.log_prob(x))) < 1e-6
    assert abs(float(p.perplexity()) - math.exp(float(entropy))) < 1e-9 * math.exp(float(entropy))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_distribution_functions(name):
    make, low, high = CONTINUOUS[name]
    p = make()
    levels = t([0.05, 0.3, 0.6, 0.97])
    try:
        x = p.icdf(levels)
    except NotImplementedError:
        pynn.manual_seed(0)
        x = p.sample((4,))
    else:
        np.testing.assert_allclose(p.cdf(x).numpy(), levels.numpy(), rtol=1e-8)
    try:
        f = p.cdf(x)
    except NotImplementedError:
        return
    for one, value in zip(x.tolist(), f.tolist(), strict=True):
        if math.isinf(low):
            expected = 1 - integral(lambda y: p.log_prob(y).exp(), one, high)
        else:
            expected = integral(lambda y: p.log_prob(y).exp(), low, one)
        # Kinks lie between nodes; ContinuousBernoulli is flat between its lims.
        assert abs(value - expected) < (1e-4 if name.endswith("near") else 2e-5)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_follow_the_distribution_function(name):
    """Kolmogorov and Smirnov: the largest distance of the two distribution functions."""
    make, low, high = CONTINUOUS[name]
    p = make()
    pynn.manual_seed(3)
    n = 20_000
    x = p.sample((n,)).sort()[0]
    try:
        f = p.cdf(x).numpy()
    except NotImplementedError:
        grid = np.linspace(max(low, float(x[0])) + 1e-9, float(x[-1]), 20001)
        density = p.log_prob(t(grid)).exp().numpy()
        mass = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
        f = np.interp(x.numpy(), grid, mass / mass[-1])
    assert np.abs(f - (np.arange(n) + 0.5) / n).max() < 1.9 / n**0.5


DISCRETE = {
    "Bernoulli": lambda: d.Bernoulli(t(0.3)),
    "Binomial": lambda: d.Binomial(7, t(0.3)),
    "Geometric": lambda: d.Geometric(t(0.3)),
    "NegativeBinomial": lambda: d.NegativeBinomial(t(2.7), t(0.4)),
    "Poisson": lambda: d.Poisson(t(3.3)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities(name):
    p = DISCRETE[name]()
    k = p.enumerate_support() if p.has_enumerate_support else pynn.arange(200, dtype=pynn.float64)
    probability = p.log_prob(k).exp()
    assert abs(float(probability.sum()) - 1) < 1e-10
    mean = float((k * probability).sum())
    assert abs(float(p.mean) - mean) < 1e-9
    assert abs(float(p.variance) - float(((k - mean) ** 2 * probability).sum())) < 1e-9
    assert float(p.mode) == float(k[probability.argmax()])
    if name not in ("NegativeBinomial", "Poisson"):
        terms = probability * p.log_prob(k)
        assert abs(float(p.entropy()) + float(terms[probability > 0].sum())) < 1e-9
    pynn.manual_seed(3)
    x = p.sample((50_000,))
    assert abs(float(x.mean()) - mean) < 6 * (float(p.variance) / 50_000) ** 0.5
    for value in k[:4].tolist():
        share = float(p.log_prob(t(value)).exp())
        assert abs(float((x == value).double().mean()) - share) < 6 * (share / 50_000) ** 0.5


def test_vectors_of_counts():
    p = d.Multinomial(3, t([0.2, 0.3, 0.5]))
    every = t([[i, j, 3 - i - j] for i in range(4) for j in range(4 - i)])
    log_prob = p.log_prob(every)
    probability = log_prob.exp()
    assert abs(float(probability.sum()) - 1) < 1e-12
    np.testing.assert_allclose((probability[:, None] * every).sum(0).numpy(), p.mean.numpy())
    assert abs(float(p.entropy()) + float((probability * log_prob).sum())) < 1e-9
    pynn.manual_seed(0)
    x = p.sample((20_000,))
    assert (x.sum(-1) == 3).all()
    np.testing.assert_allclose(x.mean(0).numpy(), p.mean.numpy(), atol=0.05)


def covariance(x):
    x = x - x.mean(0)
    return (x.T @ x / len(x)).numpy()


def normal_vectors():
    rng = np.random.default_rng(0)
    w, v = rng.standard_normal((4, 2)), rng.uniform(0.5, 1.5, 4)
    c = w @ w.T + np.diag(v)
    loc = t(rng.standard_normal(4))
    yield d.LowRankMultivariateNormal(loc, t(w), t(v)), c
    yield d.MultivariateNormal(loc, t(c)), c
    yield d.MultivariateNormal(loc, precision_matrix=t(np.linalg.inv(c))), c
    yield d.MultivariateNormal(loc, scale_tril=t(np.linalg.cholesky(c))), c


def test_normal_vectors():
    x = t(np.random.default_rng(1).standard_normal((5, 4)))
    for p, c in normal_vectors():
        away = (x - p.loc).numpy()
        expected = -0.5 * (
            np.einsum("ni,ij,nj->n", away, np.linalg.inv(c), away) + np.linalg.slogdet(2 * np.pi * c)[1]
        )
        np.testing.assert_allclose(p.log_prob(x).numpy(), expected)
        np.testing.assert_allclose(float(p.entropy()), 0.5 * np.linalg.slogdet(2 * np.pi * np.e * c)[1])
        np.testing.assert_allclose(p.covariance_matrix.numpy(), c)
        np.testing.assert_allclose(p.precision_matrix.numpy(), np.linalg.inv(c))
        np.testing.assert_allclose(p.scale_tril.numpy(), np.linalg.cholesky(c))
        np.testing.assert_allclose(p.variance.numpy(), np.diag(c))
        pynn.manual_seed(0)
        np.testing.assert_allclose(covariance(p.sample((50_000,))), c, atol=0.15)
        for q, _ in normal_vectors():
            assert abs(float(d.kl_divergence(p, q))) < 1e-10
    a, b = (
        [
            d.MultivariateNormal(t(loc), t(w @ w.T + np.diag(v))),
            d.LowRankMultivariateNormal(t(loc), t(w), t(v)),
        ]
        for loc, w, v in (
            (np.zeros(3), np.array([[1.0], [2], [0]]), np.ones(3)),
            (np.ones(3), np.array([[0.0], [1], [1]]), np.array([1.0, 2, 3])),
        )
    )
    divergences = [float(d.kl_divergence(p, q)) for p in a for q in b]
    np.testing.assert_allclose(divergences, divergences[0])
    mean, s, r = b[0].loc.numpy(), a[0].covariance_matrix.numpy(), b[0].covariance_matrix.numpy()
    inverse = np.linalg.inv(r)
    expected = 0.5 * (
        np.trace(inverse @ s) + mean @ inverse @ mean - 3 + np.log(np.linalg.det(r) / np.linalg.det(s))
    )
    np.testing.assert_allclose(divergences[0], expected)


def test_wishart():
    c = np.array([[2.0, 0.5], [0.5, 1.0]])
    p = d.Wishart(t(5.5), t(c))
    pynn.manual_seed(0)
    x = p.sample((20_000,))
    np.testing.assert_allclose(x.mean(0).numpy(), 5.5 * c, rtol=0.03)
    np.testing.assert_allclose(x.var(0).numpy(), p.variance.numpy(), rtol=0.05)
    np.testing.assert_allclose(float(p.entropy()), -float(p.log_prob(x).mean()), atol=0.03)
    # One dimension is a scaled Chi2.
    one, chi2 = d.Wishart(t(3.0), t([[1.0]])), d.Chi2(t(3.0))
    np.testing.assert_allclose(float(one.log_prob(t([[1.7]]))), float(chi2.log_prob(t(1.7))))
    q = d.Wishart(t(5.5), t(2 * c))
    log_ratio = p.log_prob(x) - q.log_prob(x)
    np.testing.assert_allclose(float(d.kl_divergence(p, q)), float(log_ratio.mean()), atol=0.03)


def test_lkj():
    # Two dimensions: the correlation is Beta(c, c) on (-1, 1).
    p = d.LKJCholesky(2, t(1.5))
    x, w = nodes(-1, 1)
    factors = np.zeros((len(x), 2, 2))
    factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = 1, x, np.sqrt(1 - x**2)
    log_prob = d.LKJCholesky(2, t(1.5), validate_args=False).log_prob(t(factors)).numpy()
    # The density is that of L; dL / dr = 1 on the entry that is free.
    kept = np.isfinite(log_prob)
    assert abs((np.exp(log_prob) * w)[kept].sum() - 1) < 1e-6
    pynn.manual_seed(0)
    for dim in (2, 4):
        p = d.LKJCholesky(dim, t(1.5))
        x = p.sample((20_000,))
        assert d.constraints.corr_cholesky.check(x).all()
        correlations = x @ x.mT
        np.testing.assert_allclose(correlations.mean(0).numpy(), np.eye(dim), atol=0.02)
        # Each correlation is Beta(a, a) on (-1, 1), with a = c + (dim - 2) / 2: its variance is 1 / (2 a + 1).
        a = 1.5 + (dim - 2) / 2
        assert abs(float(correlations[:, 1, 0].var()) * (2 * a + 1) - 1) < 0.05
        assert abs(float(correlations[:, -1, 0].var()) * (2 * a + 1) - 1) < 0.05


PAIRS = [
    ("Beta", "Gamma"),
    ("Beta", "Normal"),
    ("Beta", "Exponential"),
    ("Beta", "Uniform wide"),
    ("Beta", "ContinuousBernoulli"),
    ("ContinuousBernoulli", "ContinuousBernoulli near"),
    ("ContinuousBernoulli", "Normal"),
    ("ContinuousBernoulli", "Exponential"),
    ("Cauchy", "Cauchy"),
    ("Exponential", "Gamma"),
    ("Exponential", "Gumbel"),
    ("Exponential", "Normal"),
    ("Gamma", "Exponential"),
    ("Gamma", "Gumbel"),
    ("Gamma", "Chi2"),
    ("Gamma", "Normal"),
    ("Gumbel", "Normal"),
    ("HalfNormal", "HalfNormal"),
    ("Laplace", "Normal"),
    ("Normal", "Gumbel"),
    ("Normal", "Laplace"),
    ("Pareto", "Exponential"),
    ("Pareto", "Gamma"),
    ("Pareto", "Normal"),
    ("Uniform in", "Beta"),
    ("Uniform in", "ContinuousBernoulli"),
    ("Uniform in", "Exponential"),
    ("Uniform in", "Gamma"),
    ("Uniform in", "Gumbel"),
    ("Uniform in", "Normal"),
    ("Uniform above", "Pareto"),
]
OTHERS = {
    "Uniform wide": (lambda: d.Uniform(t(-0.5), t(1.5)), -0.5, 1.5),
    "Uniform in": (lambda: d.Uniform(t(0.1), t(0.7)), 0.1, 0.7),
    "Uniform above": (lambda: d.Uniform(t(1.3), t(2.7)), 1.3, 2.7),
}


@pytest.mark.parametrize("first, second", PAIRS)
def test_divergences_are_expectations(first, second):
    make, low, high = {**CONTINUOUS, **OTHERS}[first]
    p, q = make(), {**CONTINUOUS, **OTHERS}[second][0]()
    expected = integral(lambda x: p.log_prob(x).exp() * (p.log_prob(x) - q.log_prob(x)), low, high)
    assert abs(float(d.kl_divergence(p, q)) - expected) < 1e-6 * max(1, expected)


def test_infinite_divergences():
    for p, q in [("Normal", "Exponential"), ("Gamma", "Uniform"), ("Gumbel", "Beta"), ("Uniform", "Pareto")]:
        assert float(d.kl_divergence(CONTINUOUS[p][0](), CONTINUOUS[q][0]())) == math.inf
    assert float(d.kl_divergence(d.Pareto(t(1.0), t(1.5)), d.Normal(t(0.0), t(1.0)))) == math.inf


def test_registering_divergences():
    class A(d.Normal):
        pass

    class B(A):
        pass

    with pytest.raises(TypeError, match="type_p"):
        d.register_kl("int", A)
    one = A(0.0, 1.0)
    assert float(d.kl_divergence(one, d.Normal(0.0, 1.0))) == 0  # the base's
    try:
        d.register_kl(A, d.Normal)(lambda p, q: 1)
        d.register_kl(d.Normal, A)(lambda p, q: 2)
        assert d.kl_divergence(B(0.0, 1.0), d.Normal(0.0, 1.0)) == 1
        with pytest.warns(RuntimeWarning, match="Ambiguous"):
            d.kl_divergence(B(0.0, 1.0), B(0.0, 1.0))
    finally:
        for pair in ((A, d.Normal), (d.Normal, A)):
            d.kl._KL_REGISTRY.pop(pair)
        d.kl._KL_MEMOIZE.clear()


def test_gradients():
    x = t(np.random.default_rng(0).uniform(0.1, 0.9, (2, 3)))
    a = t([0.5, 1.5, 2.5]).requires_grad_()
    b = t([0.7, 1.2, 3.1]).requires_grad_()
    makers = (
        d.Beta,
        d.Cauchy,
        d.FisherSnedecor,
        d.Gamma,
        d.Gumbel,
        d.InverseGamma,
        d.Kumaraswamy,
        d.Laplace,
        d.LogNormal,
        d.Normal,
        d.StudentT,
        d.VonMises,
        d.Weibull,
    )
    for make in makers:
        assert gradcheck(lambda a, b, x, make=make: make(a, b).log_prob(x), (a, b, x.requires_grad_()))
        if make is not d.FisherSnedecor and make is not d.VonMises:
            assert gradcheck(lambda a, b, make=make: make(a, b).entropy(), (a, b))


def test_transforms_and_their_jacobians():
    x = t(np.random.default_rng(0).uniform(0.2, 1.5, (3,)))
    compose = d.ComposeTransform([d.ExpTransform(), d.AffineTransform(1.0, -2.0)])
    for transform in (
        d.AffineTransform(0.5, t([1.0, -2.0, 3.0])),
        d.ExpTransform(),
        d.PowerTransform(t(-1.5)),
        d.SigmoidTransform(),
        d.SoftplusTransform(),
        d.TanhTransform(),
        d.StickBreakingTransform(),
        d.CorrCholeskyTransform(),
        d.CumulativeDistributionTransform(d.Laplace(t(0.0), t(1.0))),
        compose,
        d.IndependentTransform(compose, 1),
        d.ComposeTransform([d.TanhTransform(), d.StickBreakingTransform()]),
        d.CatTransform([d.ExpTransform(), d.TanhTransform()], 0, [1, 2]),
        d.StackTransform([d.ExpTransform(), d.TanhTransform(), d.SigmoidTransform()]),
    ):
        y = transform(x)
        np.testing.assert_allclose(transform.inv(y).numpy(), x.numpy(), rtol=1e-9)
        assert transform.codomain.check(y).all(), transform
        assert tuple(transform.forward_shape(x.shape)) == y.shape
        assert tuple(transform.inverse_shape(y.shape)) == x.shape

        def free(x, transform=transform):
            """As many entries of y as x has."""
            y = transform(x)
            if y.dim() == 2:
                return d.utils.tril_matrix_to_vec(y, -1)
            return y[: x.shape[0]]

        jacobian = pynn.autograd.functional.jacobian(free, x)
        log_det = transform.log_abs_det_jacobian(x, y).sum()
        np.testing.assert_allclose(float(log_det), float(pynn.linalg.slogdet(jacobian).logabsdet), rtol=1e-9)


def test_caches():
    transform = d.TanhTransform(cache_size=1)
    x = t([10.0, 30.0])  # whose tanh is 1
    assert transform.inv(transform(x)) is x
    p = d.TransformedDistribution(d.Normal(t([0.0]), t([20.0])), [transform])
    pynn.manual_seed(0)
    assert p.log_prob(p.rsample()).isfinite().all()
    assert pickle.loads(pickle.dumps(d.ExpTransform())) == d.ExpTransform()
    assert d.ExpTransform().inv.inv == d.ExpTransform()


def test_shapes_and_expand():
    p = d.Normal(t(np.zeros((3, 1))), t(np.ones(2)))
    assert (p.batch_shape, p.event_shape) == ((3, 2), ())
    assert p.sample((4,)).shape == (4, 3, 2)
    assert p.sample([4]).shape == (4, 3, 2)
    wide = p.expand((5, 3, 2))
    assert wide.sample().shape == (5, 3, 2) and wide.log_prob(t(0.0)).shape == (5, 3, 2)
    joint = d.Independent(p, 1).expand((7, 3))
    assert (joint.batch_shape, joint.event_shape) == ((7, 3), (2,))
    assert joint.log_prob(joint.sample((2,))).shape == (2, 7, 3)
    for make in (
        lambda: d.LKJCholesky(3, t([1.0, 2.0])),
        lambda: d.Wishart(t([4.0, 5.0]), t(np.eye(3))),
        lambda: d.Multinomial(3, t(np.ones((2, 3)))),
        lambda: d.LogisticNormal(t(np.zeros((2, 2))), t(np.ones((2, 2)))),
        lambda: d.RelaxedOneHotCategorical(t(0.5), t(np.ones((2, 3)))),
        lambda: d.MixtureSameFamily(
            d.Categorical(t(np.ones((2, 4)))),
            d.MultivariateNormal(t(np.zeros((2, 4, 3))), t(np.eye(3))),
        ),
    ):
        p = make().expand((5, 2))
        assert p.batch_shape == (5, 2)
        x = p.sample((3,))
        assert x.shape == (3, 5, 2, *p.event_shape)
        assert p.log_prob(x).shape == (3, 5, 2)


def test_checks_can_be_turned_off():
    with pytest.raises(ValueError, match="scale"):
        d.Normal(0.0, -1.0)
    d.Normal(0.0, -1.0, validate_args=False)
    d.Distribution.set_default_validate_args(False)
    try:
        d.Normal(0.0, -1.0)
    finally:
        d.Distribution.set_default_validate_args(True)
    with raises(ValueError, "support"):
        d.Exponential(1.0).log_prob(pynn.tensor(-1.0))
    assert float(d.Exponential(1.0, validate_args=False).log_prob(pynn.tensor(-1.0))) == 1


def test_straight_through():
    logits = t([0.1, 0.2, 0.3]).requires_grad_()
    p = d.OneHotCategoricalStraightThrough(logits=logits)
    x = p.rsample()
    np.testing.assert_allclose(sorted(x.tolist()), [0, 0, 1], atol=1e-12)
    weights = t([1.0, 2.0, 3.0])
    (g,) = pynn.autograd.grad((x * weights).sum(), logits)
    (expected,) = pynn.autograd.grad((logits.softmax(0) * weights).sum(), logits)
    np.testing.assert_allclose(g.numpy(), expected.numpy())


def test_samples_need_no_gradient_unless_asked():
    loc = t([0.0]).requires_grad_()
    assert not d.Normal(loc, 1.0).sample().requires_grad
    assert d.Normal(loc, 1.0).rsample().requires_grad
    assert not d.Categorical(logits=loc).sample().requires_grad
    with pytest.raises(NotImplementedError):
        d.Poisson(loc + 1).rsample()


def test_training_a_policy():
    """REINFORCE finds the better arm."""
    pynn.manual_seed(0)
    logits = pynn.zeros(3, requires_grad=True)
    optimizer = pynn.optim.Adam([logits], lr=0.1)
    reward = pynn.tensor([0.1, 1.0, 0.3])
    for _ in range(100):
        policy = d.Categorical(logits=logits)
        action = policy.sample((16,))
        loss = -(policy.log_prob(action) * (reward[action] - reward.mean())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert d.Categorical(logits=logits).mode == 1
    assert d.Categorical(logits=logits).probs[1] > 0.9
