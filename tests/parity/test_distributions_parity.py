"""Distributions beside PyTorch: values, gradients, samples after the same seed, printing, errors."""

import warnings

import numpy as np
import pytest
from parity_helpers import both, floats, integers, run, table

import pynn
import pynn.distributions

torch = pytest.importorskip("torch")


def positive(*shape, seed=0, low=0.3, high=3.0, dtype="float64"):
    return floats(*shape, seed=seed, low=low, high=high, dtype=dtype)


def unit(*shape, seed=0, low=0.05, high=0.95):
    return floats(*shape, seed=seed, low=low, high=high)


def shares(*shape, seed=0):
    x = positive(*shape, seed=seed)
    return x / x.sum(-1, keepdims=True)


def square(n, seed=0):
    a = floats(n, n, seed=seed)
    return a @ a.T + n * np.eye(n)


def lower(n, seed=0):
    return np.linalg.cholesky(square(n, seed))


def corr_cholesky(n, seed=0):
    c = square(n, seed)
    d = np.sqrt(np.diag(c))
    return np.linalg.cholesky(c / np.outer(d, d))


COUNTS = integers(2, 3, low=0, high=4).astype("float64")
REALS = floats(2, 3, seed=5)
ABOVE = positive(2, 3, seed=6)
INSIDE = unit(2, 3, seed=7)
EYE = np.eye(3)

