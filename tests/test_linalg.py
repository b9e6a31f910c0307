"""pynn.linalg: values by what defines them, derivatives by finite differences."""

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor, to_numpy

import pynn
from pynn import linalg

WIDE = (pynn.float64, pynn.float32)
A = arr(4, 4) + 3 * np.eye(4)
BATCH = arr(2, 3, 3) + 3 * np.eye(3)
TALL, FLAT = arr(5, 3), arr(3, 5)
S = A @ A.T + np.eye(4)


def check(fn, ref, cases, **kwargs):
    check_op(fn, ref, cases, **{"dtypes": WIDE, "layouts": False, "tol": 100, "grad_tol": 100, **kwargs})


def sym(x):
    return (x + x.mT) / 2


def test_inverse_and_systems():
    check(linalg.inv, np.linalg.inv, [(A,), (BATCH,)])
    check(linalg.det, np.linalg.det, [(A,), (BATCH,)])
    check(lambda x: linalg.slogdet(x).logabsdet, lambda x: np.linalg.slogdet(x)[1], [(A,), (BATCH,)])
    check(pynn.logdet, lambda x: np.log(np.linalg.det(x)), [(S,)])
    check(linalg.solve, np.linalg.solve, [(A, arr(4, 2)), (BATCH, arr(3, 2))])
    check(linalg.solve, lambda a, b: np.linalg.solve(a, b[:, None])[:, 0], [(A, arr(4))])
    check(lambda a, b: linalg.solve(a, b, left=False), lambda a, b: b @ np.linalg.inv(a), [(A, arr(2, 4))])
    check(linalg.tensorinv, lambda x: np.linalg.tensorinv(x), [(arr(2, 3, 6),)])
    check(linalg.tensorsolve, np.linalg.tensorsolve, [(arr(6, 2, 3), arr(6))])
    for name in ("inv", "det", "slogdet", "cholesky", "eigh", "matrix_exp"):
        with raises(RuntimeError, name, "square"):
            getattr(linalg, name)(tensor(TALL))
        with raises(RuntimeError, name, "floating point"):
            getattr(linalg, name)(pynn.eye(2).long())


def test_det_of_singular_matrices():
    x = np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]])
    check(linalg.det, np.linalg.det, [(x,)], gradgrad=False)


