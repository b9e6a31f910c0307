"""set_float32_matmul_precision: products of float32 by fewer parts of bfloat16, where AMX multiplies them."""

import math
import threading

import numpy as np
import pytest
from helpers import same_bits, splits_products, to_numpy

import pynn

F = pynn.nn.functional

# Errors of a product of two elements: of two bfloat16 each, rounded at 2^-17, with the product of their lower parts
# (2^-18) left out; of one, rounded at 2^-9.
BOUNDS = {"highest": 2.0**-20, "high": 2.0**-15, "medium": 2.0**-7.9}
LESS = ["high", "medium"]

SHAPES = [
    (32, 64, 64),
    (64, 128, 784),
    (33, 65, 1100),
    (100, 31, 385),
    (48, 48, 3000),
    (300, 17, 150),
    (130, 260, 65),
    (2100, 65, 97),
]


@pytest.fixture(autouse=True)
def restore():
    yield
    pynn.set_float32_matmul_precision("highest")


def exactly(a, b):
    """Return the product in float64, and that of the absolute values."""
    a, b = to_numpy(a).astype(np.float64), to_numpy(b).astype(np.float64)
    return a @ b, np.abs(a) @ np.abs(b)


def error(got, a, b):
    want, room = exactly(a, b)
    return (np.abs(to_numpy(got) - want) / np.maximum(room, 1e-300)).max()


def operands(m, n, k):
    pynn.manual_seed(m + n + k)
    return pynn.randn(m, k), pynn.randn(k, n)


def layouts(t):
    loose = pynn.zeros(2 * t.shape[0], 2 * t.shape[1])
    loose[::2, ::2] = t
    return t, t.t().contiguous().t(), loose[::2, ::2]


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_errors(shape, precision):
    a, b = operands(*shape)
    exact = a @ b
    pynn.set_float32_matmul_precision(precision)
    for x in layouts(a):
        for y in layouts(b):
            assert error(x @ y, a, b) < BOUNDS[precision]
    for threads in (1, 2, 3):
        pynn.set_num_threads(threads)
        assert same_bits(a @ b, (a @ b).clone()) and error(a @ b, a, b) < BOUNDS[precision]
    bias = pynn.randn(shape[1])
    got = F.linear(a, b.t(), bias)
    assert error(got.double() - bias.double(), a, b) < BOUNDS[precision]
    out = pynn.full((shape[0], shape[1]), math.nan)
    assert same_bits(pynn.mm(a, b, out=out), a @ b)
    if precision == "highest" or not splits_products():
        assert same_bits(a @ b, exact)
    elif min(shape) > 48:  # it is what was asked for, not more
        assert error(a @ b, a, b) > 4 * error(exact, a, b)


@pytest.mark.parametrize("precision", LESS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_same_bits_for_any_number_of_threads(shape, precision):
    a, b = operands(*shape)
    pynn.set_float32_matmul_precision(precision)
    results = []
    for threads in (1, 2, 3):
        pynn.set_num_threads(threads)
        results.append((a @ b, F.linear(a, b.t(), b[0])))
    for product, with_bias in results[1:]:
        assert same_bits(product, results[0][0]) and same_bits(with_bias, results[0][1])


@pytest.mark.parametrize("precision", LESS)
def test_whole_numbers_that_the_parts_hold(precision):
    rng = np.random.default_rng(0)
    most = 2**8 if precision == "medium" else 2**10
    a, b = (rng.integers(-most, most + 1, shape) for shape in ((96, 64), (64, 80)))
    pynn.set_float32_matmul_precision(precision)
    got = to_numpy(pynn.tensor(a).float() @ pynn.tensor(b).float())
    if precision == "medium":
        assert (got == a @ b).all()
    else:  # but for the product of their lower parts, each at most 2
        assert (np.abs(got - a @ b) <= 4 * 64 + 2.0**-24 * np.abs(a @ b)).all()


@pytest.mark.skipif(not splits_products(), reason="others round nothing to bfloat16")
def test_medium_rounds_to_nearest_even():
    a = pynn.full((32, 64), 1 + 2.0**-8)  # between 1 and 1 + 2^-7
    a[16:] = 1 + 3 * 2.0**-8
    b = pynn.zeros(64, 32)
    b[0] = 1
    pynn.set_float32_matmul_precision("medium")
    got = to_numpy(a.repeat(4, 1) @ b.repeat(1, 4))
    assert set(got[:16].ravel()) == {1.0} and set(got[16:32].ravel()) == {1 + 2.0**-6}


@pytest.mark.parametrize("precision", LESS)
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf, 3.4e38, 1e-38, 1e-44, 0.0])
def test_values_without_parts(value, precision):
    a, b = operands(100, 150, 200)
    pynn.set_float32_matmul_precision(precision)
    for row, column in ((40, 77), (99, 199)):
        a[row, column] = value
        got = to_numpy(a @ b)
        with np.errstate(all="ignore"):
            want, room = exactly(a, b)
            finite = np.isfinite(want.astype(np.float32))
            errors = np.abs(got - want)
        assert np.array_equal(np.isfinite(got), finite)
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert (errors[finite] <= (BOUNDS[precision] * room + 1e-30)[finite]).all()


def test_a_nan_of_all_ones_stays_one():
    bits = pynn.full((64, 64), 0x7FFFFFFF, dtype=pynn.int32).view(pynn.float32)
    assert pynn.isnan(bits).all()
    for precision in BOUNDS:
        pynn.set_float32_matmul_precision(precision)
        assert pynn.isnan(bits @ pynn.ones(64, 64)).all() and pynn.isnan(pynn.ones(64, 64) @ bits).all()


