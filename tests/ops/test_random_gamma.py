"""Gamma and Dirichlet samples, and how they move with their concentrations."""

import numpy as np
import pytest
from helpers import raises, tensor

import pynn
from pynn import _C

CONCENTRATIONS = [0.02, 0.3, 1.0, 2.5, 30.0, 1000.0, 3e5]
LEVELS = np.array([1e-4, 0.01, 0.2, 0.5, 0.8, 0.99, 0.9999])


def gamma_quantile(a, levels):
    """By bisection on the logarithm."""
    low, high = np.full(len(levels), -2000.0), np.full(len(levels), np.log(a + 40 * np.sqrt(a) + 100))
    for _ in range(200):
        mid = (low + high) / 2
        below = pynn.special.gammainc(tensor(np.full(len(levels), a)), tensor(np.exp(mid))).numpy() < levels
        low, high = np.where(below, mid, low), np.where(below, high, mid)
    return np.exp((low + high) / 2)


@pytest.mark.parametrize("a", CONCENTRATIONS)
def test_the_slope_of_a_gamma_sample_is_that_of_its_quantile(a):
    h = 1e-4 * a
    x = gamma_quantile(a, LEVELS)
    kept = x > 1e-200
    slope = (gamma_quantile(a + h, LEVELS) - gamma_quantile(a - h, LEVELS)) / (2 * h)
    found = _C._standard_gamma_grad(tensor(np.full(len(x), a)), tensor(x)).numpy()
    np.testing.assert_allclose(found[kept], slope[kept], rtol=2e-4 if a < 1e5 else 1e-3)


def test_slopes_at_huge_concentrations_and_edges():
    a = np.array([1e7, 1e10, 2.0, 0.0, np.nan])
    x = np.array([1e7 + 3e3, 1e10, 0.0, 1.0, 1.0])
    slope = _C._standard_gamma_grad(tensor(a), tensor(x)).numpy()
    np.testing.assert_allclose(slope[:3], [1 + 1.5e-4, 1, 0], rtol=1e-6)
    assert np.isnan(slope[3:]).all()


def beta_cdf(a, b, x):
    """By the substitution t = sin^2(s), which takes the ends' singularities away for a, b >= 1/2."""
    s = np.linspace(0, np.arcsin(np.sqrt(x)), 20001)
    f = 2 * np.sin(s) ** (2 * a - 1) * np.cos(s) ** (2 * b - 1)
    steps = np.diff(s)
    whole = np.exp(
        float(pynn.lgamma(tensor(np.array(a))))
        + float(pynn.lgamma(tensor(np.array(b))))
        - float(pynn.lgamma(tensor(np.array(a + b))))
    )
    return ((f[1:] + f[:-1]) / 2 * steps).sum() / whole


@pytest.mark.parametrize(
    "a, b", [(1.0, 2.0), (0.8, 0.9), (3.5, 1.2), (20.0, 35.0), (2.0, 90.0), (150.0, 4.0)]
)
def test_the_slope_of_a_beta_sample_is_that_of_its_quantile(a, b):
    mean, deviation = a / (a + b), np.sqrt(a * b / (a + b + 1)) / (a + b)
    for x in np.clip([mean - 1.5 * deviation, mean, mean + deviation], 0.01, 0.99):
        h = 1e-4 * a
        by_a = (beta_cdf(a + h, b, x) - beta_cdf(a - h, b, x)) / (2 * h)
        d = 1e-4 * min(x, 1 - x)
        density = (beta_cdf(a, b, x + d) - beta_cdf(a, b, x - d)) / (2 * d)
        found = _C._dirichlet_grad(*(tensor(np.array([v])) for v in (x, a, a + b)))
        np.testing.assert_allclose(float(found), -by_a / density / (1 - x), rtol=2e-4)


