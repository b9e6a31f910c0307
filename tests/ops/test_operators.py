"""Python operators of tensors: plain, reflected and in-place, with tensors, scalars and foreign objects."""

import operator

import numpy as np
import pytest
from helpers import arr, raises, tensor, to_numpy

import pynn

ARITHMETIC = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
}
INPLACE = {name: getattr(operator, "i" + name) for name in ARITHMETIC}


@pytest.mark.parametrize("name", ARITHMETIC)
@pytest.mark.parametrize("scalar", [2, 2.5, np.float32(1.5), np.float64(2.5), np.int64(3)])
def test_scalars_and_reflected(name, scalar):
    op = ARITHMETIC[name]
    x = arr(3, 4, low=0.5, high=3)
    number = float(scalar)
    t = tensor(x)
    for got, expected in ((op(t, scalar), op(x, number)), (op(number, t), op(number, x))):
        assert got.dtype == pynn.float64
        np.testing.assert_allclose(to_numpy(got), expected, rtol=1e-13)


@pytest.mark.parametrize("name", INPLACE)
def test_inplace(name):
    x, y = arr(3, 4, low=0.5, high=3), arr(4, low=0.5, high=3, seed=1)
    t = tensor(x)
    alias = t
    pointer = t.data_ptr()
    t = INPLACE[name](t, tensor(y))
    assert t is alias and t.data_ptr() == pointer
    np.testing.assert_allclose(to_numpy(t), ARITHMETIC[name](x, y), rtol=1e-13)
    t = tensor(x)
    t = INPLACE[name](t, 2)
    np.testing.assert_allclose(to_numpy(t), ARITHMETIC[name](x, 2), rtol=1e-13)


# The result's dtype for `tensor <op> scalar`: a scalar changes it only if it is of a higher category.
SCALAR_RULES = [
    (pynn.uint8, 2, pynn.uint8),
    (pynn.int8, True, pynn.int8),
    (pynn.int16, 2.5, pynn.float32),
    (pynn.bool, 2, pynn.int64),
    (pynn.bool, True, pynn.bool),
    (pynn.bool, 2.0, pynn.float32),
    (pynn.float16, 2.5, pynn.float16),
    (pynn.bfloat16, 2, pynn.bfloat16),
    (pynn.float32, 2.5, pynn.float32),
    (pynn.float64, 2, pynn.float64),
]


@pytest.mark.parametrize(("dtype", "scalar", "expected"), SCALAR_RULES)
def test_scalar_rules(dtype, scalar, expected):
    x = pynn.ones(3, dtype=dtype)
    zero_d = pynn.tensor(1, dtype=dtype)
    for t in (x, zero_d):
        assert (t + scalar).dtype == expected
        assert (scalar * t).dtype == expected
    assert (x == scalar).dtype == pynn.bool


def test_float_scalar_follows_the_default_dtype():
    pynn.set_default_dtype(pynn.float64)
    assert (pynn.ones(2, dtype=pynn.int32) + 1.5).dtype == pynn.float64
    assert (pynn.tensor([1]) / pynn.tensor([2])).dtype == pynn.float64
    assert pynn.exp(pynn.tensor([1])).dtype == pynn.float64


def test_zero_dim_tensors_count_like_scalars():
    f64 = pynn.tensor(2.5, dtype=pynn.float64)
    i64 = pynn.tensor(2)
    assert (pynn.ones(2) + f64).dtype == pynn.float32
    assert (pynn.ones(2, dtype=pynn.int8) + i64).dtype == pynn.int8
    assert (pynn.ones(2, dtype=pynn.int8) + f64).dtype == pynn.float64  # a higher category counts in full
    assert (pynn.ones(2, dtype=pynn.float16) + i64).dtype == pynn.float16
    assert (pynn.tensor(1.0) + f64).dtype == pynn.float64  # both 0-d
    assert (pynn.ones(1) + f64.reshape(1)).dtype == pynn.float64  # (1,) is not 0-d


