"""cumsum and cumprod."""

import math

import numpy as np
import pytest
from helpers import FLOATS, arr, check_op, raises, same_bits, tensor, to_numpy

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
