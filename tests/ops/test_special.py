"""Special functions of one and two operands. Derivatives are checked by finite differences, so each checks the next."""

import math

import numpy as np
import pytest
from helpers import FLOATS, arr, arrs, check_op, raises, run_python, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan

WIDE = (pynn.float64, pynn.float32)
POSITIVE = arr(4, 5, low=0.3, high=6.0)


def each(f):
    return np.vectorize(f, otypes=[float])


def integral(f, low, high, n=20001):
    """By Simpson's rule."""
    t = np.linspace(low, high, n)
    w = np.ones(n)
    w[1:-1:2], w[2:-1:2] = 4, 2
    return (f(t) * w).sum() * (high - low) / (n - 1) / 3


def bessel_i(v):
    return each(lambda x: integral(lambda t: np.exp(x * np.cos(t)) * np.cos(v * t), 0, math.pi) / math.pi)


def bessel_k(v):
    return each(lambda x: integral(lambda t: np.exp(-x * np.cosh(t)) * np.cosh(v * t), 0, 9))


def bessel_j(v):
    return each(lambda x: integral(lambda t: np.cos(v * t - x * np.sin(t)), 0, math.pi) / math.pi)


def ndtr(x):
    return 0.5 * each(math.erfc)(-x / math.sqrt(2))


UNARY = {
    "lgamma": (each(math.lgamma), POSITIVE),
    "erfcx": (lambda x: np.exp(x**2) * each(math.erfc)(x), arr(12)),
    "entr": (lambda x: -x * np.log(x), POSITIVE),
    "ndtr": (ndtr, arr(12)),
    "log_ndtr": (lambda x: np.log(ndtr(x)), arr(12)),
    "sinc": (np.sinc, np.concatenate([arr(12), [0.0, 1e-3]])),
    "i0": (bessel_i(0), arr(12)),
    "i1": (bessel_i(1), arr(12)),
    "i0e": (lambda x: bessel_i(0)(x) * np.exp(-np.abs(x)), arr(12)),
    "i1e": (lambda x: bessel_i(1)(x) * np.exp(-np.abs(x)), arr(12)),
    "logit": (lambda x: np.log(x / (1 - x)), arr(12, low=0.05, high=0.95)),
    "expit": (lambda x: 1 / (1 + np.exp(-x)), arr(12)),
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    ref, x = UNARY[name]
    check_op(getattr(pynn.special, name if name != "lgamma" else "gammaln"), ref, [(x,)], tol=20, grad_tol=20)


def test_inverses():
    check_op(
        lambda x: pynn.erfinv(pynn.erf(x)), lambda x: x, [(arr(3, 4),)], dtypes=WIDE, tol=100, gradgrad=False
    )
    p = np.array([1e-300, 1e-20, 0.01, 0.3, 0.5, 0.77, 1 - 1e-12])
    np.testing.assert_allclose(ndtr(to_numpy(pynn.special.ndtri(tensor(p)))), p, rtol=1e-11)
    check_op(
        pynn.special.ndtri,
        lambda p: p * 0 + to_numpy(pynn.special.ndtri(tensor(p))),
        [(p[2:6],)],
        dtypes=WIDE,
    )
    assert pynn.erfinv(pynn.tensor([1.0, -1.0])).tolist() == [math.inf, -math.inf]
    assert pynn.erfinv(pynn.tensor([1.5])).isnan().all()


FLOAT_ERRORS = """
import math, mpmath, numpy as np, pynn
mpmath.mp.prec = 100
rng = np.random.default_rng(0)
wide = np.ldexp(rng.uniform(-1, 1, 2000), rng.integers(-40, 20, 2000))
near = np.ldexp(rng.uniform(-1, 1, 2000), rng.integers(-23, 0, 2000))
points = {
    "sinc": np.concatenate([rng.uniform(-9, 9, 2000), wide]),
    "erfinv": np.concatenate([rng.uniform(-1, 1, 2000), 1 - np.abs(near), near]),
    "lgamma": np.concatenate([rng.uniform(-9, 9, 2000), np.abs(wide), 1 + near, 2 + near]),
}
exact = {
    "sinc": lambda v: mpmath.sinpi(v) / (mpmath.pi * v),
    "erfinv": mpmath.erfinv,
    "lgamma": lambda v: math.inf if v <= 0 and v == int(v) else mpmath.log(abs(mpmath.gamma(v))),
}
for name, at in points.items():
    x = at.astype(np.float32)
    x = x[(x != 0) & ((np.abs(x) < 1) | (name != "erfinv"))]
    y = getattr(pynn, name)(pynn.from_numpy(x)).numpy()
    ref = np.array([float(exact[name](mpmath.mpf(float(v)))) for v in x])
    same = y == ref
    with np.errstate(all="ignore"):
        error = np.abs(y - ref) / np.spacing(np.abs(ref).astype(np.float32))
    print(name, np.where(same, 0, error).max())
"""


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "neon"])
def test_errors_of_float32(isa):
    pytest.importorskip("mpmath", reason="the reference")
    status, out = run_python("import pynn", env={"PYNN_CPU_ISA": isa})
    if status:
        pytest.skip(out.strip().splitlines()[-1])
    status, out = run_python(FLOAT_ERRORS, env={"PYNN_CPU_ISA": isa})
    assert status == 0, out
    found = dict(line.split() for line in out.splitlines())
    for name, most in {"sinc": 2.0, "erfinv": 2.0, "lgamma": 1.5}.items():
        assert float(found[name]) <= most, (name, found[name])


