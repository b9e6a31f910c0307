"""Elementwise functions of two tensors: arithmetic, comparison, logic, and their operators."""

import math
import operator

import numpy as np
import pytest
from helpers import FLOATS, INTS, NUMPY_DTYPE, arr, arrs, check_op, ints, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan
SHAPES = [
    arrs((3, 4), (3, 4)),
    arrs((3, 4), (4,)),
    arrs((2, 1, 3), (4, 1)),
    arrs((), (2, 2)),
    arrs((1,), (3,)),
]


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_arithmetic(name):
    ref = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[name]
    bad = [((np.zeros((2, 3)), np.zeros((4,))), RuntimeError, rf"{name}.*3.*4")]
    check_op(getattr(pynn, name), ref, SHAPES, ints="same", elementwise=True, errors=bad)


def test_alpha():
    for name, sign in (("add", 1), ("sub", -1)):

        def ref(a, b, alpha, sign=sign):
            return a + sign * alpha * b

        cases = [(*arrs((3, 4), (4,)), {"alpha": 2})]
        check_op(getattr(pynn, name), ref, cases, ints="same", elementwise=True)
        x = pynn.ones(2)
        assert getattr(x, name)(pynn.ones(2), alpha=0.5).tolist() == [1 + sign * 0.5] * 2
        assert getattr(x, name + "_")(pynn.ones(2), alpha=2) is x
    with raises(RuntimeError, "alpha|add"):
        pynn.add(pynn.tensor([1]), pynn.tensor([2]), alpha=0.5)  # a float alpha for integers
    assert pynn.rsub(pynn.tensor([1.0]), pynn.tensor([5.0])).item() == 4.0


def _apart_from_zero(*shapes):
    return [np.where(a < 0, a - 0.5, a + 0.5) for a in arrs(*shapes)]


def test_div():
    cases = [tuple(_apart_from_zero((3, 4), (3, 4))), tuple(_apart_from_zero((2, 1, 3), (4, 1)))]
    check_op(pynn.div, np.divide, cases, elementwise=True)
    a, b = pynn.tensor([7, -7]), pynn.tensor([2, 2])
    assert (a / b).dtype == pynn.float32 and (a / b).tolist() == [3.5, -3.5]
    assert pynn.true_divide(a, b).tolist() == pynn.divide(a, b).tolist() == [3.5, -3.5]
    assert pynn.div(a, b, rounding_mode="floor").tolist() == [3, -4]
    assert pynn.div(a, b, rounding_mode="trunc").tolist() == [3, -3]
    assert pynn.div(a, b, rounding_mode="floor").dtype == pynn.int64
    x = pynn.tensor([1.0, -1.0, 0.0]) / 0.0
    assert x[:2].tolist() == [INF, -INF] and x[2].isnan()
    assert (pynn.tensor([1]) / 0).item() == INF
    with raises(RuntimeError, "rounding_mode"):
        pynn.div(a, b, rounding_mode="up")
    with raises(RuntimeError, "div"):
        a.div_(b)  # a float result does not fit


@pytest.mark.parametrize("mode", ["floor", "trunc"])
def test_div_rounding(mode):
    a = np.array([7.0, -7.0, 7.0, -7.0, 0.5, -0.5, 6.0, -6.0])
    b = np.array([2.0, 2.0, -2.0, -2.0, 1.0, 1.0, 3.0, 3.0])
    round_ = np.floor if mode == "floor" else np.trunc
    check_op(
        lambda x, y: pynn.div(x, y, rounding_mode=mode),
        lambda x, y: round_(x / y),
        [(a, b)],
        ints="same",
        grad=False,
    )