# name, maker, parameters (which get gradients), a value in the support
CASES = [
    ("Bernoulli", lambda d, p: d.Bernoulli(p), (unit(3),), EYE[:2]),
    ("Bernoulli", lambda d, p: d.Bernoulli(logits=p), (floats(3),), EYE[:2]),
    ("Bernoulli", lambda d, p: d.Bernoulli(p), (np.array([0.5, 0.2, 1.0]),), EYE[:2]),
    ("Beta", lambda d, a, b: d.Beta(a, b), (positive(3), positive(3, seed=1)), INSIDE),
    ("Beta", lambda d, a: d.Beta(a, 2.0), (positive(2, 1),), INSIDE),
    ("Binomial", lambda d, p: d.Binomial(4, p), (unit(3),), COUNTS),
    ("Binomial", lambda d, p: d.Binomial(4, logits=p), (floats(3),), COUNTS),
    ("Categorical", lambda d, p: d.Categorical(p), (positive(2, 3),), integers(2, low=0, high=3)),
    ("Categorical", lambda d, p: d.Categorical(logits=p), (floats(3, 4),), integers(5, 3, low=0, high=3)),
    ("Cauchy", lambda d, a, b: d.Cauchy(a, b), (floats(3), positive(3)), REALS),
    ("Chi2", lambda d, a: d.Chi2(a), (positive(3),), ABOVE),
    ("ContinuousBernoulli", lambda d, p: d.ContinuousBernoulli(p), (unit(3),), INSIDE),
    (
        "ContinuousBernoulli",
        lambda d, p: d.ContinuousBernoulli(p),
        (np.array([0.4995, 0.5, 0.5003]),),
        INSIDE,
    ),
    ("ContinuousBernoulli", lambda d, p: d.ContinuousBernoulli(logits=p), (floats(3),), INSIDE),
    ("Dirichlet", lambda d, a: d.Dirichlet(a), (positive(2, 3),), shares(2, 3)),
    ("Dirichlet", lambda d, a: d.Dirichlet(a), (positive(4, 3, low=0.2, high=0.9),), shares(4, 3)),
    ("Exponential", lambda d, a: d.Exponential(a), (positive(3),), ABOVE),
    ("FisherSnedecor", lambda d, a, b: d.FisherSnedecor(a, b), (positive(3), positive(3, high=9.0)), ABOVE),
    ("Gamma", lambda d, a, b: d.Gamma(a, b), (positive(3), positive(3, seed=1)), ABOVE),
    (
        "GeneralizedPareto",
        lambda d, a, b, c: d.GeneralizedPareto(a, b, c),
        # PyTorch compares with float32 constants, and refuses float64.
        (
            floats(3, high=-1.0, dtype="float32"),
            positive(3, dtype="float32"),
            np.float32([-0.1, 0.0, 0.3]),
        ),
        unit(2, 3).astype("float32"),
    ),
    ("Geometric", lambda d, p: d.Geometric(p), (unit(3),), COUNTS),
    ("Geometric", lambda d, p: d.Geometric(logits=p), (floats(3),), COUNTS),
    ("Gumbel", lambda d, a, b: d.Gumbel(a, b), (floats(3), positive(3)), REALS),
    ("HalfCauchy", lambda d, a: d.HalfCauchy(a), (positive(3),), ABOVE),
    ("HalfNormal", lambda d, a: d.HalfNormal(a), (positive(3),), ABOVE),
    ("Independent", lambda d, a: d.Independent(d.Normal(a, 1.0), 1), (floats(2, 3),), REALS),
    ("Independent", lambda d, p: d.Independent(d.Bernoulli(p), 0), (unit(2, 3),), EYE[:2]),
    ("InverseGamma", lambda d, a, b: d.InverseGamma(a, b), (positive(3, high=5.0), positive(3)), ABOVE),
    ("Kumaraswamy", lambda d, a, b: d.Kumaraswamy(a, b), (positive(3), positive(3, seed=1)), INSIDE),
    ("LKJCholesky", lambda d, a: d.LKJCholesky(3, a), (positive(2),), corr_cholesky(3)),
    ("LKJCholesky", lambda d, a: d.LKJCholesky(5, a), (positive(),), corr_cholesky(5)),
    ("Laplace", lambda d, a, b: d.Laplace(a, b), (floats(3), positive(3)), REALS),
    ("LogNormal", lambda d, a, b: d.LogNormal(a, b), (floats(3), positive(3)), ABOVE),
    ("LogisticNormal", lambda d, a, b: d.LogisticNormal(a, b), (floats(2, 2), positive(2, 2)), shares(2, 3)),
    (
        "LowRankMultivariateNormal",
        lambda d, a, w, v: d.LowRankMultivariateNormal(a, w, v),
        (floats(2, 3), floats(3, 2), positive(3)),
        REALS,
    ),
    (
        "MixtureSameFamily",
        lambda d, p, a, b: d.MixtureSameFamily(d.Categorical(p), d.Normal(a, b)),
        (positive(2, 3), floats(2, 3), positive(2, 3)),
        floats(2),
    ),
    (
        "MixtureSameFamily",
        lambda d, p, a: d.MixtureSameFamily(d.Categorical(logits=p), d.Independent(d.Normal(a, 1.0), 1)),
        (floats(3), floats(3, 2)),
        floats(4, 2),
    ),
    ("Multinomial", lambda d, p: d.Multinomial(4, p), (positive(2, 3),), np.array([[1.0, 2, 1], [0, 0, 4]])),
    ("Multinomial", lambda d, p: d.Multinomial(2, logits=p), (floats(3),), np.array([1.0, 0, 1])),
    (
        "MultivariateNormal",
        lambda d, a, c: d.MultivariateNormal(a, c @ c.mT),
        (floats(2, 3), lower(3)),
        REALS,
    ),
    (
        "MultivariateNormal",
        lambda d, a, c: d.MultivariateNormal(a, precision_matrix=c @ c.mT),
        (floats(3), lower(3)),
        REALS,
    ),
    (
        "MultivariateNormal",
        lambda d, a, c: d.MultivariateNormal(a, scale_tril=c.tril()),
        (floats(3), lower(3)),
        REALS,
    ),
    ("NegativeBinomial", lambda d, n, p: d.NegativeBinomial(n, p), (positive(3), unit(3)), COUNTS),
    ("NegativeBinomial", lambda d, p: d.NegativeBinomial(3, logits=p), (floats(3),), COUNTS),
    ("Normal", lambda d, a, b: d.Normal(a, b), (floats(3), positive(3)), REALS),
    ("Normal", lambda d, a: d.Normal(a, 2.0), (floats(2, 3),), REALS),
    ("OneHotCategorical", lambda d, p: d.OneHotCategorical(p), (positive(2, 3),), EYE[[2, 0]]),
    ("OneHotCategorical", lambda d, p: d.OneHotCategorical(logits=p), (floats(3),), EYE),
    (
        "OneHotCategoricalStraightThrough",
        lambda d, p: d.OneHotCategoricalStraightThrough(p),
        (positive(2, 3),),
        EYE[[2, 0]],
    ),
    ("Pareto", lambda d, a, b: d.Pareto(a, b), (positive(3), positive(3, seed=1)), ABOVE + 3),
    ("Poisson", lambda d, a: d.Poisson(a), (positive(3),), COUNTS),
    ("RelaxedBernoulli", lambda d, t, p: d.RelaxedBernoulli(t, p), (positive(), unit(3)), INSIDE),
    ("RelaxedBernoulli", lambda d, t, p: d.RelaxedBernoulli(t, logits=p), (positive(), floats(3)), INSIDE),
    (
        "RelaxedOneHotCategorical",
        lambda d, t, p: d.RelaxedOneHotCategorical(t, p),
        (positive(), positive(2, 3)),
        shares(2, 3),
    ),
    ("StudentT", lambda d, n, a, b: d.StudentT(n, a, b), (positive(3), floats(3), positive(3)), REALS),
    (
        "TransformedDistribution",
        lambda d, a, b: d.TransformedDistribution(
            d.Normal(a, 1.0), [d.AffineTransform(0.5, b), d.SigmoidTransform()]
        ),
        (floats(3), positive(3)),
        INSIDE,
    ),
    (
        "TransformedDistribution",
        lambda d, a: d.TransformedDistribution(
            d.Uniform(a - 5, a + 1), [d.AffineTransform(1.0, -0.5), d.ExpTransform()]
        ),
        (floats(3),),
        ABOVE + 1.1,
    ),
    ("Uniform", lambda d, a, b: d.Uniform(a, b), (floats(3), floats(3) + positive(3)), REALS[:0]),
    ("Uniform", lambda d, a, b: d.Uniform(a, b), (floats(3, high=-1.5), positive(3)), unit(2, 3, high=0.3)),
    ("VonMises", lambda d, a, b: d.VonMises(a, b), (floats(3), positive(3, high=9.0)), REALS),
    ("Weibull", lambda d, a, b: d.Weibull(a, b), (positive(3), positive(3, low=1.1)), ABOVE),
    ("Wishart", lambda d, n, c: d.Wishart(n, c @ c.mT), (positive(low=3.5, high=9.0), lower(3)), square(3)),
    ("Wishart", lambda d, c: d.Wishart(4, scale_tril=c.tril()), (lower(3),), square(3)),
    (
        "Wishart",
        lambda d, n, c: d.Wishart(n, precision_matrix=c @ c.mT),
        (positive(2, low=3.5, high=9.0), lower(3)),
        square(3),
    ),
]
# PyTorch approximates Bessel functions and the slopes of gamma and beta samples, and takes log n! of a float32.
TOLERANCE = {"VonMises": 1e3, "Multinomial": 1e3}
ROUGH_SLOPES = {
    "Beta",
    "Chi2",
    "Dirichlet",
    "FisherSnedecor",
    "Gamma",
    "InverseGamma",
    "StudentT",
    "Wishart",
}