def test_vector_functions_at_their_ends():
    x = np.array([0, -0.0, 1, -1, 2, -3, INF, -INF, NAN, 1e-40, 3e38, -1e30, 1.5, -1.5])
    for n in (1, 5, 14):
        for dtype in (pynn.float32, pynn.float64):
            t = tensor(x[:n], dtype)
            s, e, g = (to_numpy(f(t)) for f in (pynn.sinc, pynn.erfinv, pynn.lgamma))
            ones = [1, 1, 0, 0, 0, 0, NAN, NAN, NAN, 1, 0, 0, -2 / (3 * np.pi), -2 / (3 * np.pi)]
            np.testing.assert_allclose(s, ones[:n], rtol=1e-6, atol=1e-15)
            inverse = [0, -0.0, INF, -INF, NAN, NAN, NAN, NAN, NAN, 8.8623e-41, NAN, NAN, NAN, NAN]
            np.testing.assert_allclose(e, inverse[:n], rtol=1e-4)
            logs = [INF, INF, 0, INF, 0, INF, INF, INF, NAN, 92.1034, INF, INF, -0.120782238, 0.860047015]
            if dtype == pynn.float32:
                np.testing.assert_allclose(g, logs[:n], rtol=1e-5)


@pytest.mark.parametrize("n", range(4))
def test_polygamma(n):
    def ref(x):
        k = np.arange(200000)[:, None]
        if n == 0:
            return -0.5772156649015329 + (1 / (k + 1) - 1 / (k + x)).sum(0) + (x - 1) / 200000.5
        tail = (200000 + x - 0.5) ** -n / n
        return (-1) ** (n + 1) * math.factorial(n) * (((k + x) ** -(n + 1.0)).sum(0) + tail)

    x = arr(6, low=0.4, high=5.0)
    check_op(lambda x: pynn.polygamma(n, x), ref, [(x,)], dtypes=WIDE, layouts=False, tol=1e4, grad_tol=1)
    # The reflection formulas.
    if n == 0:
        y = tensor(np.array([-0.3, -2.6]))
        np.testing.assert_allclose(
            to_numpy(pynn.digamma(1 - y) - pynn.digamma(y)), np.pi / np.tan(np.pi * to_numpy(y)), rtol=1e-12
        )
    with raises(RuntimeError, "polygamma", "negative"):
        pynn.polygamma(-1, tensor(x))


def test_mvlgamma():
    def ref(x, p):
        return p * (p - 1) / 4 * math.log(math.pi) + sum(each(math.lgamma)(x - i / 2) for i in range(p))

    check_op(
        pynn.mvlgamma, ref, [(arr(5, low=2, high=5), 3), (arr(2, 2, low=2, high=5), 1)], tol=10, grad_tol=10
    )