@pytest.mark.parametrize("precision", LESS)
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
def test_any_scale(precision, scale):
    a, b = operands(96, 128, 160)
    pynn.set_float32_matmul_precision(precision)
    a *= scale
    assert error(a @ b, a, b) < BOUNDS[precision]
    a[::2] *= 1e-9
    assert error(a @ b, a, b) < BOUNDS[precision]


def test_weights_kept_for_inference_follow():
    """What `linear` keeps of a weight is of the precision that holds when it is used."""
    x, w = operands(64, 128, 256)
    w = w.t().contiguous()
    wanted = {}
    for precision in BOUNDS:
        pynn.set_float32_matmul_precision(precision)
        wanted[precision] = F.linear(x, w.clone())
    with pynn.no_grad():
        for precision in [*BOUNDS, *reversed(BOUNDS), "high", "highest"] * 2:
            pynn.set_float32_matmul_precision(precision)
            for _ in range(3):
                assert same_bits(F.linear(x, w), wanted[precision])


@pytest.mark.parametrize("precision", LESS)
def test_batches_and_gradients(precision):
    pynn.manual_seed(3)
    a, b = pynn.randn(5, 70, 90).requires_grad_(), pynn.randn(5, 90, 110).requires_grad_()
    g = pynn.randn(5, 70, 110)
    pynn.set_float32_matmul_precision(precision)
    y = pynn.bmm(a, b)
    da, db = pynn.autograd.grad(y, (a, b), g)
    for i in range(5):
        assert error(y[i].detach(), a[i].detach(), b[i].detach()) < BOUNDS[precision]
        assert error(da[i], g[i], b[i].detach().t()) < BOUNDS[precision]
        assert error(db[i], a[i].detach().t(), g[i]) < BOUNDS[precision]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("precision", LESS)
@pytest.mark.parametrize("sizes", [(200, 200, 64, 64), (129, 300, 72, 96)])
def test_attention(sizes, precision, causal):
    rows, columns, size, v_size = sizes
    pynn.manual_seed(1)
    q, k, v, g = (
        pynn.randn(2, 3, *s).requires_grad_()
        for s in ((rows, size), (columns, size), (columns, v_size), (rows, v_size))
    )
    wide = [t.detach().double().requires_grad_() for t in (q, k, v)]
    want = F.scaled_dot_product_attention(*wide, is_causal=causal)
    want = [want, *pynn.autograd.grad(want, wide, g.double())]
    largest = {}
    for name in ("highest", precision):
        pynn.set_float32_matmul_precision(name)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        got = [out, *pynn.autograd.grad(out, (q, k, v), g)]
        largest[name] = max(
            float((x - y).abs().max() / y.abs().max()) for x, y in zip(got, want, strict=True)
        )
    assert largest["highest"] < 2e-5 and largest[precision] < 4 * BOUNDS[precision]
    if splits_products():
        assert largest[precision] > 4 * largest["highest"]


@pytest.mark.parametrize("precision", LESS)
@pytest.mark.parametrize(("kind", "batch", "width"), [("LSTM", 64, 250), ("GRU", 46, 224), ("RNN", 48, 384)])
def test_recurrent(kind, batch, width, precision):
    pynn.manual_seed(2)
    layer = getattr(pynn.nn, kind)(100, width)
    x, g = pynn.randn(5, batch, 100), pynn.randn(5, batch, width)
    wide = getattr(pynn.nn, kind)(100, width).double()
    wide.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})

    def results(layer, x, g):
        x = x.clone().requires_grad_()
        y = layer(x)[0]
        return [y.detach(), *pynn.autograd.grad(y, [x, *layer.parameters()], g)]

    want = results(wide, x.double(), g.double())
    largest = {}
    for name in ("highest", precision):
        pynn.set_float32_matmul_precision(name)
        got = results(layer, x, g)
        largest[name] = max(
            float((x - y).abs().max() / y.abs().max()) for x, y in zip(got, want, strict=True)
        )
    assert largest["highest"] < 4e-6 and largest[precision] < 4 * BOUNDS[precision]
    if splits_products():
        assert largest[precision] > 4 * largest["highest"]


def test_what_stays_exact():
    """Convolutions, solvers, and products of other types."""
    pynn.manual_seed(4)
    x, w = pynn.randn(2, 64, 20, 20), pynn.randn(64, 64, 3, 3)
    a = pynn.randn(200, 200) + 20 * pynn.eye(200)
    wide = a.double()

    def results():
        return [
            F.conv2d(x, w),
            F.conv2d(x, w[:, :, :1, :1]),
            F.conv2d(x, w, stride=2),
            pynn.linalg.solve(a, a[:64].t()),
            pynn.linalg.solve_triangular(a, a[:, :100], upper=True),
            pynn.linalg.inv(a),
            pynn.linalg.qr(a)[1],
            wide @ wide,
            a.bfloat16() @ a.bfloat16(),
        ]

    before = results()
    pynn.set_float32_matmul_precision("medium")
    for one, other in zip(before, results(), strict=True):
        assert same_bits(one, other)


def test_switching_while_others_multiply():
    """A product is of one precision or the other, never of both."""
    x, w = operands(64, 128, 256)
    w = w.t().contiguous()
    allowed = []
    for precision in BOUNDS:
        pynn.set_float32_matmul_precision(precision)
        allowed.append(F.linear(x, w.clone()))
    wrong = []

    def multiply():
        with pynn.no_grad():
            for _ in range(300):
                y = F.linear(x, w)
                if not any(same_bits(y, a) for a in allowed):
                    wrong.append(y)

    threads = [threading.Thread(target=multiply) for _ in range(2)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        for precision in BOUNDS:
            pynn.set_float32_matmul_precision(precision)
    for t in threads:
        t.join()
    assert not wrong
