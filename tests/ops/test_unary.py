"""Elementwise functions of one tensor."""

import math

import numpy as np
import pytest
from helpers import ALL_DTYPES, FLOATS, INTS, arr, check_op, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan
erf = np.vectorize(math.erf, otypes=[float])
erfc = np.vectorize(math.erfc, otypes=[float])

# name: (reference, low, high) with inputs drawn from [low, high)
SMOOTH = {
    "exp": (np.exp, -3, 3),
    "exp2": (np.exp2, -3, 3),
    "expm1": (np.expm1, -3, 3),
    "log": (np.log, 0.1, 5),
    "log2": (np.log2, 0.1, 5),
    "log10": (np.log10, 0.1, 5),
    "log1p": (np.log1p, -0.8, 5),
    "sqrt": (np.sqrt, 0.1, 5),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 0.2, 5),
    "reciprocal": (lambda x: 1 / x, 0.5, 4),
    "sin": (np.sin, -4, 4),
    "cos": (np.cos, -4, 4),
    "tan": (np.tan, -1, 1),
    "asin": (np.arcsin, -0.8, 0.8),
    "acos": (np.arccos, -0.8, 0.8),
    "atan": (np.arctan, -4, 4),
    "sinh": (np.sinh, -2, 2),
    "cosh": (np.cosh, -2, 2),
    "tanh": (np.tanh, -3, 3),
    "asinh": (np.arcsinh, -4, 4),
    "acosh": (np.arccosh, 1.3, 5),
    "atanh": (np.arctanh, -0.8, 0.8),
    "erf": (erf, -2, 2),
    "erfc": (erfc, -2, 2),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -5, 5),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth(name):
    ref, low, high = SMOOTH[name]
    cases = [arr(3, 4, low=low, high=high), arr(2, 1, 5, low=low, high=high)]
    check_op(getattr(pynn, name), ref, cases, ints=pynn.float32, bools=pynn.float32, elementwise=True)
    method = getattr(pynn.Tensor, name)
    x = tensor(cases[0])
    assert same_bits(method(x), getattr(pynn, name)(x))


@pytest.mark.parametrize("name", [n for n in SMOOTH if n != "exp2"])
def test_inplace_and_out(name):
    _, low, high = SMOOTH[name]
    x = tensor(arr(3, 4, low=low, high=high))
    expected = getattr(pynn, name)(x)
    y = x.clone()
    assert getattr(y, name + "_")() is y
    assert same_bits(y, expected)
    out = pynn.empty(0, dtype=x.dtype)
    assert getattr(pynn, name)(x, out=out) is out
    assert same_bits(out, expected)
    whole = pynn.arange(1, 4)
    with raises(RuntimeError, name, "int64|Long"):
        getattr(whole, name + "_")()  # a float result does not fit an integer tensor
    assert whole.tolist() == [1, 2, 3]


# Long enough for vector loops and their tails, at every size around a register.
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
def test_sizes(name, dtype):
    ref, low, high = SMOOTH[name]
    for n in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 1000):
        x = tensor(arr(n, low=low, high=high, seed=n), dtype)
        tol = 3e-6 if dtype == pynn.float32 else 1e-13
        np.testing.assert_allclose(to_numpy(getattr(pynn, name)(x)), ref(to_numpy(x)), rtol=tol, atol=tol)