@pytest.mark.parametrize(
    "name, ref, x",
    [
        ("bessel_j0", bessel_j(0), np.linspace(-15, 15, 31)),
        ("bessel_j1", bessel_j(1), np.linspace(-15, 15, 31)),
        ("modified_bessel_i0", bessel_i(0), np.linspace(-8, 8, 31)),
        ("modified_bessel_i1", bessel_i(1), np.linspace(-8, 8, 31)),
        ("modified_bessel_k0", bessel_k(0), np.array([0.01, 0.5, 0.99, 1.0, 1.01, 3, 20, 100])),
        ("modified_bessel_k1", bessel_k(1), np.array([0.01, 0.5, 0.99, 1.0, 1.01, 3, 20, 100])),
        ("spherical_bessel_j0", lambda x: np.sinc(x / np.pi), np.linspace(-4, 4, 31)),
    ],
)
def test_bessel(name, ref, x):
    op = getattr(pynn.special, name)
    check_op(op, ref, [(x,)], dtypes=WIDE, grad=False, tol=1000)
    with raises(NotImplementedError, name, "derivative"):
        op(tensor(x, requires_grad=True)).sum().backward()


def test_large_arguments():
    x = np.array([50.0, 200.0, 690.0])
    for name, sign in (("i0e", 1), ("scaled_modified_bessel_k0", -1)):
        # The first terms of the asymptotic series.
        series = 1 + sign / (8 * x) + 9 / (128 * x**2) + sign * 225 / (3072 * x**3)
        scale = np.sqrt(2 * np.pi * x) if sign > 0 else np.sqrt(2 * x / np.pi)
        np.testing.assert_allclose(
            to_numpy(getattr(pynn.special, name)(tensor(x))) * scale, series, rtol=1e-7
        )


def test_airy():
    x = np.linspace(-14, 5, 77)
    # Ai'' = x Ai, by differences; Ai(0) and a value of the tables.
    h = 1e-3
    y = [to_numpy(pynn.special.airy_ai(tensor(x + d))) for d in (-h, 0, h)]
    np.testing.assert_allclose((y[0] - 2 * y[1] + y[2]) / h**2, x * y[1], atol=2e-4)
    assert pynn.special.airy_ai(pynn.tensor(0.0).double()).item() == pytest.approx(
        0.355028053887817, rel=1e-14
    )
    assert pynn.special.airy_ai(pynn.tensor(-2.5).double()).item() == pytest.approx(
        -0.11232506769296, rel=1e-12
    )


BINARY = {
    "hypot": (np.hypot, arrs((3, 4), (4,))),
    "logaddexp": (np.logaddexp, arrs((3, 4), (4,))),
    "logaddexp2": (np.logaddexp2, arrs((3, 4), (4,))),
    "fmax": (np.fmax, arrs((3, 4), (3, 4))),
    "fmin": (np.fmin, arrs((3, 4), (3, 4))),
    "xlogy": (lambda a, b: a * np.log(b), (arr(3, 4), arr(4, low=0.2))),
    "xlog1py": (lambda a, b: a * np.log1p(b), (arr(3, 4), arr(4, low=0.2))),
    "copysign": (np.copysign, arrs((3, 4), (4,))),
    "ldexp": (lambda a, b: a * 2**b, arrs((3, 4), (4,))),
}


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    ref, operands = BINARY[name]
    op = getattr(pynn, name, None) or getattr(pynn.special, name)
    check_op(op, ref, [operands], tol=4, grad_tol=4)


def test_edges_of_binary():
    nan, inf = math.nan, math.inf
    t = pynn.tensor
    assert pynn.xlogy(t([0.0, 0.0, 0.0]), t([0.0, -1.0, inf])).tolist() == [0, 0, 0]
    assert pynn.xlogy(t(0.0), t(nan)).isnan()
    assert pynn.fmax(t([nan, 1.0]), t([2.0, nan])).tolist() == [2, 1]
    assert pynn.logaddexp(t([-inf, inf, 1000.0]), t([-inf, inf, 1000.0])).tolist() == pytest.approx(
        [-inf, inf, 1000 + math.log(2)]
    )
    assert pynn.signbit(t([0.0, -0.0, -nan, 1.0, -inf])).tolist()[:2] == [False, True]
    assert pynn.copysign(t([0.0, 1.0]), -0.0).signbit().all()
    assert pynn.heaviside(t([-1.0, 0.0, 2.0]), t(0.5)).tolist() == [0, 0.5, 1]
    assert pynn.nextafter(t([1.0]), t([2.0])).item() == 1 + 2**-23
    assert pynn.gcd(t([12, -8, 0]), t([18, 12, 5])).tolist() == [6, 4, 5]
    assert pynn.lcm(t([4, 0]), t([6, 5])).tolist() == [12, 0]