def each(fn):
    return pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}-{c[0]}") for i, c in enumerate(CASES)])(
        fn
    )


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tolerance(case):
    return TOLERANCE.get(case[0], 1.0)


def describe(dist):
    text = [repr(dist), dist.batch_shape, dist.event_shape, dist.has_rsample, dist.has_enumerate_support]
    try:
        text += [dist.support.is_discrete, dist.support.event_dim, type(dist.support).__name__]
    except NotImplementedError:
        text.append("no support")
    return [str(t) for t in text]


@each
def test_description(case):
    name, make, params, value = case
    both(lambda lib, *p: describe(make(lib.distributions, *p)), *params, grad=False)
    both(lambda lib, *p: describe(make(lib.distributions, *p).expand((4, 2, 3))), *params, grad=False)
    both(lambda lib, *p: describe(make(lib.distributions, *p).expand((4, 2))), *params, grad=False)
    ours, theirs = (getattr(lib.distributions, name) for lib in (pynn, torch))
    assert ours.__module__.split(".", 1)[1] == theirs.__module__.split(".", 1)[1]


@each
@pytest.mark.parametrize("what", ["mean", "mode", "variance", "stddev"])
def test_moments(case, what):
    name, make, params, _ = case
    if what == "mode" and (name == "Kumaraswamy" or params[0].shape[:1] == (4,)):
        pytest.skip("PyTorch's is NaN for Kumaraswamy, and the first corner for Dirichlet below 1")
    both(lambda lib, *p: getattr(make(lib.distributions, *p), what), *params, tol=tolerance(case))
    both(
        lambda lib, *p: getattr(make(lib.distributions, *p).expand((4, 2, 3)), what),
        *params,
        tol=tolerance(case),
    )


@each
@pytest.mark.parametrize("what", ["entropy", "perplexity"])
def test_entropy(case, what):
    name, make, params, _ = case
    if (name, what) == ("Wishart", "perplexity"):
        pytest.skip("10^10, rounded as far away from 0")
    both(lambda lib, *p: getattr(make(lib.distributions, *p), what)(), *params, tol=tolerance(case))


@each
@pytest.mark.parametrize("what", ["log_prob", "cdf"])
def test_at_a_value(case, what):
    name, make, params, value = case

    def call(lib, v, *p):
        return getattr(make(lib.distributions, *p), what)(v)

    both(call, value, *params, tol=tolerance(case))
    both(
        lambda lib, v, *p: getattr(make(lib.distributions, *p).expand((4, 2, 3)), what)(v),
        value,
        *params,
        tol=tolerance(case),
    )
    single = [a.astype("float32") if a.dtype == np.float64 else a for a in (value, *params)]
    # What the formulas cancel is lost in either library, differently.
    both(call, *single, grad=False, tol=100 * tolerance(case) ** 0.5)


@each
def test_icdf(case):
    name, make, params, value = case
    both(
        lambda lib, v, *p: make(lib.distributions, *p).icdf(v),
        unit(2, 3).astype(params[0].dtype),
        *params,
        tol=tolerance(case),
    )


@each
def test_enumerate_support(case):
    name, make, params, value = case

    def both_ways(lib, *p):
        dist = make(lib.distributions, *p)
        return [dist.enumerate_support(), dist.enumerate_support(expand=False)]

    both(both_ways, *params)