def test_singular():
    bad = np.stack([np.eye(3), np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]])])
    for call in (linalg.inv, lambda x: linalg.solve(x, x)):
        with raises(linalg.LinAlgError, "Batch element 1", "diagonal element 3 is zero", "singular"):
            call(tensor(bad))
    assert issubclass(linalg.LinAlgError, RuntimeError)
    assert linalg.inv_ex(tensor(bad)).info.tolist() == [0, 3]
    result, info = linalg.solve_ex(tensor(bad), tensor(bad))
    assert info.tolist() == [0, 3] and pynn.allclose(result[0], pynn.eye(3).double())
    with raises(linalg.LinAlgError, "Batch element 1", "positive-definite", "order 2"):
        linalg.cholesky(tensor(np.stack([np.eye(2), np.diag([1.0, -1.0])])))


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_solve_triangular(upper, left, unit):
    def ref(a, b):
        t = np.triu(a) if upper else np.tril(a)
        if unit:
            t = t - t * np.eye(t.shape[-1]) + np.eye(t.shape[-1])
        return np.linalg.solve(t, b) if left else b @ np.linalg.inv(t)

    def fn(a, b):
        return linalg.solve_triangular(a, b, upper=upper, left=left, unitriangular=unit)

    check(fn, ref, [(A, arr(4, 2) if left else arr(2, 4)), (BATCH, arr(3, 2) if left else arr(2, 3))])
    big = arr(100, 100) / 100 + 3 * np.eye(100)
    b = arr(100, 3) if left else arr(3, 100)
    np.testing.assert_allclose(to_numpy(fn(tensor(big), tensor(b))), ref(big, b), atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("upper", [False, True])
def test_solve_triangular_sizes(dtype, upper):
    # Around the edges of tiles, panels and blocks, and both ways that a matrix may lie; what is not read holds NaN.
    rng = np.random.default_rng(0)
    for n, m in ((1, 1), (2, 5), (8, 16), (9, 17), (23, 33), (64, 100), (130, 3), (300, 40), (600, 270)):
        for unit in (False, True):
            a = (rng.standard_normal((n, n)) / n + (0 if unit else 3) * np.eye(n)).astype(dtype)
            b = rng.standard_normal((n, m)).astype(dtype)
            t = np.triu(a, int(unit)) if upper else np.tril(a, -int(unit))
            if unit:
                t = t + np.eye(n, dtype=dtype)
            a[t == 0] = np.nan
            if unit:
                np.fill_diagonal(a, np.nan)
            want = np.linalg.solve(t.astype("complex128"), b)
            for x in (tensor(a), tensor(np.asfortranarray(a)), tensor(np.repeat(a, 2, 1))[:, ::2]):
                got = linalg.solve_triangular(x, tensor(b), upper=upper, unitriangular=unit)
                tolerance = 1e-12 if dtype == "float64" else 1e-5
                np.testing.assert_allclose(to_numpy(got), want, rtol=tolerance, atol=tolerance)
    a, b = rng.standard_normal((6, 5, 11, 11)) / 11 + 3 * np.eye(11), rng.standard_normal((5, 11, 20))
    t = np.triu(a) if upper else np.tril(a)
    got = linalg.solve_triangular(tensor(a.astype(dtype)), tensor(b.astype(dtype)), upper=upper)
    np.testing.assert_allclose(to_numpy(got), np.linalg.solve(t, b), rtol=1e-4, atol=1e-4)


def test_solve_triangular_limits():
    # Of a zero pivot, of one whose inverse is infinite, and of a quotient that is a whole number.
    a = tensor(np.array([[0.0, 0, 0], [0, 2**-130, 0], [0, 0, 49]], np.float32))
    b = tensor(np.array([[1.0, 0], [2**-130, 2**-129], [49, 98]], np.float32))
    got = to_numpy(linalg.solve_triangular(a, b, upper=False))
    assert np.isinf(got[0, 0]) and np.isnan(got[0, 1])
    diagonal = to_numpy(linalg.solve_triangular(a[1:, 1:], b[1:], upper=True))
    np.testing.assert_array_equal(diagonal, [[1, 2], [1, 2]])
    empty = linalg.solve_triangular(pynn.zeros(0, 0), pynn.zeros(0, 3), upper=True)
    assert empty.shape == (0, 3)
    with pytest.raises(RuntimeError, match="Incompatible shapes"):
        linalg.solve_triangular(a, b, upper=True, left=False)
    with pytest.raises(RuntimeError, match="Expected a floating point"):
        linalg.solve_triangular(a.long(), b, upper=True)
    with pytest.raises(RuntimeError, match="same dtype"):
        linalg.solve_triangular(a.double(), b, upper=True)


def test_cholesky():
    check(lambda x: linalg.cholesky(sym(x)), lambda x: np.linalg.cholesky((x + x.T) / 2), [(S,)])
    check(
        lambda x: linalg.cholesky(sym(x), upper=True), lambda x: np.linalg.cholesky((x + x.T) / 2).T, [(S,)]
    )
    lower = np.linalg.cholesky(S)
    check(
        lambda b, x: pynn.cholesky_solve(b, x.tril()),
        lambda b, x: np.linalg.solve(S, b),
        [(arr(4, 2), lower)],
    )
    check(lambda x: pynn.cholesky_inverse(x.tril()), lambda x: np.linalg.inv(S), [(lower,)])


def test_qr():
    for x in (A, TALL, FLAT, BATCH):
        q, r = linalg.qr(tensor(x))
        np.testing.assert_allclose(to_numpy(q @ r), x, atol=1e-12)
        np.testing.assert_allclose(
            to_numpy(q.mT @ q),
            np.broadcast_to(np.eye(q.size(-1)), (*x.shape[:-2], *[q.size(-1)] * 2)),
            atol=1e-12,
        )
        check(lambda x: linalg.qr(x)[0], lambda x: np.linalg.qr(x)[0], [(x,)])
        check(lambda x: linalg.qr(x)[1], lambda x: np.linalg.qr(x)[1], [(x,)])
    q, r = linalg.qr(tensor(TALL), mode="complete")
    assert q.shape == (5, 5) and r.shape == (5, 3)
    a, tau = pynn.geqrf(tensor(TALL))
    np.testing.assert_allclose(to_numpy(pynn.orgqr(a, tau)), np.linalg.qr(TALL)[0], atol=1e-12)
    np.testing.assert_allclose(
        to_numpy(pynn.ormqr(a, tau, tensor(TALL), transpose=True)), to_numpy(r), atol=1e-12
    )
    check(
        linalg.householder_product, lambda a, t: to_numpy(pynn.orgqr(tensor(a), tensor(t))), [(TALL, arr(3))]
    )


def test_lu():
    for x in (A, TALL, FLAT, BATCH):
        p, lower, upper = linalg.lu(tensor(x))
        np.testing.assert_allclose(to_numpy(p @ lower @ upper), x, atol=1e-12)
        assert (lower.abs() <= 1).all() and pynn.equal(upper, upper.triu())
        for i in (1, 2):
            check(lambda x, i=i: linalg.lu(x)[i], lambda x, i=i: to_numpy(linalg.lu(tensor(x))[i]), [(x,)])
    for left in (True, False):
        for adjoint in (True, False):
            check(
                lambda a, b, k=left, j=adjoint: linalg.lu_solve(*linalg.lu_factor(a), b, left=k, adjoint=j),
                lambda a, b, k=left, j=adjoint: (
                    np.linalg.solve(a.T if j else a, b) if k else b @ np.linalg.inv(a.T if j else a)
                ),
                [(A, arr(4, 2) if left else arr(2, 4))],
            )
    with raises(RuntimeError, "lu_factor", "zero"):
        linalg.lu_factor(pynn.zeros(2, 2))
    assert linalg.lu_factor_ex(pynn.zeros(2, 2)).info.item() == 1


def test_symmetric_eigenvalues():
    check(lambda x: linalg.eigvalsh(sym(x)), lambda x: np.linalg.eigvalsh((x + x.T) / 2), [(S,)])
    check(
        lambda x: linalg.eigh(sym(x)).eigenvectors.abs(),
        lambda x: np.abs(np.linalg.eigh((x + x.T) / 2)[1]),
        [(S,)],
    )
    # The other triangle is not read.
    other = S + np.triu(arr(4, 4), 1)
    np.testing.assert_allclose(to_numpy(linalg.eigvalsh(tensor(other))), np.linalg.eigvalsh(S), atol=1e-10)
    check(
        lambda x: linalg.eigvals(sym(x)).real.sort().values,
        lambda x: np.sort(np.linalg.eigvals((x + x.T) / 2)),
        [(S,)],
    )
    check(lambda x: linalg.eig(x).eigenvectors.abs(), lambda x: np.abs(np.linalg.eig(x)[1]), [(S,)])
    turned = linalg.eigvals(pynn.tensor([[0.0, -1.0], [1.0, 0.0]]))
    assert sorted(turned.tolist(), key=lambda z: z.imag) == [-1j, 1j]


def test_singular_values():
    for x in (A, TALL, FLAT, BATCH):
        check(linalg.svdvals, lambda x: np.linalg.svd(x, compute_uv=False), [(x,)])
        for full in (False, True):
            u, s, vh = linalg.svd(tensor(x), full_matrices=full)
            k = s.size(-1)
            np.testing.assert_allclose(
                to_numpy((u[..., :k] * s.unsqueeze(-2)) @ vh[..., :k, :]), x, atol=1e-12
            )
        check(
            lambda x: linalg.svd(x, full_matrices=False)[0].abs(),
            lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[0]),
            [(x,)],
        )
        check(
            lambda x: linalg.svd(x, full_matrices=False)[2].abs(),
            lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[2]),
            [(x,)],
        )
    u, s, v = pynn.svd(tensor(TALL))
    np.testing.assert_allclose(to_numpy(u @ s.diag() @ v.T), TALL, atol=1e-12)


