"""cumsum and cumprod."""

import math

import numpy as np
import pytest
from helpers import FLOATS, arr, check_op, ints, raises, same_bits, tensor, to_numpy

import pynn


def _ref(f):
    return lambda x, dim: f(x, axis=dim)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_scan(name):
    op, ref = getattr(pynn, name), _ref(getattr(np, name))
    x = arr(3, 4, 2)
    cases = [(x, 0), (x, 1), (x, -1), (arr(5), 0), (arr(1, 6), 1)]
    bad = [((x, 3), IndexError, name), ((x, -4), IndexError, name), ((x, "a"), TypeError, name)]
    check_op(op, ref, cases, ints=pynn.int64, bools=pynn.int64, tol=2, grad_tol=4, errors=bad)
    check_op(
        op, ref, [(np.zeros((0,)), 0), (np.zeros((2, 0, 3)), 0), (np.zeros((2, 0, 3)), 1)], layouts=False
    )
    t = tensor(x)
    assert same_bits(getattr(t, name)(1), op(t, dim=1))
    assert same_bits(getattr(t.clone(), name + "_")(1), op(t, dim=1))
    assert op(pynn.tensor(2.0), 0).item() == 2.0


@pytest.mark.parametrize("values", [[2.0, 0.0, 3.0, 4.0], [0.0, 1.0, 0.0, 2.0], [1.0, 2.0, 3.0, 0.0]])
def test_cumprod_gradient_with_zeros(values):
    check_op(pynn.cumprod, _ref(np.cumprod), [(np.array(values), 0)], dtypes=FLOATS[:2], layouts=False)
    check_op(
        pynn.cumprod,
        _ref(np.cumprod),
        [(np.array([values, [1.0, 2.0, 3.0, 4.0]]), 1)],
        dtypes=FLOATS[:2],
        layouts=False,
    )


def test_dtype():
    x = pynn.full((300,), 1, dtype=pynn.uint8)
    assert x.cumsum(0)[-1].item() == 300 and x.cumsum(0).dtype == pynn.int64
    assert x.cumsum(0, dtype=pynn.float32).dtype == pynn.float32
    assert pynn.tensor([True, False, True]).cumsum(0).tolist() == [1, 1, 2]
    with raises(RuntimeError, "cumsum|type"):
        x.cumsum_(0).add_(pynn.ones(300))


def test_long():
    for n in (63, 64, 65, 1000, 100_001):
        x = pynn.ones(n)
        assert pynn.equal(x.cumsum(0), pynn.arange(1.0, n + 1))
        assert pynn.equal(x.view(n, 1).cumsum(0), pynn.arange(1.0, n + 1).view(n, 1))
    x = arr(200, 300)
    np.testing.assert_allclose(to_numpy(tensor(x).cumsum(0)), x.cumsum(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(to_numpy(tensor(x).t().cumsum(0)), x.T.cumsum(0), rtol=1e-9, atol=1e-9)


def test_nan_and_inf():
    x = pynn.tensor([1.0, math.inf, -math.inf, 2.0])
    assert x.cumsum(0)[:2].tolist() == [1.0, math.inf] and x.cumsum(0)[2:].isnan().all()
    assert pynn.tensor([1.0, math.nan, 1.0]).cumprod(0)[1:].isnan().all()


@pytest.mark.parametrize("n", [5, 4096, 16383, 16384, 16385, 20480, 50_001])
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.int64, pynn.int32, pynn.bool])
def test_pieces(n, dtype, threads):
    """Long rows go in pieces that start from the sum of those before; the result does not depend on the threads."""
    x = (arr(3, n) > 0) if dtype == pynn.bool else (arr(3, n) * 100).round()
    expected = np.cumsum(x, 1)
    results = []
    for count in (1, 2, 7):
        threads(count)
        results.append(tensor(x, dtype).cumsum(1))
        np.testing.assert_array_equal(to_numpy(results[-1]), expected)  # whole numbers: exact
    assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


def test_pieces_keep_nan_and_infinity():
    x = np.ones(40_000)
    x[5000], x[20_000] = math.inf, -math.inf
    for dtype in FLOATS[:2]:
        y = to_numpy(tensor(x, dtype).cumsum(0))
        assert (y[:5000] == np.arange(1, 5001)).all() and np.isposinf(y[5000:20_000]).all()
        assert np.isnan(y[20_000:]).all()
    zeros = np.full(40_000, 2.0)  # overflows after a 0 that came before
    zeros[3] = 0
    assert (to_numpy(tensor(zeros).cumprod(0))[3:] == 0).all()


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("dtype", FLOATS)
def test_several_lines_at_once(rows, dtype):
    x = ints(rows, 37)
    for dim in (0, 1):
        y = tensor(x, dtype).cumsum(dim)
        assert y.dtype == dtype
        np.testing.assert_allclose(to_numpy(y.double()), x.cumsum(dim), rtol=1e-2, atol=0.6)
        wide = tensor(x, dtype).unsqueeze(-1).expand(rows, 37, 300).contiguous().cumsum(dim)
        assert same_bits(wide[..., 0], y) and same_bits(wide[..., 299], y)


@pytest.mark.parametrize("inner", [2, 7, 14, 17, 33, 255, 257, 300])
@pytest.mark.parametrize("dtype", FLOATS[:2])
def test_columns_of_any_number(inner, dtype):
    x = ints(3, 6, inner, low=-3, high=4)
    np.testing.assert_array_equal(to_numpy(tensor(x, dtype).cumsum(1)), x.cumsum(1))
    np.testing.assert_array_equal(to_numpy(tensor(x, dtype).cumprod(1)), x.cumprod(1))
