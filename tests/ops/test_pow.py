"""pow and its three forms: tensor to tensor, tensor to number, number to tensor."""

import math

import numpy as np
import pytest
from helpers import FLOATS, INTS, arr, arrs, check_op, raises, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan


def test_tensor_to_tensor():
    base = arr(3, 4, low=0.3, high=3)
    cases = [(base, arr(3, 4, seed=1)), (base, arr(4, seed=1)), (arr(2, 1, low=0.5, high=2), arr(3, seed=1))]
    check_op(pynn.pow, np.power, cases, elementwise=True, grad_tol=3)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, -0.5, 2.5, -1.5, 1.0, 2.0])
def test_tensor_to_number(exponent):
    low = -2 if float(exponent).is_integer() and exponent >= 0 else 0.4
    cases = [(arr(3, 4, low=low, high=2), exponent)]
    check_op(pynn.pow, np.power, cases, elementwise=True, grad_tol=3)
    x = tensor(cases[0][0])
    np.testing.assert_array_equal(to_numpy(x**exponent), to_numpy(pynn.pow(x, exponent)))
    np.testing.assert_array_equal(to_numpy(x.clone().pow_(exponent)), to_numpy(x**exponent))


@pytest.mark.parametrize("base", [2, 0.5, 3.0, 1])
def test_number_to_tensor(base):
    check_op(lambda x: pynn.pow(base, x), lambda x: np.power(float(base), x), [arr(3, 4)], elementwise=True)
    x = tensor(arr(4))
    np.testing.assert_array_equal(to_numpy(base**x), to_numpy(pynn.pow(base, x)))


@pytest.mark.parametrize("dtype", INTS)
def test_integers(dtype):
    x = pynn.tensor([0, 1, 2, 3, 5], dtype=dtype)
    assert (x**2).tolist() == [0, 1, 4, 9, 25] and (x**2).dtype == dtype
    assert (x**0).tolist() == [1, 1, 1, 1, 1]
    assert (x ** pynn.tensor([1, 2, 3, 2, 2], dtype=dtype)).tolist() == [0, 1, 8, 9, 25]
    assert (2**x).tolist() == [1, 2, 4, 8, 32]
    assert (x**0.5).dtype == pynn.float32
    with raises(RuntimeError, "(?i)negative"):
        x**-1
    bits = pynn.iinfo(dtype).bits
    assert (pynn.tensor([2], dtype=dtype) ** bits).item() == 0  # wraps


def test_integer_to_negative_tensor_exponent():
    x, e = pynn.tensor([1, -1, -1, 2, 5]), pynn.tensor([-3, -3, -2, -1, -2])
    assert (x**e).tolist() == [1, -1, 1, 0, 0]


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
def test_special_values(dtype):
    values = [-INF, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, INF, NAN]
    b, e = np.meshgrid(values, [*values, 2.0, -3.0], indexing="ij")
    with np.errstate(all="ignore"):
        expected = np.power(b, e)
    got = to_numpy(pynn.pow(tensor(b, dtype), tensor(e, dtype)))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    for i, exponent in enumerate([*values, 2.0, -3.0]):
        if exponent == 0.5:
            continue  # a square root: NaN at -inf, where IEEE's pow gives inf
        got = to_numpy(tensor(np.array(values), dtype) ** exponent)
        np.testing.assert_allclose(got, expected[:, i], rtol=1e-6)


def test_gradient_at_zero():
    x = pynn.zeros(3, dtype=pynn.float64, requires_grad=True)
    for exponent, expected in ((0, 0.0), (1, 1.0), (2, 0.0), (3.0, 0.0)):
        (g,) = pynn.autograd.grad((x**exponent).sum(), x)
        assert g.tolist() == [expected] * 3, exponent
    # 0 ** e does not depend on e where e > 0; the naive y * log(0) would be NaN.
    e = pynn.tensor([0.5, 1.0, 2.0], requires_grad=True)
    pynn.pow(pynn.zeros(3), e).sum().backward()
    assert e.grad.tolist() == [0.0, 0.0, 0.0]
    e.grad = None
    pynn.pow(0.0, e).sum().backward()
    assert e.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtype_is_kept(dtype):
    x = pynn.ones(2, dtype=dtype)
    assert (x**2).dtype == (x**0.5).dtype == (2**x).dtype == (2.0**x).dtype == dtype


def test_float_power_of_integers_to_float_tensor():
    assert (pynn.tensor([4]) ** pynn.tensor([0.5])).item() == 2.0
    assert pynn.pow(pynn.tensor([4.0]), pynn.tensor([2])).dtype == pynn.float32


def test_errors():
    with pytest.raises(TypeError):
        pynn.pow(2, 3)
    with pytest.raises(TypeError):
        pynn.pow(pynn.ones(2), "2")
    with raises(RuntimeError, "pow", "2", "3"):
        pynn.pow(*[pynn.ones(*a.shape) for a in arrs((2,), (3,))])
    with raises(RuntimeError, "pow|int64|Long"):
        pynn.tensor([2]).pow_(0.5)
    with pytest.raises((TypeError, NotImplementedError)):
        pow(pynn.ones(2), 2, 3)


def test_double_powers_of_all_kinds():
    """By registers where base and power are normal, one by one elsewhere: both in each register."""
    rng = np.random.default_rng(0)
    special = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.5,
        -2.5,
        3.0,
        -3.0,
        0.5,
        1e300,
        1e-300,
        5e-324,
        np.inf,
        -np.inf,
        np.nan,
    ]
    a, b = (v.ravel() for v in np.meshgrid(special, special))
    a = np.concatenate([a, np.exp(rng.uniform(-500, 500, 801))])
    b = np.concatenate([b, rng.normal(0, 1.5, 801)])
    order = rng.permutation(len(a))
    a, b = a[order], b[order]
    with np.errstate(all="ignore"):
        want = np.power(a, b)
    np.testing.assert_allclose(pynn.pow(pynn.from_numpy(a), pynn.from_numpy(b)).numpy(), want, rtol=1e-15)
    for part in (slice(3), slice(5, 18)):
        got = pynn.pow(pynn.from_numpy(a[part]), pynn.from_numpy(b[part])).numpy()
        np.testing.assert_allclose(got, want[part], rtol=1e-15)