@each
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_samples_after_a_seed(case, dtype):
    name, make, params, value = case
    params = [p.astype(dtype) for p in params]
    if name == "LKJCholesky":
        pytest.skip("PyTorch draws another distribution")

    def draw(lib, *p, method="sample"):
        lib.manual_seed(4)
        dist = make(lib.distributions, *p)
        # PyTorch draws Wishart samples again that are not singular.
        once = {"max_try_correction": 0} if name == "Wishart" and method == "rsample" else {}
        return [getattr(dist, method)(shape, **once) for shape in ((), (5,), (2, 3))]

    # Gamma draws differ in the eighth digit.
    if name != "Wishart":
        both(draw, *params, tol=100.0 if dtype == "float64" else 1.0)
    else:
        both(lambda lib, *p: [r.detach() for r in draw(lib, *p, method="rsample")], *params, tol=100.0)
    if name in ROUGH_SLOPES:
        return
    both(lambda lib, *p: draw(lib, *p, method="rsample"), *params, tol=100.0 if dtype == "float64" else 5.0)


@each
def test_slopes_of_samples(case):
    name, make, params, value = case
    if name not in ROUGH_SLOPES:
        pytest.skip("compared exactly")

    def draw(lib, *p):
        lib.manual_seed(4)
        once = {"max_try_correction": 0} if name == "Wishart" else {}
        return make(lib.distributions, *p).rsample((50,), **once)

    _, ours, _ = run(pynn, draw, params, True)
    _, theirs, _ = run(torch, draw, params, True)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=5e-3, atol=5e-3)


def kl_makers():
    """One distribution per family that has divergences, by name, in two variants."""
    r, s, u = floats(3), positive(3), unit(3)
    r2, s2, u2 = floats(3, seed=9), positive(3, seed=9), unit(3, seed=9)
    low, high = -positive(3), positive(3)
    return {
        "Bernoulli": (lambda d, a: d.Bernoulli(a), (u,), (u2,)),
        "Beta": (lambda d, a, b: d.Beta(a, b), (s, s2), (s2, s + 1)),
        "Binomial": (lambda d, a: d.Binomial(5, a), (u,), (u2,)),
        "Categorical": (lambda d, a: d.Categorical(a), (positive(2, 3),), (positive(2, 3, seed=3),)),
        "Cauchy": (lambda d, a, b: d.Cauchy(a, b), (r, s), (r2, s2)),
        "Chi2": (lambda d, a: d.Chi2(a), (s,), (s2,)),
        "ContinuousBernoulli": (lambda d, a: d.ContinuousBernoulli(a), (u,), (u2,)),
        "Dirichlet": (lambda d, a: d.Dirichlet(a), (positive(2, 3),), (positive(2, 3, seed=3),)),
        "Exponential": (lambda d, a: d.Exponential(a), (s,), (s2,)),
        "Gamma": (lambda d, a, b: d.Gamma(a, b), (s, s2), (s2, s + 1)),
        "Geometric": (lambda d, a: d.Geometric(a), (u,), (u2,)),
        "Gumbel": (lambda d, a, b: d.Gumbel(a, b), (r, s), (r2, s2)),
        "HalfNormal": (lambda d, a: d.HalfNormal(a), (s,), (s2,)),
        "Independent": (lambda d, a, b: d.Independent(d.Normal(a, b), 1), (r, s), (r2, s2)),
        "Laplace": (lambda d, a, b: d.Laplace(a, b), (r, s), (r2, s2)),
        "LogNormal": (lambda d, a, b: d.LogNormal(a, b), (r, s), (r2, s2)),
        "LowRankMultivariateNormal": (
            lambda d, a, w, v: d.LowRankMultivariateNormal(a, w, v),
            (floats(2, 3), floats(3, 2), positive(3)),
            (floats(3, seed=2), floats(2, 3, 1), positive(3, seed=2)),
        ),
        "MultivariateNormal": (
            lambda d, a, c: d.MultivariateNormal(a, c @ c.mT),
            (floats(2, 3), lower(3)),
            (floats(2, 3, seed=2), lower(3, seed=4)),
        ),
        "Normal": (lambda d, a, b: d.Normal(a, b), (r, s), (r2, s2)),
        "OneHotCategorical": (
            lambda d, a: d.OneHotCategorical(a),
            (positive(2, 3),),
            (positive(2, 3, seed=3),),
        ),
        "Pareto": (lambda d, a, b: d.Pareto(a, b), (s, s2 + 2.1), (s - 0.2, s2)),
        "Poisson": (lambda d, a: d.Poisson(a), (s,), (s2,)),
        "Uniform": (lambda d, a, b: d.Uniform(a, b), (low, high), (low - 1, high + 1)),
        "Uniform inside": (lambda d, a, b: d.Uniform(a, b), (u / 2, u / 2 + 0.4), (u / 3, 1 + u)),
        "StudentT": (lambda d, a: d.StudentT(a), (s,), (s2,)),
        "Wishart": (lambda d, c: d.Wishart(4, scale_tril=c.tril()), (lower(3),), (lower(3, seed=2),)),
    }