def test_pinv_lstsq_rank_cond():
    check(linalg.pinv, np.linalg.pinv, [(A,), (TALL,), (FLAT,)])
    check(lambda x: linalg.pinv(sym(x), hermitian=True), lambda x: np.linalg.pinv((x + x.T) / 2), [(S,)])
    low = TALL[:, :2] @ arr(2, 4)
    np.testing.assert_allclose(to_numpy(linalg.pinv(tensor(low))), np.linalg.pinv(low), atol=1e-10)
    assert linalg.matrix_rank(tensor(low)).item() == 2
    check(
        lambda a, b: linalg.lstsq(a, b).solution,
        lambda a, b: np.linalg.lstsq(a, b)[0],
        [(TALL, arr(5, 2)), (FLAT, arr(3, 2))],
    )
    found = linalg.lstsq(tensor(TALL), tensor(arr(5, 2)), driver="gelsd")
    expected = np.linalg.lstsq(TALL, arr(5, 2))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_numpy(a), b)
    a = tensor(TALL).requires_grad_()
    for driver in (
        "gels",
        "gelsy",
        "gelsd",
        "gelss",
    ):  # residuals without elements have a place in the graph too
        found = linalg.lstsq(a, tensor(arr(5, 2)), driver=driver)
        assert found.solution.requires_grad and found.residuals.requires_grad
        assert found.residuals.shape == ((0,) if driver == "gelsy" else (2,))
        (g,) = pynn.autograd.grad([found.solution.sum(), found.residuals.sum()], a)
        assert g.shape == a.shape
    for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        check(lambda x, p=p: linalg.cond(x, p), lambda x, p=p: np.linalg.cond(x, p), [(A,)])
    assert linalg.cond(pynn.ones(2, 2), 1).item() == np.inf


