"""quantile, nanquantile."""

import numpy as np
import pytest
from helpers import check_op, distinct, raises, tensor, to_numpy

import pynn


@pytest.mark.parametrize("how", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantile(how):
    def ref(x, q, dim=None, keepdim=False):
        return np.quantile(x, np.asarray(q), axis=dim, keepdims=keepdim, method=how)

    x = distinct(5, 4)
    cases = [(x, 0.3), (x, 0.55, 0), (x, 0.9, 1, True), (distinct(7), 0.5), (distinct(2, 3, 2), 0.2, 1)]
    check_op(
        lambda x, *a: pynn.quantile(x, *a, interpolation=how),
        ref,
        cases,
        dtypes=(pynn.float64, pynn.float32),
        tol=4,
    )
    q = np.array([0.0, 0.1, 0.5, 1.0])
    for dim, keepdim in ((None, False), (None, True), (0, False), (-1, True)):
        found = pynn.quantile(tensor(x), tensor(q), dim, keepdim, interpolation=how)
        np.testing.assert_allclose(to_numpy(found), ref(x, q, dim, keepdim))


def test_nan():
    x = np.array([[1.0, np.nan, 3.0, 2.0], [4.0, 2.0, 1.0, 0.0], [np.nan] * 4])
    found = to_numpy(pynn.quantile(tensor(x), 0.5, dim=1))
    assert np.isnan(found[[0, 2]]).all() and found[1] == 1.5
    found = to_numpy(pynn.nanquantile(tensor(x), 0.5, dim=1))
    assert found[0] == 2 and found[1] == 1.5 and np.isnan(found[2])


def test_errors():
    for args, words in (
        ((pynn.zeros(0), 0.5), "non-empty"),
        ((pynn.zeros(2), 1.5), "range"),
        ((pynn.zeros(2).long(), 0.5), "float or double"),
        ((pynn.zeros(2), pynn.zeros(1, 1)), "1D"),
        ((pynn.zeros(2), pynn.zeros(1).double()), "same dtype"),
    ):
        with raises(RuntimeError, "quantile", words):
            pynn.quantile(*args)
