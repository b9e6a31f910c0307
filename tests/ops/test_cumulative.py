"""cummax, cummin, logcumsumexp, mode."""

import numpy as np
import pytest
from helpers import arr, check_op, distinct, ints, raises, tensor, to_numpy

import pynn


@pytest.mark.parametrize("name, ref", [("cummax", np.maximum), ("cummin", np.minimum)])
def test_running_extremum(name, ref):
    op = getattr(pynn, name)
    cases = [(distinct(3, 4, 2), 1), (distinct(3, 4), -1), (distinct(5), 0), (distinct(2, 3), 0)]
    check_op(lambda x, d: op(x, d).values, lambda x, d: ref.accumulate(x, axis=d), cases, ints="same")
    x = tensor(ints(4, 50, low=0, high=5))
    found = op(x, 1)
    assert pynn.equal(x.gather(1, found.indices), found.values)
    np.testing.assert_array_equal(to_numpy(found.values), ref.accumulate(to_numpy(x), axis=1))
    t = pynn.tensor([1.0, 1.0, float("nan"), 2.0])
    assert op(t, 0).indices.tolist() == [0, 1, 2, 2] and op(t, 0).values[2:].isnan().all()
    assert op(pynn.zeros(3, 0), 1).values.shape == (3, 0)
    with raises(IndexError, name):
        op(t, 1)


def test_logcumsumexp():
    check_op(
        pynn.logcumsumexp,
        lambda x, d: np.logaddexp.accumulate(x, axis=d),
        [(arr(3, 4, 2), 1), (arr(6), 0), (arr(3, 4), -1)],
        grad_tol=10,
    )
    x = pynn.tensor([-1000.0, 1000.0, 1000.0, float("-inf")])
    assert x.logcumsumexp(0).tolist() == pytest.approx([-1000, 1000, 1000.6931, 1000.6931])
    assert pynn.full((3,), float("-inf")).logcumsumexp(0).isinf().all()


def test_complex_logcumsumexp_of_equal_elements():
    x = np.array([3 + 1j, 3 + 1j, 3 + 1j, 2 - 1j, 3 + 0j])
    y = tensor(x, pynn.complex128, True)
    np.testing.assert_allclose(to_numpy(y.logcumsumexp(0).exp()), np.exp(x).cumsum(), rtol=1e-12)
    assert pynn.autograd.gradcheck(lambda t: t.logcumsumexp(0), (y,))
    assert pynn.autograd.gradgradcheck(lambda t: t.logcumsumexp(0), (y,))
    inf = float("inf")
    pair = pynn.tensor([complex(-inf, 0), complex(-inf, 0), complex(inf, 0), complex(inf, 0)]).logcumsumexp(0)
    assert pair.real.tolist() == [-inf, -inf, inf, inf]


def test_mode():
    def ref(x, axis):
        def row(v):
            values, counts = np.unique(v, return_counts=True)
            best = values[np.argmax(counts)]
            return best, np.flatnonzero(v == best)[-1]

        moved = np.moveaxis(x, axis, -1)
        found = [row(v) for v in moved.reshape(-1, moved.shape[-1])]
        return [np.array([f[i] for f in found]).reshape(moved.shape[:-1]) for i in (0, 1)]

    x = ints(4, 7, 5, low=0, high=4)
    for dim in (0, 1, 2):
        for dtype in (pynn.int64, pynn.uint8, pynn.float32, pynn.bfloat16):
            values, indices = pynn.mode(tensor(x, dtype), dim)
            expected = ref(x, dim)
            np.testing.assert_array_equal(to_numpy(values), expected[0])
            np.testing.assert_array_equal(to_numpy(indices), expected[1])
    check_op(lambda x: pynn.mode(x, 0, True).values, lambda x: x.min(0, keepdims=True), [(distinct(4, 3),)])
