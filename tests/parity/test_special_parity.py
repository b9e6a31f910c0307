"""Elementwise and special functions, and draws of further distributions, beside PyTorch."""

import numpy as np
import pytest
from parity_helpers import bools, both, floats, integers, table

import pynn

torch = pytest.importorskip("torch")
F, I = floats, integers
inf, nan = np.inf, np.nan
EDGES = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, inf, -inf, nan, 1e-8, -1e-8, 1e3, -1e3]
)
WIDE = np.concatenate([np.linspace(-40, 40, 161), np.linspace(-1.5, 1.5, 31), [1e-30, 1e-10, 100.0, 600.0]])
POSITIVE = np.concatenate([np.linspace(0.01, 3, 30), np.linspace(3, 60, 40), [1e-6, 200.0]])
UNIT = np.concatenate([np.linspace(0.001, 0.999, 60), [1e-12, 1e-100, 1e-300, 1 - 1e-12]])


def one(name, special=False):
    return lambda t, x: getattr(t.special if special else t, name)(x)


UNARY = [
    ("lgamma", np.concatenate([POSITIVE, -POSITIVE + 0.003])),
    ("digamma", np.concatenate([POSITIVE, -np.linspace(0.03, 9.4, 31)])),
    ("erfinv", np.concatenate([UNIT * 2 - 1, [0.0]])),
    ("sinc", WIDE),
    ("i0", WIDE),
    ("deg2rad", WIDE),
    ("rad2deg", WIDE),
    ("logit", UNIT[:60]),
    ("square", WIDE),
    ("angle", WIDE),
    ("arccosh", POSITIVE + 1),
    ("arcsinh", WIDE),
    ("arctanh", UNIT[:60]),
]
SPECIAL = [
    ("i0e", WIDE),
    ("i1", WIDE),
    ("i1e", WIDE),
    ("erfcx", WIDE[(WIDE > -20) & (WIDE < 80)]),
    ("ndtr", WIDE[np.abs(WIDE) < 9]),
    ("ndtri", UNIT),
    ("log_ndtr", WIDE),
    ("entr", POSITIVE),
    ("expit", WIDE),
    ("gammaln", POSITIVE),
    ("psi", POSITIVE),
]
NO_SLOPE = [
    ("airy_ai", np.linspace(-8, 8, 65)),
    ("bessel_j0", WIDE),
    ("bessel_j1", WIDE),
    ("bessel_y0", POSITIVE),
    ("bessel_y1", POSITIVE),
    ("modified_bessel_i0", WIDE[np.abs(WIDE) < 60]),
    ("modified_bessel_i1", WIDE[np.abs(WIDE) < 60]),
    ("modified_bessel_k0", POSITIVE),
    ("modified_bessel_k1", POSITIVE),
    ("scaled_modified_bessel_k0", POSITIVE),
    ("scaled_modified_bessel_k1", POSITIVE),
    ("spherical_bessel_j0", WIDE),
]
BINARY_FLOATS = (
    "hypot",
    "copysign",
    "nextafter",
    "logaddexp",
    "logaddexp2",
    "fmax",
    "fmin",
    "xlogy",
    "heaviside",
)
NUMBERS = [g.reshape(-1) for g in np.meshgrid(EDGES[~np.isnan(EDGES)], EDGES[~np.isnan(EDGES)])]
GRID = [g.reshape(-1) for g in np.meshgrid(EDGES, EDGES)]
A, B = F(4, 5), F(5)
INTS = np.array([0, 1, -1, 2, 6, -9, 12, 100, 7])
PAIRS = [g.reshape(-1) for g in np.meshgrid(INTS, INTS)]