@pytest.mark.parametrize("p", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_matrix_norm(p):
    for dims in ((-2, -1), (2, 0)):
        check(
            lambda x, d=dims: linalg.matrix_norm(x, p, d),
            lambda x, d=dims: np.linalg.norm(x, p, d),
            [(arr(3, 2, 4),)],
        )
    check(lambda x: linalg.norm(x, p), lambda x: np.linalg.norm(x, p), [(TALL,)])


def test_vector_norm():
    for p in (0.5, 1, 2, 3, np.inf, -np.inf, -1):
        check(
            lambda x, p=p: linalg.vector_norm(x, p),
            lambda x, p=p: np.linalg.norm(x.reshape(-1), p),
            [(TALL,)],
        )
        check(lambda x, p=p: linalg.norm(x, p, dim=1), lambda x, p=p: np.linalg.norm(x, p, axis=1), [(TALL,)])
    check(linalg.norm, np.linalg.norm, [(TALL,), (arr(2, 3, 2),)])


def test_powers_and_products():
    for n in (-2, 0, 1, 3, 6):
        check(
            lambda x, n=n: linalg.matrix_power(x, n), lambda x, n=n: np.linalg.matrix_power(x, n), [(A / 2,)]
        )

    def exp(x):
        w, v = np.linalg.eigh(x)
        return (v * np.exp(w)) @ v.T

    check(linalg.matrix_exp, exp, [(S / 10,), (-S / 3,)])
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    check(linalg.matrix_exp, lambda x: np.cos(1) * np.eye(2) + np.sin(1) * x, [(rotation,)])
    assert linalg.matrix_exp(pynn.zeros(2, 3, 3)).eq(pynn.eye(3)).all()
    chain = arrs((3, 4), (4, 2), (2, 5), (5, 1))
    check(lambda *a: linalg.multi_dot(a), lambda *a: np.linalg.multi_dot(a), [chain])
    check(lambda *a: linalg.multi_dot(a), lambda *a: np.linalg.multi_dot(a), [arrs((4,), (4, 2), (2,))])
    check(linalg.vecdot, lambda a, b: (a * b).sum(-1), [arrs((2, 3), (3,))])
    check(linalg.vander, lambda x: np.vander(x, increasing=True), [(arr(4),)])


def test_gradients_of_eigh_are_hermitian():
    for dtype in (pynn.float64, pynn.complex128):
        pynn.manual_seed(0)
        for triangle in "LU":
            x = pynn.randn(4, 4, dtype=dtype, requires_grad=True)
            values, vectors = linalg.eigh(x, triangle)
            (values.sum() + (vectors.abs() * pynn.arange(16.0).view(4, 4)).sum()).backward()
            pynn.testing.assert_close(x.grad, x.grad.mH)


def test_equal_eigenvalues():
    """Only vectors need the values to differ."""
    for f in (linalg.eigvalsh, linalg.svdvals, lambda x: linalg.norm(x, "nuc")):
        x = pynn.eye(3).double().requires_grad_()
        f(x).sum().backward()
        assert pynn.allclose(x.grad, pynn.eye(3).double())


def test_low_rank():
    low = arr(20, 3) @ arr(3, 12)
    for x in (low, low.T):
        u, s, v = pynn.svd_lowrank(tensor(x), q=4)
        np.testing.assert_allclose(to_numpy(u @ s.diag() @ v.mT), x, atol=1e-9)
        np.testing.assert_allclose(to_numpy(s[:3]), np.linalg.svd(x, compute_uv=False)[:3])
    u, s, v = pynn.pca_lowrank(tensor(low), q=3)
    centered = low - low.mean(0)
    np.testing.assert_allclose(to_numpy(u @ s.diag() @ v.mT), centered, atol=1e-9)
    with raises(ValueError, "q"):
        pynn.svd_lowrank(tensor(low), q=13)


def test_zero_sizes():
    for shape in ((0, 0), (2, 0, 0), (0, 3, 3)):
        x = pynn.zeros(shape)
        assert linalg.inv(x).shape == shape and linalg.det(x).shape == shape[:-2]
        assert linalg.cholesky(x).shape == shape and linalg.eigh(x)[0].shape == shape[:-1]
        assert linalg.lu_factor(x).LU.shape == shape and linalg.matrix_exp(x).shape == shape
        assert linalg.solve(x, pynn.zeros(*shape[:-1], 2)).shape == (*shape[:-1], 2)
    assert linalg.det(pynn.zeros(0, 0)).item() == 1
    assert linalg.pinv(pynn.zeros(0, 3)).shape == (3, 0)
    assert [tuple(t.shape) for t in linalg.svd(pynn.zeros(0, 3))] == [(0, 0), (0,), (3, 3)]


def test_import_is_lazy():
    from helpers import run_python

    code = (
        "import sys, pynn; assert 'numpy' not in sys.modules; pynn.linalg; assert 'numpy' not in sys.modules"
    )
    assert run_python(code)[0] == 0