# Values where the formula, the range reduction or the exponent field breaks first.
EXTREMES = {
    "exp": [
        -INF,
        -1e30,
        -4200.0,
        -1500.0,
        -1000.0,
        -720.0,
        -510.0,
        -200.0,
        -104.0,
        -95.0,
        -88.0,
        0.0,
        88.0,
        1000.0,
        INF,
        NAN,
    ],
    "exp2": [-INF, -200.0, 0.0, 127.0, 2000.0, INF, NAN],
    "expm1": [-INF, -100.0, -1e-10, 0.0, 1e-10, 88.0, 1000.0, INF, NAN],
    "log": [-INF, -1.0, -0.0, 0.0, 1e-40, 1.0, 1e30, INF, NAN],
    "log2": [-1.0, 0.0, 1e-40, 8.0, INF, NAN],
    "log10": [-1.0, 0.0, 1e-40, 1000.0, INF, NAN],
    "log1p": [-INF, -2.0, -1.0, -1e-10, 0.0, 1e-10, 1e30, INF, NAN],
    "sqrt": [-INF, -1.0, -0.0, 0.0, 1e-40, 4.0, INF, NAN],
    "rsqrt": [-1.0, 0.0, 4.0, INF, NAN],
    "reciprocal": [-INF, -0.0, 0.0, 2.0, INF, NAN],
    "sin": [-INF, -1e5, -0.0, 1e-10, 100.0, 12345.678, 1e5, INF, NAN],
    "cos": [-INF, -1e5, 0.0, 1e-10, 100.0, 12345.678, 1e5, INF, NAN],
    "tan": [-INF, 0.0, 1e-10, 100.0, NAN],
    "asin": [-2.0, -1.0, -0.0, 0.0, 1.0, 1.5, NAN],
    "acos": [-2.0, -1.0, 0.0, 1.0, 1.5, NAN],
    "atan": [-INF, -1e30, 0.0, 1e30, INF, NAN],
    "sinh": [-INF, -1000.0, -1e-10, 0.0, 1e-10, 88.0, 1000.0, INF, NAN],
    "cosh": [-INF, -1000.0, 0.0, 88.0, 1000.0, INF, NAN],
    "tanh": [-INF, -100.0, -1e-10, -0.0, 0.0, 1e-10, 9.5, 100.0, INF, NAN],
    "asinh": [-INF, -1e-10, 0.0, 1e-10, 1e15, INF, NAN],
    "acosh": [-1.0, 0.5, 1.0, 1e15, INF, NAN],
    "atanh": [-2.0, -1.0, -1e-10, 0.0, 1.0, NAN],
    "erf": [-INF, -6.0, -1e-10, 0.0, 1e-10, 6.0, INF, NAN],
    "erfc": [-INF, -6.0, 0.0, 3.0, 6.0, INF, NAN],
    "sigmoid": [-INF, -1000.0, -80.0, 0.0, 80.0, 1000.0, INF, NAN],
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
def test_extremes(name, dtype):
    ref = SMOOTH[name][0]
    x = tensor(np.array(EXTREMES[name]), dtype)
    values = to_numpy(x)
    with np.errstate(all="ignore"):
        expected = ref(values)
        if dtype == pynn.float32:
            expected = expected.astype(np.float32)
    tol = 4e-6 if dtype == pynn.float32 else 1e-13
    for repeat in (1, 5):  # alone, and inside a vector
        got = to_numpy(getattr(pynn, name)(x.repeat(repeat)))
        np.testing.assert_allclose(got, np.tile(expected, repeat), rtol=tol, atol=1e-38)


def test_negative_zero_is_kept():
    x = tensor(np.array([-0.0]))
    for name in (
        "sqrt",
        "sin",
        "tan",
        "asin",
        "atan",
        "sinh",
        "tanh",
        "expm1",
        "log1p",
        "floor",
        "ceil",
        "trunc",
    ):
        assert math.copysign(1, getattr(pynn, name)(x).item()) == -1, name
    assert math.copysign(1, x.neg().item()) == 1
    assert math.copysign(1, x.abs().item()) == 1
    assert pynn.reciprocal(x).item() == -INF


STEPS = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "trunc": np.trunc,
    "sign": np.sign,
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(name):
    x = np.array([-2.5, -1.5, -0.7, -0.5, -0.3, 0.3, 0.5, 0.7, 1.5, 2.5, 1e20, -1e20])
    check_op(getattr(pynn, name), STEPS[name], [x[:10], arr(3, 4)], ints="same", elementwise=True, grad=False)
    got = to_numpy(getattr(pynn, name)(tensor(np.array([*x, INF, -INF, NAN]))))
    np.testing.assert_array_equal(got[:-1], STEPS[name](np.array([*x, INF, -INF])))
    assert got[-1] == 0.0 if name == "sign" else math.isnan(got[-1])
    leaf = tensor(x, requires_grad=True)
    getattr(leaf, name)().sum().backward()
    assert leaf.grad.tolist() == [0.0] * len(x)  # flat everywhere


def test_round_decimals():
    x = tensor(np.array([1.25, -3.14159, 2.5, 1234.0]))
    np.testing.assert_allclose(to_numpy(pynn.round(x, decimals=1)), np.round(to_numpy(x), 1))
    np.testing.assert_allclose(to_numpy(x.round(decimals=-2)), np.round(to_numpy(x), -2))


def test_frac():
    check_op(pynn.frac, lambda x: x - np.trunc(x), [arr(3, 4, low=-3, high=3)], elementwise=True)


def test_abs():
    check_op(pynn.abs, np.abs, [arr(3, 4), arr(2, 3, 2)], ints="same", elementwise=True)
    assert pynn.tensor([-INF, NAN, -0.0]).abs().tolist()[0] == INF
    leaf = pynn.zeros(2, requires_grad=True)
    leaf.abs().sum().backward()
    assert leaf.grad.tolist() == [0.0, 0.0]
    assert pynn.tensor(-128, dtype=pynn.int8).abs().item() == -128  # wraps
    assert pynn.tensor([-1, 2]).absolute().tolist() == [1, 2]


def test_neg():
    check_op(pynn.neg, np.negative, [arr(3, 4)], ints="same", elementwise=True)
    x = pynn.tensor([1.0, -2.0])
    assert (-x).tolist() == pynn.negative(x).tolist() == [-1.0, 2.0]
    assert (+x).tolist() == pynn.positive(x).tolist() == x.tolist()
    with raises(RuntimeError, "neg", "bool"):
        -pynn.tensor([True])


def test_square():
    check_op(pynn.square, np.square, [arr(3, 4)], ints="same", elementwise=True)
    x = pynn.tensor([2.0, -3.0])
    assert x.square_() is x and x.tolist() == [4.0, 9.0]


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite"])
def test_classification(name):
    x = np.array([NAN, INF, -INF, 0.0, -0.0, 1.0, 1e300])
    ref = getattr(np, name)
    check_op(getattr(pynn, name), ref, [x[3:6]], out=pynn.bool, ints=pynn.bool, bools=pynn.bool, grad=False)
    assert getattr(tensor(x), name)().tolist() == ref(x).tolist()
    for dtype in FLOATS:
        assert not pynn.isnan(pynn.ones(20, dtype=dtype)).any()


def test_logical_not():
    x = np.array([0.0, -0.0, 1.0, -3.0])
    check_op(
        pynn.logical_not, np.logical_not, [x], out=pynn.bool, ints=pynn.bool, bools=pynn.bool, grad=False
    )
    assert not pynn.tensor(NAN).logical_not()
    y = pynn.tensor([True, False])
    assert (~y).tolist() == [False, True]
    assert y.logical_not_().tolist() == [False, True]


@pytest.mark.parametrize("dtype", INTS)
def test_bitwise_not(dtype):
    info = pynn.iinfo(dtype)
    x = pynn.tensor([0, 1, 5, info.max, info.min], dtype=dtype)
    expected = np.bitwise_not(x.numpy()).tolist()
    assert (~x).tolist() == pynn.bitwise_not(x).tolist() == expected
    assert x.bitwise_not_().tolist() == expected
    with raises(NotImplementedError, "bitwise_not|~", "float"):
        ~pynn.zeros(2)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_shapes_and_dtypes_of_empty(dtype):
    x = pynn.empty(0, 3, dtype=dtype)
    y = pynn.exp(x)
    assert y.shape == (0, 3)
    assert y.dtype == (dtype if dtype.is_floating_point else pynn.float32)


def test_nan_to_num():
    x = tensor(np.array([NAN, INF, -INF, 1.5]), pynn.float32)
    assert pynn.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0).tolist() == [1.0, 2.0, 3.0, 1.5]
    big = pynn.finfo(pynn.float32).max
    assert x.nan_to_num().tolist() == [0.0, big, -big, 1.5]


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_to_num_against_its_composite(dtype):
    values = arr(3, 37)
    values[0, ::5], values[1, ::7], values[2, ::3], values[2, 1] = NAN, INF, -INF, -0.0
    x = tensor(values, dtype)
    for args in ((), (1.0,), (None, 2.0, None), (None, None, -3.0)):
        nan, high, low = (*args, None, None, None)[:3]
        most = pynn.finfo(dtype).max
        y = pynn.where(x == INF, most if high is None else high, x)
        y = pynn.where(x == -INF, -most if low is None else low, y)
        y = pynn.where(x.isnan(), 0.0 if nan is None else nan, y)
        for layout in (lambda t: t, lambda t: t.t(), lambda t: t[:, 1::2]):
            assert same_bits(pynn.nan_to_num(layout(x), *args).contiguous(), layout(y).contiguous())
    z = tensor(values, pynn.float64, requires_grad=True)
    z.nan_to_num().sum().backward()
    np.testing.assert_array_equal(z.grad.numpy(), np.isfinite(values))