CASES = [
    *[(n, one(n), x) for n, x in UNARY],
    *[(n, one(n), x.astype("float32")) for n, x in UNARY],
    *[(n, one(n, True), x) for n, x in SPECIAL],
    *[
        (n, lambda t, x, n=n: getattr(t, n)(x.detach()), EDGES)
        for n in (
            "lgamma",
            "digamma",
            "erfinv",
            "sinc",
            "logit",
            "angle",
            "signbit",
            "isposinf",
            "isneginf",
            "isreal",
        )
    ],
    *[
        (n, lambda t, x, n=n: getattr(t.special, n)(x.detach()), EDGES)
        for n in (
            "i0e",
            "i1e",
            "erfcx",
            "ndtri",
            "log_ndtr",
            "entr",
            "modified_bessel_k0",
            "spherical_bessel_j0",
        )
    ],
    *[
        (n, one(n), I(9, low=0, high=5))
        for n in (
            "lgamma",
            "digamma",
            "sinc",
            "i0",
            "deg2rad",
            "signbit",
            "isposinf",
            "isreal",
            "angle",
            "square",
            "sgn",
        )
    ],
    *[
        (n, one(n), F(9, low=0.1, high=0.9).astype("float16"))
        for n in ("lgamma", "digamma", "erfinv", "sinc", "i0", "logit")
    ],
    *[(n, lambda t, x, y, n=n: getattr(t, n)(x.detach(), y.detach()), *GRID) for n in BINARY_FLOATS],
    *[
        (n, lambda t, x, y, n=n: (getattr(t, n)(x, y), getattr(x, n)(y)), A, B)
        for n in BINARY_FLOATS
        if n not in ("heaviside", "nextafter")
    ],
    *[
        (n, lambda t, x, y, n=n: getattr(t, n)(x, y), A.astype("float32"), B)
        for n in BINARY_FLOATS
        if n not in ("heaviside", "nextafter")
    ],
    ("heaviside", lambda t, x, y: t.heaviside(x, y), F(3), F(3).astype("float32")),
    ("heaviside", lambda t, x, y: (t.heaviside(x, y), x.clone().heaviside_(y)), INTS, INTS[::-1].copy()),
    ("nextafter", lambda t, x, y: t.nextafter(x, y), INTS, INTS),
    ("xlogy", lambda t, x: (t.xlogy(x, 2.0), t.xlogy(2, x), x.xlogy(0.5)), POSITIVE),
    ("xlogy", lambda t, x: t.xlogy(x, x), INTS[:2]),
    (
        "xlog1py",
        lambda t, x, y: (t.special.xlog1py(x, y), t.special.xlog1py(2.0, y), t.special.xlog1py(x, 3)),
        A,
        np.abs(B),
    ),
    ("copysign", lambda t, x: (t.copysign(x, -0.0), x.copysign(1)), A),
    ("copysign", lambda t, x: t.copysign(x, -2), INTS),
    *[("polygamma", lambda t, x, n=n: (t.polygamma(n, x), x.polygamma(n)), POSITIVE[3:]) for n in range(4)],
    ("polygamma", lambda t, x: t.polygamma(1, x), -np.linspace(0.03, 6.4, 21)),
    ("polygamma", lambda t, x: t.polygamma(-1, x), POSITIVE),
    *[
        ("mvlgamma", lambda t, x, p=p: (t.mvlgamma(x, p), t.special.multigammaln(x, p)), POSITIVE + 2)
        for p in (1, 2, 4)
    ],
    ("mvlgamma", lambda t, x: t.mvlgamma(x, 0), POSITIVE),
    (
        "zeta",
        lambda t, x, q: t.special.zeta(x.detach(), q),
        np.array([1.5, 2.0, 3.7, 12.0])[:, None],
        POSITIVE,
    ),
    ("zeta", lambda t, x, q: t.special.zeta(x.detach(), q.detach()), *NUMBERS),
    ("zeta", lambda t, x: (t.special.zeta(2.5, x), t.special.zeta(x.detach() + 1.5, 2)), POSITIVE),
    *[
        (
            n,
            lambda t, a, x, n=n: getattr(t, n)(a.detach(), x),
            np.array([0.01, 0.5, 1.0, 3.0, 9.5, 30.0, 200.0])[:, None],
            POSITIVE,
        )
        for n in ("igamma", "igammac")
    ],
    ("gammainc", lambda t, a, x: t.special.gammainc(a.detach(), x.detach()), *NUMBERS),
    (
        "gammaincc",
        lambda t, a, x: t.special.gammaincc(a.detach(), x.detach()),
        np.array([50.0, 300.0]),
        np.array([70.0, 290.0]),
    ),
    *[
        (
            n,
            lambda t, x, k, n=n: (
                getattr(t.special, n)(x.detach(), k),
                getattr(t.special, n)(x.detach(), 3),
                getattr(t.special, n)(0.3, k),
            ),
            np.linspace(-0.95, 0.95, 13),
            np.arange(-2, 9)[:, None],
        )
        for n in (
            "chebyshev_polynomial_t",
            "chebyshev_polynomial_u",
            "chebyshev_polynomial_v",
            "chebyshev_polynomial_w",
            "hermite_polynomial_h",
            "hermite_polynomial_he",
            "laguerre_polynomial_l",
            "legendre_polynomial_p",
        )
    ],
    *[
        (
            n,
            lambda t, x, k, n=n: getattr(t.special, n)(x.detach(), k),
            np.linspace(0.02, 0.95, 13),
            np.arange(9)[:, None],
        )
        for n in (
            "shifted_chebyshev_polynomial_t",
            "shifted_chebyshev_polynomial_u",
            "shifted_chebyshev_polynomial_v",
            "shifted_chebyshev_polynomial_w",
        )
    ],
    ("logit", lambda t, x: (t.logit(x, 0.1), x.logit(eps=0.2)), UNIT[:60]),
    ("frexp", lambda t, x: t.frexp(x), np.array([0.0, 1, -2, 3.7, 1e-310, 1e300])),
    ("frexp", lambda t, x: x.frexp().exponent, F(5, dtype="float32")),
    ("frexp", lambda t, x: t.frexp(x), INTS),
    ("ldexp", lambda t, x, e: (t.ldexp(x, e), x.ldexp(e)), F(3, 4), I(4, low=0)),
    ("ldexp", lambda t, x, e: t.ldexp(x.detach(), e), F(3, 4), I(4)),
    ("gcd", lambda t, x, y: (t.gcd(x, y), x.lcm(y), x.clone().gcd_(y)), *PAIRS),
    ("gcd", lambda t, x, y: (t.gcd(x, y), t.lcm(x, y)), INTS.astype("int16"), INTS[::-1].astype("int32")),
    ("gcd", lambda t, x: t.gcd(x, x), A),
    (
        "float_power",
        lambda t, x, y: (t.float_power(x, y), t.float_power(2, y), x.float_power(2)),
        np.abs(A),
        B,
    ),
    ("float_power", lambda t, x: t.float_power(x, 2), INTS),
    ("float_power_", lambda t, x: x.detach().clone().float_power_(2), A),
    ("float_power_", lambda t, x: x.detach().clone().float_power_(2), A.astype("float32")),
    (
        "bits",
        lambda t, x: (
            t.bitwise_and(6, x),
            t.bitwise_or(6, x),
            t.bitwise_xor(6, x),
            t.bitwise_left_shift(1, x.abs() % 8),
        ),
        INTS,
    ),
    ("bits", lambda t, x: (x & 6, 6 | x, x ^ 6, x << 2, x >> 1, x.bitwise_right_shift(1), ~x), INTS),
    ("remainder", lambda t, x: t.remainder(7, x.detach()), np.array([2.0, -3.0, 4.5])),
    ("fmod", lambda t, x: (t.fmod(x, 2), x % 3), INTS),
    ("clamp", lambda t, x, y: (t.clamp_min(x, y), x.clamp_max(y), t.clip(x, -1, 1), x.clamp_min(0.5)), A, B),
    (
        "conj",
        lambda t, x: (t.conj(x), x.conj(), t.real(x), t.resolve_conj(x), x.conj_physical(), x.resolve_neg()),
        A,
    ),
    ("nan_to_num", lambda t, x: (t.nan_to_num(x), x.nan_to_num(1.0, 2.0, -3.0)), EDGES),
    ("nan_to_num", lambda t, x: x.nan_to_num(), INTS),
    ("rsub", lambda t, x, y: (t.rsub(x, y), t.rsub(x, 2, alpha=3)), A, B),
    ("true_divide", lambda t, x: (t.true_divide(x, 2), x.true_divide(t.tensor(3))), INTS),
    (
        "isclose",
        lambda t, x, y: (t.isclose(x, y), x.isclose(y, equal_nan=True), t.isclose(x, x + 1e-9)),
        *GRID,
    ),
    ("allclose", lambda t, x: (t.allclose(x, x + 1e-9), x.allclose(x + 1), t.equal(x, x.clone())), A),
    ("fill", lambda t, x: (t.fill(x, 2.0), t.fill(x, t.tensor(3.0))), A),
    ("fill", lambda t, x: t.fill(x, t.tensor([3.0])), A),
    ("scalar_tensor", lambda t: (t.scalar_tensor(2), t.scalar_tensor(True, dtype=t.int64))),
    (
        "absolute",
        lambda t, x: (t.absolute(x), t.negative(x), t.fix(x), t.arccos(x / 3), x.arctan2(x), t.arcsin(x / 3)),
        A,
    ),
    (
        "softmax",
        lambda t, x: (t.special.softmax(x, 1), t.special.log_softmax(x, 0), t.special.logsumexp(x, 1)),
        A,
    ),
    ("signbit", lambda t, x: (t.signbit(x), x.signbit()), bools(5)),
]