def test_frexp():
    x = np.array([0.0, 1.0, -3.7, 1e300, 5e-310])
    for dtype in FLOATS:
        t = tensor(x[:3], dtype)
        m, e = pynn.frexp(t)
        assert m.dtype == dtype and e.dtype == pynn.int32
        assert pynn.equal(pynn.ldexp(m, e), t)
    for found, expected in zip(pynn.frexp(tensor(x)), np.frexp(x), strict=True):
        np.testing.assert_array_equal(to_numpy(found), expected)


@pytest.mark.parametrize("a", [0.2, 1.0, 3.5, 40.0, 700.0])
def test_incomplete_gamma(a):
    x = a * np.array([0.3, 0.9, 1.0, 1.1, 1.7])

    def ref(x):
        # t = u^k removes the singularity at 0.
        k = max(1, math.ceil(1 / a))

        def density(u):
            t = u**k
            with np.errstate(divide="ignore"):
                return np.exp((a - 1) * np.log(t) - t - math.lgamma(a)) * k * u ** (k - 1)

        return each(lambda b: integral(density, 1e-12, b ** (1 / k), 200001))(x)

    lower, upper = (
        pynn.igamma(pynn.tensor(a).double(), tensor(x)),
        pynn.igammac(pynn.tensor(a).double(), tensor(x)),
    )
    np.testing.assert_allclose(to_numpy(lower + upper), 1, rtol=1e-13)
    np.testing.assert_allclose(to_numpy(lower), ref(x), rtol=1e-6, atol=1e-12)
    leaf = tensor(x, requires_grad=True)
    pynn.igamma(pynn.tensor(a).double(), leaf).sum().backward()
    h = 1e-5 * a
    slope = [to_numpy(pynn.igamma(pynn.tensor(a).double(), tensor(x + d))) for d in (-h, h)]
    np.testing.assert_allclose(to_numpy(leaf.grad), (slope[1] - slope[0]) / (2 * h), rtol=1e-5, atol=1e-8)


def test_zeta():
    assert pynn.special.zeta(pynn.tensor(2.0).double(), 1.0).item() == pytest.approx(
        math.pi**2 / 6, rel=1e-14
    )
    assert pynn.special.zeta(4, pynn.tensor(1.0).double()).item() == pytest.approx(math.pi**4 / 90, rel=1e-14)
    check_op(
        lambda q: pynn.special.zeta(2.5, q),
        lambda q: ((np.arange(100000)[:, None] + q) ** -2.5).sum(0) + (100000 + q - 0.5) ** -1.5 / 1.5,
        [(arr(5, low=0.5, high=3),)],
        dtypes=WIDE,
        layouts=False,
        tol=10,
    )


@pytest.mark.parametrize(
    "name, ref",
    [
        ("chebyshev_polynomial_t", lambda x, n: np.cos(n * np.arccos(x))),
        ("chebyshev_polynomial_u", lambda x, n: np.sin((n + 1) * np.arccos(x)) / np.sin(np.arccos(x))),
        ("chebyshev_polynomial_v", lambda x, n: np.cos((n + 0.5) * np.arccos(x)) / np.cos(np.arccos(x) / 2)),
        ("chebyshev_polynomial_w", lambda x, n: np.sin((n + 0.5) * np.arccos(x)) / np.sin(np.arccos(x) / 2)),
        ("shifted_chebyshev_polynomial_t", lambda x, n: np.cos(n * np.arccos(2 * x - 1))),
        ("hermite_polynomial_h", lambda x, n: np.polynomial.hermite.hermval(x, [0] * n + [1])),
        ("hermite_polynomial_he", lambda x, n: np.polynomial.hermite_e.hermeval(x, [0] * n + [1])),
        ("laguerre_polynomial_l", lambda x, n: np.polynomial.laguerre.lagval(x, [0] * n + [1])),
        ("legendre_polynomial_p", lambda x, n: np.polynomial.legendre.legval(x, [0] * n + [1])),
    ],
)
def test_polynomials(name, ref):
    x = arr(9, low=0.05, high=0.95)
    op = getattr(pynn.special, name)
    for n in (0, 1, 2, 5, 12):
        np.testing.assert_allclose(to_numpy(op(tensor(x), n)), ref(x, n), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            op(0.3, pynn.tensor([n]).double()).item(), ref(0.3, n), rtol=1e-9, atol=1e-9
        )
    assert op(tensor(x), -1).eq(0).all() and op(tensor(x), 1e9).isnan().all()