def some_floats(step):
    """Every step-th of all float32, and those around each power of two."""
    bits = np.arange(0, 2**32, step, dtype=np.int64)
    near = (np.arange(0, 512, dtype=np.int64)[:, None] << 23) + np.arange(-2, 3)
    return np.concatenate([bits, near.ravel() % 2**32]).astype(np.uint32).view(np.float32)


def test_sqrt_is_rounded_correctly():
    x = some_floats(2003)
    with np.errstate(invalid="ignore"):
        expected = np.sqrt(x)
    usual = (x >= 2.0**-80) & (x < INF)  # and vectors without any special number
    for part in (np.ones_like(usual), usual):
        y = pynn.tensor(x[part]).sqrt().numpy()
        np.testing.assert_array_equal(y.view(np.int32)[y == y], expected[part].view(np.int32)[y == y])
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected[part]))


def test_tanh_at_the_borders_of_its_intervals():
    borders = np.float32(2.0) ** np.arange(-6, 5, dtype=np.float32)[:, None] * np.float32(
        [1, 1.25, 1.5, 1.75]
    )
    a = np.concatenate([borders.ravel(), np.float32([9, 9.2, 20, 1e-45, 3e38])]).view(np.int32)
    x = (a[:, None] + np.arange(-2, 3)).ravel()
    x = x[(x >= 0) & (x <= 0x7F800000)].view(np.float32)
    y, exact = pynn.tensor(x).tanh().numpy(), np.tanh(x.astype(np.float64))
    assert (np.abs(y - exact) <= 1.4 * np.spacing(exact.astype(np.float32))).all()
    np.testing.assert_array_equal(pynn.tensor(-x).tanh().numpy().view(np.int32), (-y).view(np.int32))
    assert pynn.tensor([10.0, 1e30, INF]).tanh().tolist() == [1, 1, 1]