def test_int_true_division_gives_float():
    for dtype in (pynn.uint8, pynn.int32, pynn.int64, pynn.bool):
        assert (pynn.ones(2, dtype=dtype) / pynn.ones(2, dtype=dtype)).dtype == pynn.float32
        assert (pynn.ones(2, dtype=dtype) / 2).dtype == pynn.float32
        assert (1 / pynn.ones(2, dtype=dtype)).dtype == pynn.float32


def test_inplace_keeps_its_dtype():
    x = pynn.ones(2, dtype=pynn.float32)
    x += pynn.ones(2, dtype=pynn.float64)
    assert x.dtype == pynn.float32
    x = pynn.ones(2, dtype=pynn.int8)
    x += 300
    assert x.dtype == pynn.int8 and x.tolist() == [45, 45]
    for bad in (lambda: x.add_(1.5), lambda: x.mul_(pynn.ones(2)), lambda: x.__itruediv__(2)):
        with raises(RuntimeError, "int8|Char", "float|Float"):
            bad()
    b = pynn.tensor([True, False])
    with raises(RuntimeError, "(?i)bool"):
        b += 1
    b |= True
    assert b.tolist() == [True, True]


def test_inplace_does_not_broadcast_its_target():
    x = pynn.ones(3)
    with raises(RuntimeError, "3", "2"):
        x += pynn.ones(2, 3)
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_bool_arithmetic():
    a, b = pynn.tensor([True, True, False]), pynn.tensor([True, False, False])
    assert (a + b).tolist() == [True, True, False] and (a + b).dtype == pynn.bool
    assert (a * b).tolist() == [True, False, False]
    for bad in (lambda: a - b, lambda: -a, lambda: 1 - a, lambda: a - True):
        with raises(RuntimeError, "(?i)bool"):
            bad()
    assert (a & True).tolist() == [True, True, False] and (False | b).tolist() == [True, False, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (a > b).tolist() == [False, True, False]


def test_matmul_operator():
    a, b = tensor(arr(2, 3)), tensor(arr(3, 4, seed=1))
    np.testing.assert_allclose(to_numpy(a @ b), to_numpy(a) @ to_numpy(b))
    with pytest.raises(TypeError):
        a @ 2
    with pytest.raises(TypeError):
        [1.0, 2.0] @ b


class Foreign:
    """Knows how to combine itself with anything."""

    def __radd__(self, other):
        return "radd"

    def __rmul__(self, other):
        return "rmul"

    def __add__(self, other):
        return "add"


def test_foreign_objects_get_their_turn():
    x = pynn.ones(2)
    assert x + Foreign() == "radd"
    assert x * Foreign() == "rmul"
    assert Foreign() + x == "add"
    for bad in (None, "text", [1.0, 2.0], {}, object()):
        for op in (operator.add, operator.mul, operator.truediv, operator.pow, operator.and_):
            with pytest.raises(TypeError):
                op(x, bad)
            with pytest.raises(TypeError):
                op(bad, x)


def test_numpy_arrays_and_scalars_on_the_left():
    x = pynn.tensor([1.0, 2.0], dtype=pynn.float64)
    assert isinstance(np.float64(2.0) * x, (pynn.Tensor, np.ndarray))
    np.testing.assert_allclose(np.asarray(np.float64(2.0) * x), [2.0, 4.0])


def test_integer_scalar_out_of_range():
    x = pynn.ones(1, dtype=pynn.int64)
    assert (x + 2**62).item() == 2**62 + 1
    with pytest.raises((RuntimeError, OverflowError)):
        x + 2**64
    assert (pynn.ones(1) + 2**62).item() == float(2**62)


def test_divmod_and_abs_and_round():
    assert abs(pynn.tensor([-1.5])).item() == 1.5
    assert pynn.tensor([1.0, 2.0]).__abs__().tolist() == [1.0, 2.0]
    with pytest.raises(TypeError):
        divmod(pynn.ones(1), "x")


def test_operators_build_graphs():
    x = pynn.tensor([2.0, 3.0], requires_grad=True)
    y = ((1 + x) * 2 - x / 4) ** 2 % 1000
    y.sum().backward()
    expected = [2 * (2 * (1 + v) - v / 4) * 1.75 for v in (2.0, 3.0)]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)