@table(CASES)
def test_same(case):
    name, call, *arguments = case
    both(call, *arguments, where=name, tol=40)


@pytest.mark.parametrize("name, x", NO_SLOPE)
def test_bessel(name, x):
    """PyTorch's are good to 2e-6 near zeros of these functions."""
    both(lambda t, x: getattr(t.special, name)(x.detach()), x, where=name, tol=2000)


def test_names():
    names = [n for n in torch.special.__all__ if not n.startswith("_")]
    assert not [n for n in names if not hasattr(pynn.special, n)]


def draw(t, call):
    t.manual_seed(7)
    return call(t)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.empty(50).geometric_(0.3),
        lambda t: t.empty(50, dtype=t.int64).geometric_(0.05),
        lambda t: t.empty(50, dtype=t.float64).cauchy_(1.0, 2.0),
        lambda t: t.empty(50).cauchy_(),
        lambda t: t.empty(33).log_normal_(0.5, 0.7),
        lambda t: t.empty(33, dtype=t.float64).log_normal_(),
        lambda t: t.poisson(t.full((40,), 3.5)),
        lambda t: t.poisson(t.linspace(0, 60, 40).double()),
        lambda t: t.binomial(t.full((40,), 10.0), t.full((40,), 0.3)),
        lambda t: t.binomial(t.full((40,), 100.0), t.linspace(0, 1, 40)),
        lambda t: t.empty(20).bernoulli_(0.4),
        lambda t: t.empty(20).exponential_(2.0),
        lambda t: t.multinomial(t.tensor([0.2, 0.3, 0.5]), 2),
    ],
)
def test_draws(call):
    ours, theirs = draw(pynn, call), draw(torch, call)
    assert str(ours.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(ours.double().tolist(), theirs.double().tolist(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.empty(5).geometric_(0.0),
        lambda t: t.empty(5).geometric_(1.5),
        lambda t: t.empty(5).cauchy_(1.0, -2.0),
        lambda t: t.empty(5).log_normal_(0, -1),
        lambda t: t.poisson(t.tensor([-1.0])),
        lambda t: t.empty(5, dtype=t.int64).cauchy_(),
    ],
)
def test_bad_draws(call):
    with pytest.raises(RuntimeError):
        call(torch)
    with pytest.raises(RuntimeError):
        call(pynn)