MAKERS = kl_makers()


@pytest.mark.parametrize("first", MAKERS)
def test_kl(first):
    make_p, params_p, other_p = MAKERS[first]
    n = len(params_p)

    def divergence_to(make_q):
        return lambda lib, *t: lib.distributions.kl_divergence(
            make_p(lib.distributions, *t[:n]), make_q(lib.distributions, *t[n:])
        )

    for second, (make_q, other_q, params_q) in MAKERS.items():
        for p, q in ((params_p, params_q), (other_p, other_q)):
            both(divergence_to(make_q), *p, *q, where=f"{first} || {second}")


def test_the_same_pairs_are_registered():
    def pairs(lib):
        return sorted((p.__name__, q.__name__) for p, q in lib.distributions.kl._KL_REGISTRY)

    assert pairs(pynn) == pairs(torch)


def test_kl_at_edges():
    zero = np.array([0.0, 0.0, 1.0, 1.0, 0.3, 0.3])
    other = np.array([0.0, 0.4, 1.0, 0.2, 0.0, 1.0])
    both(
        lambda lib, a, b: lib.distributions.kl_divergence(*map(lib.distributions.Bernoulli, (a, b))),
        zero,
        other,
        grad=False,
    )
    p, q = np.array([[0.0, 0.5, 0.5], [0.2, 0.3, 0.5]]), np.array([[0.1, 0.4, 0.5], [0.0, 0.5, 0.5]])
    both(
        lambda lib, a, b: lib.distributions.kl_divergence(*map(lib.distributions.Categorical, (a, b))),
        p,
        q,
        grad=False,
    )
    both(
        lambda lib, a, b: lib.distributions.kl_divergence(
            lib.distributions.Binomial(a, lib.full_like(a, 0.5)),
            lib.distributions.Binomial(b, lib.full_like(b, 0.2)),
        ),
        np.array([3.0, 5.0]),
        np.array([3.0, 4.0]),
        grad=False,
    )


TRANSFORMS = [
    ("Abs", lambda d: d.AbsTransform(), REALS),
    ("Affine", lambda d, a, b: d.AffineTransform(a, b), REALS, floats(3), floats(3, seed=2)),
    ("Affine numbers", lambda d: d.AffineTransform(1.0, -2.0), REALS),
    ("Affine event", lambda d, a: d.AffineTransform(0.0, a, event_dim=1), REALS, floats(3)),
    ("Exp", lambda d: d.ExpTransform(), REALS),
    ("Power", lambda d, a: d.PowerTransform(a), ABOVE, floats(3)),
    ("Power number", lambda d: d.PowerTransform(-1.5), ABOVE),
    ("Sigmoid", lambda d: d.SigmoidTransform(), REALS),
    ("Sigmoid far", lambda d: d.SigmoidTransform(), REALS * 30),
    ("Softplus", lambda d: d.SoftplusTransform(), REALS),
    ("Tanh", lambda d: d.TanhTransform(), REALS),
    ("Softmax", lambda d: d.SoftmaxTransform(), REALS),
    ("StickBreaking", lambda d: d.StickBreakingTransform(), REALS),
    ("CorrCholesky", lambda d: d.CorrCholeskyTransform(), floats(2, 6)),
    ("CorrCholesky 2", lambda d: d.CorrCholeskyTransform(), floats(2, 1)),
    ("LowerCholesky", lambda d: d.LowerCholeskyTransform(), floats(2, 3, 3)),
    ("PositiveDefinite", lambda d: d.PositiveDefiniteTransform(), floats(2, 3, 3)),
    ("Reshape", lambda d: d.ReshapeTransform((2, 3), (3, 2)), floats(4, 2, 3)),
    ("Independent", lambda d: d.IndependentTransform(d.ExpTransform(), 1), REALS),
    (
        "Compose",
        lambda d, a: d.ComposeTransform([d.AffineTransform(a, 2.0), d.TanhTransform()]),
        REALS,
        floats(3),
    ),
    (
        "Compose events",
        lambda d: d.ComposeTransform([d.ExpTransform(), d.StickBreakingTransform()]),
        REALS,
    ),
    ("Compose none", lambda d: d.ComposeTransform([]), REALS),
    ("Cat", lambda d: d.CatTransform([d.ExpTransform(), d.TanhTransform()], -1, [1, 2]), REALS),
    ("Cat 0", lambda d: d.CatTransform([d.ExpTransform(), d.TanhTransform()]), REALS),
    (
        "Stack",
        lambda d: d.StackTransform([d.ExpTransform(), d.TanhTransform(), d.SigmoidTransform()], -1),
        REALS,
    ),
    (
        "CumulativeDistribution",
        lambda d, a: d.CumulativeDistributionTransform(d.Normal(a, 1.0)),
        REALS,
        floats(3),
    ),
]


