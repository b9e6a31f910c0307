"""LU and Cholesky factors: what they are defined by, over sizes around the leaves of their recursion, and their errors."""

import numpy as np
import pytest
from helpers import raises, run_python

import pynn
from pynn import linalg

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}
SHAPES = [
    (1, 1),
    (2, 3),
    (3, 2),
    (16, 16),
    (17, 17),
    (5, 100),
    (100, 5),
    (33, 47),
    (47, 33),
    (130, 300),
    (300, 130),
]


def numbers(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def near(found, wanted, dtype, factor=1.0):
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=factor * TOLERANCE[dtype] * (1 + np.abs(wanted).max())
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [*SHAPES, (600, 600), (3, 20, 20), (2, 3, 40, 70), (4, 90, 90)])
def test_lu(shape, dtype):
    a = numbers(*shape, dtype=dtype)
    m, n = shape[-2:]
    lu, pivots, info = linalg.lu_factor_ex(pynn.from_numpy(a))
    assert not info.any() and pivots.dtype == info.dtype == pynn.int32
    p, lower, upper = (x.numpy() for x in pynn.lu_unpack(lu, pivots))
    near(p @ (lower.astype(np.float64) @ upper), a, dtype, factor=10)
    assert np.abs(lower).max() <= 1  # by partial pivoting
    assert ((pivots.numpy() > np.arange(min(m, n))) & (pivots.numpy() <= m)).all()
    turned = pynn.from_numpy(np.ascontiguousarray(np.swapaxes(a, -1, -2))).mT
    np.testing.assert_array_equal(linalg.lu_factor(turned)[0].numpy(), lu.numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 5, 16, 33, 100, 270])
def test_systems_of_an_lu(n, dtype):
    a, b = numbers(2, n, n, dtype=dtype) + 2 * np.eye(n, dtype=dtype), numbers(2, n, 7, seed=1, dtype=dtype)
    x, y = pynn.from_numpy(a), pynn.from_numpy(b)
    factors = linalg.lu_factor(x)
    size = n * np.abs(np.linalg.inv(a.astype(np.float64))).max()
    for adjoint in (False, True):
        found = linalg.lu_solve(*factors, y, adjoint=adjoint).numpy()
        near((np.swapaxes(a, 1, 2) if adjoint else a).astype(np.float64) @ found, b, dtype, factor=20 * size)
        shared = linalg.lu_solve(factors[0][0], factors[1][0], y, adjoint=adjoint)  # broadcasts
        np.testing.assert_array_equal(shared[0].numpy(), found[0])
    near(
        a.astype(np.float64) @ linalg.inv(x).numpy(),
        np.broadcast_to(np.eye(n), a.shape),
        dtype,
        factor=20 * size,
    )
    np.testing.assert_array_equal(linalg.solve(x[0], y)[1].numpy(), linalg.solve(x[:1], y[1:])[0].numpy())
    wide = a.astype(np.float64)
    np.testing.assert_allclose(linalg.slogdet(x).logabsdet.numpy(), np.linalg.slogdet(wide)[1], rtol=1e-4)
    np.testing.assert_array_equal(linalg.slogdet(x).sign.numpy(), np.linalg.slogdet(wide)[0])
    if n < 50:
        np.testing.assert_allclose(linalg.det(x).numpy(), np.linalg.det(wide), rtol=2e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (7,), (32,), (33,), (100,), (300,), (600,), (3, 20), (2, 2, 70)])