@pytest.mark.parametrize("dtype", [*INTS, pynn.float32, pynn.float64])
def test_floor_division_and_remainder_signs(dtype):
    values = [7, -7, 6, -6, 1, -1, 0, 100]
    divisors = [2, -2, 3, -3, 1, -1, 7]
    if dtype == pynn.uint8:
        values, divisors = [abs(v) for v in values], [abs(v) for v in divisors]
    a, b = pynn.tensor(values, dtype=dtype)[:, None], pynn.tensor(divisors, dtype=dtype)
    quotient = [[v // d for d in divisors] for v in values]
    remainder = [[v % d for d in divisors] for v in values]
    fmod = [[int(math.fmod(v, d)) for d in divisors] for v in values]
    assert (a // b).tolist() == pynn.floor_divide(a, b).tolist() == quotient
    assert (a % b).tolist() == pynn.remainder(a, b).tolist() == remainder
    assert pynn.fmod(a, b).tolist() == fmod
    assert (a // b).dtype == (a % b).dtype == pynn.fmod(a, b).dtype == dtype
    for v, d in zip(values, divisors, strict=False):
        x = pynn.tensor(v, dtype=dtype)
        assert (x // d).item() == v // d and (x % d).item() == v % d
        assert (v // pynn.tensor(d, dtype=dtype)).item() == v // d
        assert (v % pynn.tensor(d, dtype=dtype)).item() == v % d


def test_float_floor_division_edges():
    a = pynn.tensor([1.0, -1.0, 0.0, INF, 5.0, -5.0, NAN])
    b = pynn.tensor([0.0, 0.0, 0.0, 2.0, INF, INF, 1.0])
    q = (a // b).tolist()
    assert (
        q[0] == INF
        and q[1] == -INF
        and math.isnan(q[2])
        and q[4] == 0.0
        and q[5] == -1.0
        and math.isnan(q[6])
    )
    r = (a % b).tolist()
    assert all(math.isnan(x) for x in r[:4]) and r[4] == 5.0
    # 0.1 is not exact: the quotient must agree with the remainder, as Python's do.
    assert (pynn.tensor(1.0, dtype=pynn.float64) // 0.1).item() == 1.0 // 0.1 == 9.0
    assert (pynn.tensor(-0.5) % 1.0).item() == 0.5
    assert pynn.fmod(pynn.tensor(-0.5), 1.0).item() == -0.5


@pytest.mark.parametrize("op", [operator.floordiv, operator.mod, pynn.fmod])
def test_integer_division_by_zero(op):
    with raises(RuntimeError, "(?i)zero"):
        op(pynn.tensor([1, 2]), pynn.tensor([1, 0]))
    with raises(RuntimeError, "(?i)zero"):
        op(pynn.tensor([1, 2], dtype=pynn.int8), 0)


def test_int64_division_of_all_magnitudes():
    rng = np.random.default_rng(0)
    edges = [2**51 - 1, 2**51, 2**51 + 1, 2**52, 2**53 + 1, 2**63 - 1, 1, 2, 3, 7]
    for size, large in (
        (1, 0),
        (19, 0),
        (1003, 0),
        (1003, 3),
    ):  # large: some vectors leave the way of doubles
        for low_a, low_b in ((3, 2), (40, 3), (51, 20), (51, 51), (63, 40)):
            a = rng.integers(-(2**low_a), 2**low_a - 1, size)
            b = rng.integers(-(2**low_b), 2**low_b - 1, size)
            b[b == 0] = 5
            at = rng.integers(0, size, large)
            a[at], b[at[:1]] = rng.choice(edges, large), -rng.choice(edges)
            x, y = pynn.tensor(a), pynn.tensor(b)
            floor = np.floor_divide(a, b)
            np.testing.assert_array_equal((x // y).numpy(), floor)
            np.testing.assert_array_equal((x % y).numpy(), a - floor * b)
            np.testing.assert_array_equal(pynn.fmod(x, y).numpy(), np.fmod(a, b))
            cut = pynn.div(x, y, rounding_mode="trunc").numpy()
            np.testing.assert_array_equal(cut, (a - np.fmod(a, b)) // b)
            np.testing.assert_array_equal((x % 7).numpy(), np.mod(a, 7))


def test_smallest_integer_divided_by_minus_one():
    for dtype in (pynn.int32, pynn.int64):  # must not trap
        x = pynn.tensor([pynn.iinfo(dtype).min, 5], dtype=dtype)
        assert (x % -1).tolist() == [0, 0]
        assert pynn.fmod(x, -1).tolist() == [0, 0]
        assert (x // -1)[1].item() == -5


@pytest.mark.parametrize("dtype", [pynn.int32, pynn.int8, pynn.uint8])
def test_division_of_short_integers(dtype):
    info = np.iinfo(NUMPY_DTYPE[dtype])
    ends = [info.min, info.min + 1, -7, -2, -1, 0, 1, 2, 3, 7, info.max // 2, info.max - 1, info.max]
    ends = sorted({e for e in ends if info.min <= e <= info.max})
    a, b = (v.ravel() for v in np.meshgrid(ends, [e for e in ends if e]))
    rng = np.random.default_rng(0)
    drawn = rng.integers(info.min, info.max, (2, 3000), endpoint=True)
    a, b = np.concatenate([a, drawn[0]]), np.concatenate([b, np.where(drawn[1] == 0, 1, drawn[1])])
    x, y = tensor(a).to(dtype), tensor(b).to(dtype)
    wrap = lambda v: v.astype(NUMPY_DTYPE[dtype])
    np.testing.assert_array_equal((x // y).numpy(), wrap(a // b))
    np.testing.assert_array_equal((x % y).numpy(), wrap(a % b))
    np.testing.assert_array_equal(pynn.fmod(x, y).numpy(), wrap(np.fmod(a, b)))
    np.testing.assert_array_equal((x // 3).numpy(), wrap(a // 3))
    np.testing.assert_array_equal((tensor(7).to(dtype) // y).numpy(), wrap(7 // b))
    with raises(RuntimeError, "ZeroDivision"):
        x // (y - y)


@pytest.mark.parametrize("name", ["remainder", "fmod"])
def test_remainder_gradients(name):
    ref = {"remainder": np.mod, "fmod": np.fmod}[name]
    a, b = arr(3, 4, low=-5, high=5), _apart_from_zero((3, 4), (4,))[1]
    check_op(getattr(pynn, name), ref, [(a, b)], dtypes=(pynn.float64, pynn.float32))


@pytest.mark.parametrize("dtype", INTS)
def test_integers_wrap(dtype):
    info = pynn.iinfo(dtype)
    high, low = pynn.tensor([info.max], dtype=dtype), pynn.tensor([info.min], dtype=dtype)
    one = pynn.ones(1, dtype=dtype)
    assert (high + one).item() == info.min
    assert (low - one).item() == info.max
    assert (high * 2).item() == (-2 if info.min < 0 else info.max - 1)
    high += 1
    assert high.item() == info.min


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_maximum_minimum(name):
    ref = getattr(np, name)
    a, b = arrs((3, 4), (4,))
    check_op(
        getattr(pynn, name), ref, [(a, b), arrs((2, 3), (2, 1))], ints="same", bools="same", elementwise=True
    )
    x, y = tensor([NAN, 1.0, NAN]), tensor([1.0, NAN, NAN])
    assert getattr(pynn, name)(x, y).isnan().all()
    # At a tie each side gets half of the gradient.
    x, y = pynn.ones(2, requires_grad=True), pynn.ones(2, requires_grad=True)
    getattr(pynn, name)(x, y).sum().backward()
    assert x.grad.tolist() == y.grad.tolist() == [0.5, 0.5]
    with raises(TypeError, name):
        getattr(pynn, name)(x, 1.0)  # tensors only, as in PyTorch
    elementwise_max_min = {"maximum": pynn.max, "minimum": pynn.min}[name]
    assert same_bits(elementwise_max_min(tensor(a), tensor(b)), getattr(pynn, name)(tensor(a), tensor(b)))


def test_atan2():
    cases = [tuple(_apart_from_zero((3, 4), (3, 4))), tuple(_apart_from_zero((3, 1), (2,)))]
    check_op(pynn.atan2, np.arctan2, cases, ints=pynn.float32, elementwise=True)
    y, x = np.meshgrid([0.0, -0.0, 1.0, -1.0, INF, -INF], [0.0, -0.0, 1.0, -1.0, INF, -INF])
    np.testing.assert_allclose(to_numpy(pynn.atan2(tensor(y), tensor(x))), np.arctan2(y, x), rtol=1e-14)


COMPARISONS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparison(name):
    op = COMPARISONS[name]
    a, b = np.round(arr(3, 4)), np.round(arr(4, seed=1))
    a[0, 0] = NAN
    check_op(getattr(pynn, name), op, [(a, b)], out=pynn.bool, grad=False)
    a[0, 0] = 0.0
    check_op(op, op, [(a, b)], out=pynn.bool, ints=pynn.bool, bools=pynn.bool, grad=False, elementwise=True)
    whole = pynn.tensor([-1, 0, 1, 2])
    assert op(whole, 1).tolist() == [op(v, 1) for v in (-1, 0, 1, 2)]
    assert op(whole, 0.5).tolist() == [op(v, 0.5) for v in (-1, 0, 1, 2)]
    assert op(1, whole).tolist() == [op(1, v) for v in (-1, 0, 1, 2)]
    x = pynn.tensor([-1.0, 0.0, 1.0])
    assert getattr(x, name + "_")(0) is x and x.dtype == pynn.float32
    assert x.tolist() == [float(op(v, 0)) for v in (-1, 0, 1)]
    assert not op(x, x).requires_grad


def test_comparison_of_int64_is_exact():
    big = 2**53
    assert pynn.tensor([big]).lt(pynn.tensor([big + 1])).item()
    assert not pynn.tensor([big]).eq(pynn.tensor([big + 1])).item()
    assert pynn.maximum(pynn.tensor([big]), pynn.tensor([big + 1])).item() == big + 1


def test_comparison_with_foreign_objects():
    x = pynn.ones(2)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "text") is False
    with pytest.raises(TypeError):
        x < "text"
    with pytest.raises(TypeError):
        x < None


def test_aliases():
    a, b = tensor(arr(3)), tensor(arr(3, seed=1))
    for alias, name in (
        ("greater", "gt"),
        ("greater_equal", "ge"),
        ("less", "lt"),
        ("less_equal", "le"),
        ("not_equal", "ne"),
        ("subtract", "sub"),
        ("multiply", "mul"),
    ):
        assert same_bits(getattr(pynn, alias)(a, b), getattr(pynn, name)(a, b)), alias


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
def test_logical(name):
    ref = getattr(np, name)
    a, b = np.round(arr(4, 3, low=-1, high=1)), np.round(arr(3, low=-1, high=1))
    check_op(getattr(pynn, name), ref, [(a, b)], out=pynn.bool, ints=pynn.bool, bools=pynn.bool, grad=False)
    x = pynn.tensor([True, False])
    assert (
        getattr(x, name + "_")(pynn.tensor([True, True])).tolist()
        == ref([True, False], [True, True]).tolist()
    )


@pytest.mark.parametrize("dtype", [*INTS, pynn.bool])
def test_bitwise(dtype):
    a, b = (ints(4, 5, seed=s) if dtype != pynn.bool else ints(4, 5, seed=s) > 0 for s in (0, 1))
    a, b = a.astype(NUMPY_DTYPE[dtype]), b.astype(NUMPY_DTYPE[dtype])
    x, y = tensor(a), tensor(b)
    for name, op in (
        ("bitwise_and", operator.and_),
        ("bitwise_or", operator.or_),
        ("bitwise_xor", operator.xor),
    ):
        expected = op(a, b)
        for got in (op(x, y), getattr(pynn, name)(x, y), getattr(x.clone(), name + "_")(y)):
            assert got.dtype == dtype
            np.testing.assert_array_equal(got.numpy(), expected)
    with raises(RuntimeError, "bitwise_and|&"):
        pynn.zeros(2) & pynn.zeros(2)
    with raises(RuntimeError):
        x & 1.5


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_shifts_by_any_amount(dtype):
    kind = np.dtype(dtype)
    rng = np.random.default_rng(0)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    a = rng.integers(low, high, 301, dtype=kind, endpoint=True)
    n = rng.integers(max(low, -3), 8 * kind.itemsize + 3, 301).astype(kind)
    n[:2] = low, high
    inside = (n >= 0) & (n < 8 * kind.itemsize)
    by = np.where(inside, n, 0)
    left = np.where(inside, a << by, 0).astype(kind)
    right = np.where(inside, a >> by, np.where(a < 0, -1, 0)).astype(kind)
    x, y = pynn.from_numpy(a), pynn.from_numpy(n)
    np.testing.assert_array_equal((x << y).numpy(), left)
    np.testing.assert_array_equal((x >> y).numpy(), right)
    np.testing.assert_array_equal((x[1:4] >> y[1:4]).numpy(), right[1:4])
    np.testing.assert_array_equal((x >> 3).numpy(), a >> kind.type(3))


def test_shifts():
    x = pynn.tensor([1, -8, 5], dtype=pynn.int32)
    assert (x << 2).tolist() == [4, -32, 20]
    assert (x >> 1).tolist() == [0, -4, 2]
    assert pynn.bitwise_left_shift(x, 3).tolist() == [8, -64, 40]
    assert pynn.bitwise_right_shift(x, pynn.tensor([0, 1, 2], dtype=pynn.int32)).tolist() == [1, -4, 1]
    x <<= 1
    assert x.tolist() == [2, -16, 10]


@pytest.mark.parametrize("dtype", FLOATS)
def test_vector_tails(dtype):
    """Every size around a register, at an odd address, gives the same as a whole."""
    a, b = tensor(arr(200), dtype), tensor(arr(200, seed=1), dtype)
    whole = a * b + a
    for start in (0, 1, 3):
        for n in (1, 2, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65):
            s = slice(start, start + n)
            assert pynn.equal(a[s] * b[s] + a[s], whole[s])


def test_large_parallel():
    a, b = tensor(arr(300, 1000), pynn.float32), tensor(arr(1000, seed=1), pynn.float32)
    np.testing.assert_array_equal((a + b).numpy(), a.numpy() + b.numpy())
    np.testing.assert_array_equal((a.t() * a.t()).numpy(), a.numpy().T * a.numpy().T)
    np.testing.assert_array_equal((a[:, ::3] - b[::3]).numpy(), a.numpy()[:, ::3] - b.numpy()[::3])


def test_overlap_of_input_and_output():
    x = pynn.arange(10.0)
    x[1:] += x[:-1].clone()
    assert x.tolist() == [0.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0]
    y = pynn.ones(1).expand(3)
    with raises(RuntimeError, "(?i)single memory location|overlap|expand"):
        y.add_(1)
    with raises(RuntimeError, "(?i)overlap"):
        x[1:].add_(x[:-1])
    z = pynn.arange(4.0)
    assert z.mul_(z).tolist() == [0.0, 1.0, 4.0, 9.0]  # the same elements are fine


@pytest.mark.parametrize("n", [0, 1, 1000, 1024, 1025, 70000, 200000])
def test_equal(n):
    a = arr(n)
    x = tensor(a)
    assert pynn.equal(x, x.clone())
    assert not pynn.equal(x, tensor(arr(n + 1)))
    for at in {0, n // 2, n - 1} if n else ():
        b = a.copy()
        b[at] += 1
        assert not pynn.equal(x, tensor(b))
        b[at] = NAN
        assert not pynn.equal(tensor(b), tensor(b))
    assert pynn.equal(x[::2], tensor(a[::2].copy()))
    assert pynn.equal(pynn.zeros(3), -pynn.zeros(3))


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16])
def test_signs_of_half_types(dtype):
    """Every number of both types, and rests of a register."""
    every = pynn.arange(1 << 16, dtype=pynn.int32).to(pynn.int16).view(dtype)
    for x in (every, every[:37], every[40000:40003], every[1:], every[::3]):
        bits = x.clone().view(pynn.int16).numpy().view(np.uint16)
        np.testing.assert_array_equal((-x).view(pynn.int16).numpy().view(np.uint16), bits ^ 0x8000)
        np.testing.assert_array_equal(x.abs().view(pynn.int16).numpy().view(np.uint16), bits & 0x7FFF)