@table(TRANSFORMS)
def test_transforms(case):
    name, make, x, *params = case

    def forward(lib, x, *p):
        return make(lib.distributions, *p)(x)

    def around(lib, x, *p):
        t = make(lib.distributions, *p)
        return t.inv(t(x))

    def jacobian(lib, x, *p):
        t = make(lib.distributions, *p)
        return t.log_abs_det_jacobian(x, t(x))

    def inverse_jacobian(lib, x, *p):
        t = make(lib.distributions, *p)
        return t.inv.log_abs_det_jacobian(t(x), x)

    def shapes(lib, x, *p):
        t = make(lib.distributions, *p)
        y = tuple(t.forward_shape(tuple(x.shape)))
        return [str(y), str(tuple(t.inverse_shape(y)))]

    def facts(lib, x, *p):
        t = make(lib.distributions, *p)
        ends = [(type(c).__name__, c.event_dim, c.is_discrete) for c in (t.domain, t.codomain)]
        cached = t.with_cache()
        y = cached(x)
        return [
            repr(t),
            repr(t.inv),
            str(t.bijective),
            str(ends),
            t.domain.check(x),
            t.codomain.check(t(x)),
            str(t == t.inv),
            str(t == make(lib.distributions, *p)),
            str(t.inv.inv == t),
            str(cached(x) is y),
            str(cached.inv(y) is x),
            str(t.with_cache() == t),
        ]

    def sign(lib, x, *p):
        return make(lib.distributions, *p).sign

    for call in (forward, around, jacobian, inverse_jacobian, shapes):
        both(call, x, *params, where=f"{name} {call.__name__}", tol=10.0)
    for call in (facts, sign):
        both(call, x, *params, where=f"{name} {call.__name__}", grad=False)


CONSTRAINTS = [
    ("positive", lambda c: c.positive, floats(3)),
    ("nonnegative", lambda c: c.nonnegative, floats(3)),
    ("less_than", lambda c: c.less_than(2.0), floats(3)),
    ("unit_interval", lambda c: c.unit_interval, floats(3)),
    ("interval", lambda c: c.interval(-1.0, 2.5), floats(3)),
    ("half_open_interval", lambda c: c.half_open_interval(-1.0, 2.5), floats(3)),
    ("real", lambda c: c.real, floats(3)),
    ("real_vector", lambda c: c.real_vector, floats(3)),
    ("simplex", lambda c: c.simplex, floats(3)),
    ("corr_cholesky", lambda c: c.corr_cholesky, floats(6)),
    ("lower_cholesky", lambda c: c.lower_cholesky, floats(3, 3)),
    ("positive_definite", lambda c: c.positive_definite, floats(3, 3)),
    ("positive_semidefinite", lambda c: c.positive_semidefinite, floats(3, 3)),
    ("cat", lambda c: c.cat([c.positive, c.unit_interval], -1, [1, 2]), floats(3)),
    ("stack", lambda c: c.stack([c.positive, c.unit_interval], -1), floats(4, 2)),
    ("boolean", lambda c: c.boolean, floats(3)),
    ("one_hot", lambda c: c.one_hot, floats(3)),
]


@table(CONSTRAINTS)
@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_constraint_registry(case, registry):
    _, make, x = case

    def call(lib, x):
        constraint = make(lib.distributions.constraints)
        t = getattr(lib.distributions, registry)(constraint)
        y = t(x)
        return [y, constraint.check(y), repr(t), repr(constraint), str(constraint.event_dim)]

    both(call, x)


CHECKS = [
    ("boolean", np.array([0.0, 1.0, 0.5])),
    ("one_hot", np.array([[0.0, 1, 0], [1, 1, 0], [0.5, 0.5, 0]])),
    ("nonnegative_integer", np.array([0.0, 1, 1.5, -1])),
    ("positive_integer", np.array([0.0, 1, 1.5, -1])),
    ("real", np.array([0.0, np.nan, np.inf])),
    ("simplex", np.array([[0.5, 0.5], [0.6, 0.5], [-0.1, 1.1]])),
    ("lower_triangular", np.stack([EYE, EYE + 1])),
    ("lower_cholesky", np.stack([EYE, EYE - 1, -EYE, np.tril(EYE + 1)])),
    ("corr_cholesky", np.stack([EYE, 2 * EYE, corr_cholesky(3)])),
    ("square", np.zeros((2, 3, 4))),
    ("square", np.zeros((2, 3, 3))),
    ("symmetric", np.stack([EYE, np.tril(EYE + 1)])),
    ("positive_definite", np.stack([EYE, EYE - 1, square(3)])),
    ("positive_semidefinite", np.stack([EYE, -EYE, 0 * EYE])),
]


@pytest.mark.parametrize("name, value", CHECKS, ids=[c[0] for c in CHECKS])
def test_constraints(name, value):
    both(lambda lib, x: getattr(lib.distributions.constraints, name).check(x), value, grad=False)
    both(lambda lib: repr(getattr(lib.distributions.constraints, name)))