@pytest.mark.parametrize("n", [2047, 2048, 33_333, 33_345, 100_000, 133_441])
def test_long_vectors(n):
    """Chunks of several threads cover all elements, of a result of another size too."""
    threads = pynn.get_num_threads()
    x = arr(n + 1).astype(np.float32)
    x[::97] = NAN
    try:
        for count in (1, 2, 3):
            pynn.set_num_threads(count)
            for start in (0, 1):
                t, a = pynn.tensor(x)[start : start + n], x[start : start + n]
                np.testing.assert_array_equal((-t).numpy(), -a)
                np.testing.assert_array_equal(t.isnan().numpy(), np.isnan(a))
                np.testing.assert_array_equal((t + t).numpy(), a + a)
                np.testing.assert_array_equal((t < 0.5).numpy(), a < np.float32(0.5))
                np.testing.assert_array_equal(t.double().numpy(), a.astype(np.float64))
    finally:
        pynn.set_num_threads(threads)


@pytest.mark.parametrize("argument", [None, "text", [1.0], 1.5, object()])
def test_not_a_tensor(argument):
    with raises(TypeError, "exp"):
        pynn.exp(argument)


def test_wrong_out():
    with raises(RuntimeError, "exp|out|dtype"):
        pynn.exp(pynn.zeros(2), out=pynn.empty(2, dtype=pynn.int64))
    with raises(TypeError):
        pynn.exp(pynn.zeros(2), out=3)
    with raises(TypeError):
        pynn.exp(pynn.zeros(2), unknown=3)
    with raises(TypeError):
        pynn.exp()
    with raises(RuntimeError, "out"):
        pynn.exp(pynn.zeros(2, requires_grad=True), out=pynn.empty(2))