def test_number_first():
    x = pynn.tensor([3, 5, 6])
    assert pynn.bitwise_and(6, x).tolist() == [2, 4, 6] and pynn.bitwise_left_shift(1, x).tolist() == [
        8,
        32,
        64,
    ]
    assert pynn.remainder(7, x).tolist() == [1, 2, 1]
    assert pynn.float_power(x, 2).dtype == pynn.float64 and pynn.float_power(2, x).tolist() == [8, 32, 64]


def test_var_of_a_dim_by_position():
    """An int names a dim where a bool would be `unbiased`."""
    x = pynn.ones(4, 5)
    assert x.var(1).shape == (4,) and pynn.std(x, 0).shape == (5,) and x.var(False).shape == ()


EDGES = np.array([0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, 1e-45, -1e-45, 2.5, -700.0, 3e38, -INF, INF, NAN])


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize("name", ["nextafter", "logaddexp", "logaddexp2", "xlogy", "xlog1py"])
def test_edges_of_pairs(name, dtype):
    """All pairs of special values, with a tail behind the last register."""
    kind = np.float32 if dtype == pynn.float32 else np.float64
    edges = EDGES.astype(kind)
    a, b = (v.ravel() for v in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        products = {
            f: np.where(np.isnan(b), kind(NAN), np.where(a == 0, kind(0), a * log(b)))
            for f, log in (("xlogy", np.log), ("xlog1py", np.log1p))
        }
        want = products[name] if name in products else getattr(np, name)(a, b)
    op = getattr(pynn, name, None) or getattr(pynn.special, name)
    got = to_numpy(op(tensor(a, dtype), tensor(b, dtype)))
    if name == "nextafter":
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[got == 0]), np.signbit(want[want == 0]))
    else:
        np.testing.assert_allclose(
            got, want, rtol=3e-7 if kind == np.float32 else 1e-15, atol=np.finfo(kind).eps
        )


def test_logit_of_clamped():
    x = tensor(np.array([-0.5, 0.0, 0.05, 0.3, 0.95, 1.0, 1.5, NAN]), requires_grad=True)
    y = pynn.logit(x, 0.1)
    clamped = np.clip(x.detach().numpy(), 0.1, 0.9)
    np.testing.assert_allclose(y.detach().numpy(), np.log(clamped / (1 - clamped)), rtol=1e-14)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy()[:7], [0, 0, 0, 1 / 0.21, 0, 0, 0], rtol=1e-14)
    assert pynn.logit(tensor(np.array([-0.5, 0.0, 1.0, 1.5]))).tolist()[1:3] == [-INF, INF]
    assert pynn.logit(tensor(np.array([-0.5, 1.5]))).isnan().all()


def test_digamma_of_many():
    """float32 goes by registers, float64 one by one."""
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.normal(0, 20, 999), np.exp(rng.normal(0, 8, 999)), [1.4616321, 1e-38, -1e-38, 7, 30000]]
    )
    x = x.astype(np.float32)
    want = pynn.digamma(tensor(x.astype(np.float64))).numpy()
    np.testing.assert_allclose(pynn.digamma(tensor(x)).numpy(), want, rtol=2e-7)
    edges = pynn.digamma(pynn.tensor([0.0, -0.0, -1.0, -1e9, INF, -INF, NAN])).tolist()
    assert edges[:2] == [-INF, INF] and edges[4] == INF
    assert all(math.isnan(edges[i]) for i in (2, 3, 5, 6))