def test_names():
    for module in (
        "",
        ".constraints",
        ".transforms",
        ".utils",
        ".kl",
        ".constraint_registry",
        ".distribution",
    ):
        import importlib

        ours = importlib.import_module("pynn.distributions" + module)
        theirs = importlib.import_module("torch.distributions" + module)
        assert set(theirs.__all__) <= set(ours.__all__) | set(dir(ours)), module
        for name in theirs.__all__:
            assert hasattr(ours, name), f"{module}.{name}"


UTILS = [
    ("tril", lambda u, x: [u.tril_matrix_to_vec(x, k) for k in (-2, -1, 0, 1)], floats(2, 3, 3)),
    ("vec", lambda u, x: [u.vec_to_tril_matrix(x, k) for k in (-1, 0)], floats(2, 6)),
    ("vec up", lambda u, x: u.vec_to_tril_matrix(x, 1), floats(2, 8)),
    ("vec error", lambda u, x: u.vec_to_tril_matrix(x), floats(4)),
    ("all", lambda u, x, y: list(u.broadcast_all(x, 1, y)), floats(2, 1), floats(3)),
    ("logits", lambda u, x: [u.logits_to_probs(x), u.logits_to_probs(x, True)], floats(2, 3)),
    ("probs", lambda u, x: [u.probs_to_logits(x), u.probs_to_logits(x, True), u.clamp_probs(x)], unit(2, 3)),
]


@table(UTILS)
def test_utils(case):
    _, call, *arguments = case
    both(lambda lib, *x: call(lib.distributions.utils, *x), *arguments)


WORDS = """
d.Uniform(2., 1.)
d.Uniform(2., 1., validate_args=False)
d.Uniform(t([0., 1.]), t([1., 3.])).log_prob(t(0.5))
d.GeneralizedPareto(t([0., 0.]), 1., t([-0.1, .1])).support
d.Wishart(t(4.), torch.eye(3)).arg_constraints
d.Wishart(t(1.5), torch.eye(3))
d.Wishart(t(4.), torch.ones(3))
d.Wishart(t(4.))
d.MultivariateNormal(torch.zeros(3))
d.MultivariateNormal(t(0.), torch.eye(3))
d.MultivariateNormal(torch.zeros(3), torch.zeros(3))
d.MultivariateNormal(torch.zeros(3), precision_matrix=torch.zeros(3))
d.MultivariateNormal(torch.zeros(3), scale_tril=torch.zeros(3))
d.MultivariateNormal(torch.zeros(3), -torch.eye(3))
d.LowRankMultivariateNormal(t(0.), torch.eye(3), torch.ones(3))
d.LowRankMultivariateNormal(torch.zeros(3), torch.ones(3), torch.ones(3))
d.LowRankMultivariateNormal(torch.zeros(3), torch.ones(2, 1), torch.ones(3))
d.LowRankMultivariateNormal(torch.zeros(3), torch.ones(3, 1), torch.ones(2))
d.Normal('a', 1.)
d.Normal(0., -1.)
d.Normal(torch.zeros(2), 1.).log_prob(torch.zeros(3))
d.Normal(torch.zeros(2), 1.).log_prob(1.)
d.Normal(torch.zeros(2), 1.).log_prob(t([float('nan'), 0.]))
d.Normal(t(0), t(1))
d.Normal(0., 1.).log_prob(t(1))
d.Normal(0., 1.).enumerate_support()
d.Dirichlet(torch.ones(3)).log_prob(torch.ones(2))
d.Dirichlet(torch.ones(3)).log_prob(torch.ones(3))
d.Dirichlet(t(1.))
d.Bernoulli()
d.Bernoulli(0.5, 0.5)
d.Bernoulli(1.5)
d.Categorical(t(1.))
d.Categorical(logits=t(1.))
d.Categorical()
d.Categorical(torch.ones(3)).log_prob(t(5))
d.Binomial(3)
d.Binomial(t([3, 4]), t(.5)).entropy()
d.Binomial(t([3, 4]), t(.5)).enumerate_support()
d.Multinomial(t([3, 4]), t([.5, .5]))
d.Multinomial(3, t([.5, .5])).log_prob(t([5., 1.]))
d.Geometric(0.)
d.Geometric()
d.NegativeBinomial(3.)
d.ContinuousBernoulli()
d.ContinuousBernoulli(0.).probs
d.HalfNormal(-1.)
d.Independent(d.Normal(torch.zeros(2), 1.), 2)
d.Independent(d.Bernoulli(torch.ones(2)), 1).enumerate_support()
d.LKJCholesky(1, 1.)
d.LKJCholesky(3, 1.).log_prob(torch.eye(2))
d.MixtureSameFamily(d.Normal(0., 1.), d.Normal(torch.zeros(2), 1.))
d.MixtureSameFamily(d.Categorical(torch.ones(2)), 3)
d.MixtureSameFamily(d.Categorical(torch.ones(2)), d.Normal(torch.zeros(3), 1.))
d.MixtureSameFamily(d.Categorical(torch.ones(4, 2)), d.Normal(torch.zeros(3, 2), 1.))
d.MixtureSameFamily(d.Categorical(torch.ones(2)), d.Normal(0., 1.))
d.MixtureSameFamily(d.Categorical(torch.ones(2)), d.Uniform(torch.zeros(2), torch.ones(2))).support
d.OneHotCategorical(torch.ones(3)).log_prob(t([0., 1., 1.]))
d.Poisson(-3.)
d.Poisson(2.).log_prob(t(1.5))
d.TransformedDistribution(d.Normal(0., 1.), 3)
d.TransformedDistribution(d.Normal(0., 1.), [3])
d.TransformedDistribution(d.Normal(0., 1.), [d.StickBreakingTransform()])
d.Distribution(validate_args=False).mean
d.Distribution(validate_args=False).expand((2,))
d.Distribution.set_default_validate_args(3)
d.Gamma(1., 1.).icdf(t(.5))
d.RelaxedBernoulli(t([1., 2.]), .5)
d.kl_divergence(d.Normal(0., 1.), d.StudentT(1.))
d.kl_divergence(d.Normal(0., 1.), d.Beta(1., 1.))
d.kl_divergence(d.Binomial(3, t(.5)), d.Binomial(4, t(.5)))
d.kl_divergence(d.MultivariateNormal(torch.zeros(2), torch.eye(2)), d.MultivariateNormal(torch.zeros(3), torch.eye(3)))
d.kl_divergence(d.LogNormal(0., 1.), d.Gumbel(0., 1.))
d.kl_divergence(d.Gamma(1., 1.), d.Chi2(1.))
d.biject_to(C.lower_cholesky)
d.transform_to(C.boolean)
d.transform_to(C.positive)
d.identity_transform
T.Transform(2)
T.Transform().sign
d.ReshapeTransform((2, 3), (3, 3))
d.ReshapeTransform((2, 3), (3, 2)).forward_shape((4, 2))
d.ReshapeTransform((2, 3), (3, 2)).forward_shape((2,))
d.StickBreakingTransform().forward_shape(())
d.CorrCholeskyTransform().forward_shape((4,))
d.CorrCholeskyTransform().inverse_shape((4, 3))
d.CorrCholeskyTransform().inverse_shape((4,))
d.AbsTransform().log_abs_det_jacobian(t(1.), t(1.))
d.IndependentTransform(d.ExpTransform(), 1)(t(1.))
d.CatTransform([d.ExpTransform(), d.ExpTransform()], 0, [1, 1])(torch.ones(3))
C.Constraint().check(t(1.))
C.dependent.check(t(1.))
C.dependent.event_dim
C.dependent(event_dim=2).event_dim
C.independent(C.real, 1).check(t(1.))
C.cat([C.positive, C.real], 0, [1, 1])
C.integer_interval(0, 3)
C.multinomial(3)
C.is_dependent(d.Uniform.support)
C.is_dependent(d.Normal.support)
d.Categorical.support.is_discrete
d.Uniform.support
U.tril_matrix_to_vec(torch.eye(3), 5)
U.broadcast_all(1, t(2), 3.)
U.broadcast_all(1, 'x')
""".strip().splitlines()


