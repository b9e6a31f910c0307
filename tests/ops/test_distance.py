"""cdist, pdist, dist, renorm; cov, corrcoef, trace, cross, nanmean."""

import math

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor, to_numpy

import pynn

WIDE = (pynn.float64, pynn.float32)


def _norm(d, p):
    d = np.abs(d)
    if p == 0:
        return (d != 0).sum(-1).astype(float)
    return d.max(-1) if math.isinf(p) else (d**p).sum(-1) ** (1 / p)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.7, 2.0, 3.0, math.inf])
def test_cdist(p):
    cases = [
        arrs((3, 4), (5, 4)),
        arrs((2, 3, 2), (2, 2)),
        arrs((2, 1, 3, 2), (3, 2, 2)),
        arrs((2, 35), (3, 35)),
    ]
    check_op(
        lambda a, b: pynn.cdist(a, b, p),
        lambda a, b: _norm(a[..., :, None, :] - b[..., None, :, :], p),
        cases,
        dtypes=WIDE,
        gradgrad=p in (1.7, 2.0, 3.0),
        tol=10,
        grad_tol=10,
    )
    x = arr(5, 3)
    upper = np.triu_indices(5, 1)
    check_op(
        lambda a: pynn.pdist(a, p), lambda a: _norm(a[upper[0]] - a[upper[1]], p), [(x,)], dtypes=WIDE, tol=10
    )


def test_cdist_of_equal_points_and_errors():
    x = tensor(arr(4, 3), requires_grad=True)
    for p in (0.0, 1.0, 1.5, 2.0, math.inf):
        d = pynn.cdist(x, x, p)
        assert (d.diagonal() == 0).all()
        d.sum().backward()
        assert x.grad.isfinite().all()
    assert pynn.cdist(pynn.zeros(0, 3), pynn.zeros(2, 3)).shape == (0, 2)
    assert (pynn.cdist(pynn.zeros(2, 0), pynn.zeros(2, 0)) == 0).all()
    assert (pynn.cdist(pynn.tensor([[1.0, 2, 3]]), pynn.tensor([[1.0, 0, 0]]), 0.0) == 2).all()
    with raises(RuntimeError, "cdist", "columns"):
        pynn.cdist(pynn.zeros(2, 3), pynn.zeros(2, 4))


def test_dist_and_renorm():
    check_op(
        pynn.dist,
        lambda a, b, p=2: _norm((a - b).reshape(-1), p),
        [(*arrs((3, 4), (4,)), 3), arrs((5,), (5,))],
        tol=4,
    )

    def ref(x, p, dim, most):
        others = tuple(d for d in range(x.ndim) if d != dim)
        norm = (np.abs(x) ** p).sum(others, keepdims=True) ** (1 / p)
        return x * np.where(norm > most, most / (norm + 1e-7), 1)

    check_op(pynn.renorm, ref, [(arr(3, 4), 2, 0, 1.5), (arr(2, 3, 2), 3, 1, 1.0)], tol=4, grad_tol=4)
    x = tensor(arr(3, 4))
    y = x.clone()
    assert y.renorm_(2, 0, 1.0) is y and pynn.equal(y, x.renorm(2, 0, 1.0))


def test_cov():
    f, a = np.array([1, 2, 3, 1, 2]), arr(5, low=0.1)
    x = arr(3, 5)
    for kwargs in ({}, {"correction": 0}, {"fweights": f}, {"aweights": a}, {"fweights": f, "aweights": a}):
        given = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        expected = {{"correction": "ddof"}.get(k, k): v for k, v in kwargs.items()}
        check_op(
            lambda x, g=given: pynn.cov(
                x,
                **{
                    k: v.to(x) if k == "aweights" else v.to(x.device) if k == "fweights" else v
                    for k, v in g.items()
                },
            ),
            lambda x, e=expected: np.cov(x, **e),
            [(x,)],
            dtypes=WIDE,
            tol=4,
        )
    check_op(pynn.corrcoef, np.corrcoef, [(x,)], dtypes=WIDE, tol=4)


def test_small_algebra():
    check_op(pynn.trace, np.trace, [(arr(3, 4),), (arr(2, 2),)], ints=pynn.int64, tol=2)
    check_op(
        lambda a, b: pynn.cross(a, b, dim=1),
        lambda a, b: np.cross(a, b, axis=1),
        [arrs((2, 3, 4), (2, 3, 4))],
        ints="same",
        tol=3,
    )
    x = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 2.0]])
    np.testing.assert_allclose(to_numpy(pynn.nanmean(tensor(x), 1)), np.nanmean(x, 1))
    check_op(
        lambda x: pynn.nanmean(x, (0, 1), True),
        lambda x: np.nanmean(x, (0, 1), keepdims=True),
        [(arr(3, 4),)],
    )