def test_cholesky(shape, dtype):
    a = numbers(*shape, shape[-1], dtype=dtype)
    a = a @ np.swapaxes(a, -1, -2) / shape[-1] + np.eye(shape[-1], dtype=dtype)
    wanted = np.linalg.cholesky(a.astype(np.float64))
    other = a.copy()
    other[..., ~np.tri(shape[-1], dtype=bool)] = np.nan  # the upper triangle is not read
    near(linalg.cholesky(pynn.from_numpy(other)).numpy(), wanted, dtype, factor=10)
    other = a.copy()
    other[..., ~np.tri(shape[-1], dtype=bool).T] = np.nan  # nor, here, the lower one
    near(linalg.cholesky(pynn.from_numpy(other), upper=True).mT.numpy(), wanted, dtype, factor=10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 3), (16, 16), (40, 17), (100, 70), (300, 33), (3, 50, 20), (2, 0, 0)]
)
@pytest.mark.parametrize("scale", [1.0, "tiny", "huge"])
def test_qr(shape, dtype, scale):
    scale = {"tiny": 1e-36, "huge": 1e36}.get(scale, scale)
    a = (numbers(*shape, dtype=dtype) * scale).astype(dtype)
    q, r = (x.numpy().astype(np.float64) for x in linalg.qr(pynn.from_numpy(a)))
    if a.size:
        near(q @ r / scale, a / scale, dtype, factor=10)
        near(np.swapaxes(q, -1, -2) @ q, np.broadcast_to(np.eye(shape[-1]), r.shape), dtype, factor=10)
    np.testing.assert_array_equal(np.tril(r, -1), 0)
    zero = linalg.qr(pynn.zeros(*shape))
    assert not zero.R.any() and tuple(zero.Q.shape) == shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(1, 1), (20, 7), (7, 20), (90, 40), (40, 90), (3, 30, 20), (2, 20, 30), (60, 60)]
)
def test_least_squares(shape, dtype):
    a, b = numbers(*shape, dtype=dtype), numbers(*shape[:-1], 3, seed=1, dtype=dtype)
    wanted = np.linalg.pinv(a.astype(np.float64)) @ b
    x, y = pynn.from_numpy(a), pynn.from_numpy(b)
    for driver in ("gels", "gelsy", "gelsd"):
        found = linalg.lstsq(x, y, driver=driver)
        near(found.solution.numpy(), wanted, dtype, factor=1000)
        assert driver == "gels" or (found.rank == min(shape[-2:])).all()
        if shape[-2] > shape[-1] and driver != "gelsy":
            near(found.residuals.numpy(), ((a @ wanted - b) ** 2).sum(-2), dtype, factor=100)
    low = a.copy()
    low[..., -1] = low[..., 0]  # short of full rank: the solution of least norm
    if shape[-1] > 1 and shape[-2] >= shape[-1]:
        found = linalg.lstsq(pynn.from_numpy(low), y)
        near(
            found.solution.numpy(), np.linalg.pinv(low.astype(np.float64), rcond=1e-5) @ b, dtype, factor=1000
        )
        assert (found.rank == shape[-1] - 1).all()


def test_where_it_fails():
    a = np.eye(70)
    a[66, 66] = -1
    low = np.broadcast_to(a, (3, 70, 70)).copy()
    low[0] = low[2] = np.eye(70)
    assert linalg.cholesky_ex(pynn.from_numpy(low)).info.tolist() == [0, 67, 0]
    with raises(linalg.LinAlgError, "Batch element 1", "positive-definite", "order 67"):
        linalg.cholesky(pynn.from_numpy(low))
    low[1, 3, 3] = np.nan
    assert linalg.cholesky_ex(pynn.from_numpy(low)).info.tolist() == [0, 4, 0]
    zero = numbers(70, 70)
    zero[:, 40] = 0
    assert linalg.lu_factor_ex(pynn.from_numpy(zero)).info.item() == 41
    assert linalg.lu_factor_ex(pynn.ones(20, 20)).info.item() == 2
    assert linalg.det(pynn.from_numpy(zero)).item() == 0
    sign, logabs = linalg.slogdet(pynn.from_numpy(zero))
    assert sign.item() == 0 and logabs.item() == -np.inf
    assert linalg.lu_factor_ex(pynn.full((20, 20), np.nan)).pivots.tolist() == list(range(1, 21))


def test_bad_pivots():
    lu, pivots = linalg.lu_factor(pynn.eye(3))
    for bad in (0, 4, -1):
        pivots[1] = bad
        with raises(RuntimeError, "pivots", "[1, 3]"):
            pynn.lu_unpack(lu, pivots)
        with raises(RuntimeError, "pivots", "[1, 3]"):
            linalg.lu_solve(lu, pivots, pynn.eye(3))


def test_empty():
    for shape in ((0, 0), (2, 0, 0), (0, 3, 3), (0, 4), (4, 0)):
        lu, pivots = linalg.lu_factor(pynn.zeros(*shape))
        assert tuple(lu.shape) == shape and tuple(pivots.shape) == (*shape[:-2], min(shape[-2:]))
    assert linalg.det(pynn.zeros(2, 0, 0)).tolist() == [1, 1]
    assert tuple(linalg.inv(pynn.zeros(0, 3, 3)).shape) == (0, 3, 3)
    assert tuple(linalg.cholesky(pynn.zeros(0, 3, 3)).shape) == (0, 3, 3)
    assert tuple(linalg.solve(pynn.eye(3), pynn.zeros(3, 0)).shape) == (3, 0)


def test_any_number_of_threads_gives_the_same_bits():
    program = """
import numpy as np, pynn
rng = np.random.default_rng(0)
a = pynn.from_numpy(rng.normal(size=(700, 700)).astype(np.float32))
for threads in (1, 2, 3):
    pynn.set_num_threads(threads)
    found = [*pynn.linalg.lu_factor(a), pynn.linalg.inv(a), pynn.linalg.cholesky(a @ a.T + 700 * pynn.eye(700))]
    found = [x.numpy().tobytes() for x in found]
    assert threads == 1 or found == first
    first = found
"""
    status, out = run_python(program)
    assert status == 0, out