@pytest.mark.parametrize("line", WORDS)
def test_words(line):
    def say(lib):
        d = lib.distributions
        names = {"torch": lib, "d": d, "t": lib.tensor, "C": d.constraints, "T": d.transforms, "U": d.utils}
        try:
            return repr(eval(line, names))
        except Exception as error:
            kind = next(k for k in type(error).__mro__ if k.__module__ == "builtins")
            return f"{kind.__name__}: {error}"

    assert say(pynn) == say(torch)


def test_subclasses():
    def use(lib):
        Normal = lib.distributions.Normal

        class Plain(Normal):
            pass

        class Own(Normal):
            def __init__(self, x):
                super().__init__(x, 1.0)

        class Expands(Own):
            def expand(self, batch_shape, _instance=None):
                new = self._get_checked_instance(Expands, _instance)
                new.extra = 1
                return super().expand(batch_shape, _instance=new)

        x = lib.zeros(2, dtype=lib.float64)
        out = [repr(Plain(x, 1.0).expand((3, 2))), repr(Expands(x).expand((3, 2)))]
        try:
            Own(x).expand((3, 2))
        except NotImplementedError as error:
            out.append(str(error))
        return [*out, lib.distributions.kl_divergence(Plain(x, 1.0), Normal(x, 2.0))]

    both(use)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    def call(lib, a, b):
        a, b = (x.to(getattr(lib, dtype)) for x in (a, b))
        d = lib.distributions
        return [d.Normal(a, b).log_prob(a * 0), d.Normal(a, b).entropy(), d.Categorical(logits=a).entropy()]

    both(call, floats(3, dtype="float32"), positive(3, dtype="float32"), grad=False)