def test_moments_of_gamma_samples():
    pynn.manual_seed(1)
    for a in (0.1, 0.9, 1.0, 5.0, 400.0):
        x = _C._standard_gamma(pynn.full((200_000,), a, dtype=pynn.float64))
        assert abs(float(x.mean()) - a) < 6 * (a / 200_000) ** 0.5
        assert abs(float(x.var()) / a - 1) < 0.1
        assert float(x.min()) > 0


def test_moments_of_dirichlet_samples():
    pynn.manual_seed(1)
    a = pynn.tensor([0.2, 1.0, 3.0], dtype=pynn.float64)
    x = _C._sample_dirichlet(a.expand(100_000, 3))
    np.testing.assert_allclose(x.sum(-1).numpy(), 1, rtol=1e-12)
    np.testing.assert_allclose(x.mean(0).numpy(), (a / a.sum()).numpy(), atol=0.005)


def test_expected_gradients():
    """d E[f(x)] / d a, by the samples' slopes: of x it is 1, of x^2 it is 2 a + 1."""
    pynn.manual_seed(2)
    for a in (0.4, 3.0):
        leaf = pynn.tensor(a, dtype=pynn.float64, requires_grad=True)
        x = _C._standard_gamma(leaf.expand(100_000))
        (slope,) = pynn.autograd.grad(x.mean(), leaf, retain_graph=True)
        assert abs(float(slope) - 1) < 0.03
        (slope,) = pynn.autograd.grad(x.square().mean(), leaf)
        assert abs(float(slope) / (2 * a + 1) - 1) < 0.05
    leaf = pynn.tensor([0.5, 2.0, 1.5], dtype=pynn.float64, requires_grad=True)
    x = _C._sample_dirichlet(leaf.expand(100_000, 3))
    (slope,) = pynn.autograd.grad(x[:, 0].mean(), leaf)  # of a0 / total
    np.testing.assert_allclose(slope.numpy(), np.array([3.5, -0.5, -0.5]) / 16, atol=3e-3)


def test_dtypes_and_shapes():
    for dtype in (pynn.float16, pynn.bfloat16, pynn.float32, pynn.float64):
        a = pynn.full((2, 3), 0.01, dtype=dtype).requires_grad_()
        for x in (_C._standard_gamma(a), _C._sample_dirichlet(a)):
            assert x.dtype == dtype and x.shape == (2, 3)
            assert (x > 0).all()
            assert pynn.autograd.grad(x.sum(), a)[0].dtype == dtype
    assert _C._standard_gamma(pynn.ones(0)).shape == (0,)
    assert _C._sample_dirichlet(pynn.ones(2, 0)).shape == (2, 0)
    assert _C._standard_gamma(pynn.ones(3, 2).T).shape == (2, 3)
    leaf = pynn.ones(3, device="meta", requires_grad=True)
    for x in (_C._standard_gamma(leaf), _C._sample_dirichlet(leaf)):
        (slope,) = pynn.autograd.grad(x, leaf, pynn.ones(3, device="meta"))
        assert (x.device.type, slope.device.type, slope.shape) == ("meta", "meta", (3,))


def test_generators_and_names():
    g = pynn.Generator().manual_seed(5)
    x = pynn._standard_gamma(pynn.ones(4), generator=g)
    pynn.manual_seed(5)
    assert pynn.equal(x, pynn._standard_gamma(pynn.ones(4)))
    assert pynn._sample_dirichlet(pynn.ones(3)).shape == (3,)


def test_errors():
    with raises(RuntimeError, "_standard_gamma"):
        _C._standard_gamma(pynn.arange(3))
    with raises(RuntimeError, "_sample_dirichlet", "one dimension"):
        _C._sample_dirichlet(pynn.tensor(1.0))
    with raises(RuntimeError, "_dirichlet_grad", r"\(3,\)"):
        _C._dirichlet_grad(pynn.ones(3), pynn.ones(2), pynn.ones(3))
    a = pynn.ones(3, requires_grad=True)
    (slope,) = pynn.autograd.grad(_C._standard_gamma(a).sum(), a, create_graph=True)
    with raises(RuntimeError, "second derivative"):
        slope.sum().backward()