def test_signbit_of_all_types():
    x = np.array([0.0, -0.0, 1.5, -1.5, INF, -INF, NAN] * 11)
    for dtype in FLOATS:
        t = tensor(x).to(dtype)
        assert t.signbit().tolist() == np.signbit(x).tolist()
        assert t[::2].signbit().tolist() == np.signbit(x[::2]).tolist()


def test_erfinv_of_all_magnitudes():
    rng = np.random.default_rng(0)
    a = np.concatenate(
        [rng.uniform(0, 1, 99), 1 - np.exp(-rng.uniform(0, 36, 99)), np.exp(-rng.uniform(0, 90, 99))]
    )
    x = tensor(np.concatenate([a, -a]))
    y = pynn.erfinv(x)
    np.testing.assert_array_equal(y[len(a) :].numpy(), -y[: len(a)].numpy())
    np.testing.assert_allclose(pynn.erf(y).numpy(), x.numpy(), rtol=1e-15)
    rest = 1 - a  # exact from 1/2 on
    np.testing.assert_allclose(pynn.erfc(y[: len(a)]).numpy()[a > 0.5], rest[a > 0.5], rtol=1e-13)
    edges = pynn.erfinv(tensor(np.array([0.0, -0.0, 1.0, -1.0, 5e-324, 1.5, NAN]))).tolist()
    assert edges[:5] == [0, 0, INF, -INF, 5e-324] and all(map(math.isnan, edges[5:]))


def test_trigamma_of_many():
    """float32 goes by registers, float64 one by one."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 9, 333), np.exp(rng.normal(0, 6, 333))]).astype(np.float32)
    want = pynn.polygamma(1, tensor(x.astype(np.float64))).numpy()
    np.testing.assert_allclose(pynn.polygamma(1, tensor(x)).numpy(), want, rtol=2e-7)
    assert pynn.polygamma(1, pynn.tensor([0.0, -1.0, INF])).tolist() == [INF, INF, 0]
    assert pynn.polygamma(1, pynn.tensor([NAN])).isnan().all()


def test_erf_and_erfc_at_the_ends_of_intervals():
    edges = np.concatenate(
        [(np.arange(17) + 0.5) * 5.95 / 15.5, np.exp2(np.arange(4, 21) / 4) - 2, np.arange(41) / 2]
    )
    edges = edges[edges < 27.5]
    x = np.concatenate(
        [edges, np.nextafter(edges, 0), np.nextafter(edges, 99), [0.0, 5e-324, 1e-300, 1e300, INF]]
    )
    x = np.concatenate([x, -x])
    with np.errstate(all="ignore"):
        for ours, exact in (pynn.erf, math.erf), (pynn.erfc, math.erfc):
            want = np.array([exact(v) for v in x])
            np.testing.assert_allclose(ours(tensor(x)).numpy(), want, rtol=1e-15, atol=5e-324)
            short = x.astype(np.float32)
            want = np.array([exact(float(v)) for v in short])
            np.testing.assert_allclose(ours(tensor(short)).numpy(), want, rtol=2e-7, atol=3e-45)
            assert np.isnan(ours(pynn.tensor([NAN] * 17)).numpy()).all()
    assert (pynn.erf(tensor(np.array([5.95, 6.0, 30.0, INF]))).numpy() == 1).all()
    assert np.signbit(pynn.erf(tensor(np.array([-0.0]))).numpy()).all()


def test_incomplete_gamma_of_floats():
    """float32 stops its sums sooner."""
    rng = np.random.default_rng(0)
    a, x = (
        np.exp(rng.uniform(-3, 5, 999)).astype(np.float32),
        np.exp(rng.uniform(-3, 5, 999)).astype(np.float32),
    )
    for f in pynn.igamma, pynn.igammac:
        want = f(pynn.tensor(a).double(), pynn.tensor(x).double()).numpy()
        np.testing.assert_allclose(f(pynn.tensor(a), pynn.tensor(x)).numpy(), want, rtol=2e-7, atol=1e-37)
