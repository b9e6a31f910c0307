"""linalg beside PyTorch: values (signs of vectors apart), gradients, shapes and errors."""

import numpy as np
import pytest
from parity_helpers import both, floats, integers, table

import pynn

torch = pytest.importorskip("torch")
F, I = floats, integers
A = F(4, 4) + 3 * np.eye(4)
B = F(2, 3, 3, 3) + 3 * np.eye(3)
TALL, WIDE = F(5, 3), F(3, 5)
S = A @ A.T + np.eye(4)
BATCH = np.stack([S, S + np.eye(4), 2 * S])
SINGULAR = np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]])
EMPTY = np.zeros((0, 0))
LOWER = np.tril(A)
inf = float("inf")


def sym(x):
    return (x + x.mT) / 2


CASES = [
    *[
        ("inv", lambda t, x: t.linalg.inv(x), x)
        for x in (A, B, EMPTY, np.zeros((2, 0, 0)), SINGULAR, TALL, F(3), I(2, 2))
    ],
    ("inv", lambda t, x: (t.inverse(x), x.inverse()), A.astype("float32")),
    ("inv", lambda t, x: t.linalg.inv(x), np.stack([A[:3, :3], SINGULAR])),
    ("inv", lambda t, x: t.linalg.inv(x), A.astype("float16")),
    ("inv_ex", lambda t, x: t.linalg.inv_ex(x), B),
    ("inv_ex", lambda t, x: t.linalg.inv_ex(x).info, SINGULAR),
    ("inv_ex", lambda t, x: t.linalg.inv_ex(x, check_errors=True), SINGULAR),
    *[
        ("det", lambda t, x: (t.linalg.det(x), t.det(x), x.det()), x)
        for x in (A, B, EMPTY, np.zeros((2, 2)), TALL)
    ],
    ("det", lambda t, x: t.linalg.det(x.detach()), SINGULAR),
    *[("slogdet", lambda t, x: (t.linalg.slogdet(x), x.slogdet()), x) for x in (A, -A[:3, :3], B, EMPTY)],
    ("slogdet", lambda t, x: t.linalg.slogdet(x.detach()), np.zeros((2, 2))),
    ("logdet", lambda t, x: (t.logdet(x), x.logdet()), S),
    ("logdet", lambda t, x: t.logdet(x.detach()), np.diag([1.0, -1.0])),
    *[
        ("solve", lambda t, a, b: t.linalg.solve(a, b), a, b)
        for a, b in (
            (A, F(4)),
            (A, F(4, 2)),
            (B, F(3, 2)),
            (B, F(2, 3, 3)),
            (A, F(3, 4, 2)),
            (EMPTY, F(0, 2)),
            (A, F(3)),
            (SINGULAR, F(3)),
            (TALL, F(5)),
            (A, F(4, 2).astype("float32")),
        )
    ],
    ("solve", lambda t, a, b: t.linalg.solve(a, b, left=False), A, F(2, 4)),
    ("solve", lambda t, a, b: t.linalg.solve(a, b, left=False), A, F(4)),
    ("solve_ex", lambda t, a, b: t.linalg.solve_ex(a, b), A, F(4, 2)),
    *[
        (
            "solve_triangular",
            lambda t, a, b, k=k: t.linalg.solve_triangular(a, b, **k),
            A,
            F(4, 2) if k.get("left", True) else F(2, 4),
        )
        for k in (
            {"upper": True},
            {"upper": False},
            {"upper": True, "left": False},
            {"upper": False, "unitriangular": True},
            {"upper": True, "unitriangular": True, "left": False},
        )
    ],
    ("solve_triangular", lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True), B, F(3, 2)),
    (
        "solve_triangular",
        lambda t, a, b: t.linalg.solve_triangular(a.detach(), b.detach(), upper=False),
        F(80, 80) + 20 * np.eye(80),
        F(80, 3),
    ),
    ("solve_triangular", lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True), A, F(3, 2)),
    (
        "triangular_solve",
        lambda t, a, b: (t.triangular_solve(b, a), b.triangular_solve(a, upper=False, transpose=True)),
        A,
        F(4, 2),
    ),
    *[
        ("cholesky", lambda t, x: (t.linalg.cholesky(sym(x)), t.cholesky(x, True), x.cholesky()), x)
        for x in (S, BATCH, EMPTY, -S, TALL)
    ],
    ("cholesky", lambda t, x: t.linalg.cholesky(x, upper=True), S),
    ("cholesky", lambda t, x: t.linalg.cholesky(x), np.stack([S, -S])),
    ("cholesky_ex", lambda t, x: t.linalg.cholesky_ex(x), BATCH),
    ("cholesky_ex", lambda t, x: t.linalg.cholesky_ex(x).info, np.stack([S, -S])),
    (
        "cholesky_solve",
        lambda t, b, x: (t.cholesky_solve(b, x.detach()), b.cholesky_solve(x.detach().mT, True)),
        F(4, 2),
        LOWER,
    ),
    (
        "cholesky_inverse",
        lambda t, x: (t.cholesky_inverse(x.detach()), x.detach().mT.cholesky_inverse(True)),
        LOWER,
    ),
    *[
        ("qr", lambda t, x: (lambda q, r: (q @ r, (q * q).sum(-1), r.abs()))(*t.linalg.qr(x)), x)
        for x in (A, TALL, WIDE, B)
    ],
    ("qr", lambda t, x: [v.shape for v in t.linalg.qr(x)], F(0, 3)),
    ("qr", lambda t, x: [v.shape for v in t.linalg.qr(x, mode="complete")], TALL),
    ("qr", lambda t, x: t.linalg.qr(x.detach(), mode="r").R.abs(), TALL),
    ("qr", lambda t, x: t.linalg.qr(x, mode="r").R, TALL),
    ("qr", lambda t, x: t.linalg.qr(x, mode="complete").R, TALL),
    ("qr", lambda t, x: t.linalg.qr(x, mode="economic"), TALL),
    ("qr", lambda t, x: (t.qr(x).R.abs(), x.qr().Q.abs()), TALL),
    *[
        (
            "svd",
            lambda t, x: (
                lambda u, s, v: (u * s.unsqueeze(-2) @ v, s, (u * u) @ s.unsqueeze(-1), (v * v).sum(-2))
            )(*t.linalg.svd(x, full_matrices=False)),
            x,
        )
        for x in (A, TALL, WIDE, B)
    ],
    ("svd", lambda t, x: [v.shape for v in t.linalg.svd(x)], WIDE),
    ("svd", lambda t, x: [v.shape for v in t.linalg.svd(x)], F(0, 3)),
    ("svd", lambda t, x: t.linalg.svd(x).S, TALL),
    ("svd", lambda t, x: (t.svd(x).S, x.svd().V.abs(), t.svd(x.detach(), compute_uv=False)), TALL),
    *[("svdvals", lambda t, x: t.linalg.svdvals(x), x) for x in (A, TALL, WIDE, B, F(0, 3))],
    *[
        (
            "eigh",
            lambda t, x: (lambda l, v: (l, v.abs(), (v * l.unsqueeze(-2)) @ v.mT))(*t.linalg.eigh(sym(x))),
            x,
        )
        for x in (S, BATCH, A)
    ],
    (
        "eigh",
        lambda t, x: (
            t.linalg.eigvalsh(x),
            t.linalg.eigvalsh(x, UPLO="U"),
            t.linalg.eigh(x, "U").eigenvalues,
        ),
        A,
    ),
    ("eigh", lambda t, x: t.linalg.eigh(x), EMPTY),
    ("eigh", lambda t, x: t.linalg.eigh(x, UPLO="X"), S),
    *[("lu", lambda t, x: t.linalg.lu(x), x) for x in (A, TALL, WIDE, B)],
    *[("lu_factor", lambda t, x: t.linalg.lu_factor(x), x) for x in (A, TALL, WIDE, B, SINGULAR)],
    ("lu_factor_ex", lambda t, x: t.linalg.lu_factor_ex(x.detach()), SINGULAR),
    ("lu", lambda t, x: (t.lu(x), x.lu(get_infos=True)), A),
    ("lu_unpack", lambda t, x: t.lu_unpack(*t.linalg.lu_factor(x)), A),
    *[
        (
            "lu_solve",
            lambda t, a, b, k=k: t.linalg.lu_solve(*t.linalg.lu_factor(a), b, **k),
            A,
            F(4, 2) if k.get("left", True) else F(2, 4),
        )
        for k in ({}, {"adjoint": True}, {"left": False}, {"left": False, "adjoint": True})
    ],
    ("lu_solve", lambda t, a, b: b.lu_solve(*a.lu()), A, F(4, 2)),
    *[
        ("matrix_power", lambda t, x, n=n: (t.linalg.matrix_power(x, n), x.matrix_power(n)), A)
        for n in (-2, -1, 1, 2, 3, 7)
    ],
    ("matrix_power", lambda t, x: t.linalg.matrix_power(x.detach(), 0), A),
    ("matrix_power", lambda t, x: t.linalg.matrix_power(x, -1), SINGULAR),
    ("matrix_power", lambda t, x: t.linalg.matrix_power(x, 2), TALL),
    *[
        ("matrix_exp", lambda t, x: (t.linalg.matrix_exp(x), t.matrix_exp(x), x.matrix_exp()), x)
        for x in (A / 2, B / 3, np.zeros((2, 2)), EMPTY, 1e-3 * A)
    ],
    ("matrix_exp", lambda t, x: t.linalg.matrix_exp(x), TALL),
    *[
        (
            "matrix_rank",
            lambda t, x: (
                t.linalg.matrix_rank(x),
                t.linalg.matrix_rank(x, atol=0.5),
                t.linalg.matrix_rank(x, rtol=0.5),
            ),
            x,
        )
        for x in (A, SINGULAR, TALL, B, np.zeros((3, 3)), F(0, 3))
    ],
    ("matrix_rank", lambda t, x: t.linalg.matrix_rank(x, hermitian=True), S),
    ("matrix_rank", lambda t, x: t.linalg.matrix_rank(x, 0.5), A),
    *[("pinv", lambda t, x: (t.linalg.pinv(x), t.pinverse(x), x.pinverse()), x) for x in (A, TALL, WIDE, B)],
    ("pinv", lambda t, x: t.linalg.pinv(x.detach()), F(0, 3)),
    ("pinv", lambda t, x: (t.linalg.pinv(x.detach()), t.linalg.pinv(x.detach(), rtol=0.3)), SINGULAR),
    ("pinv", lambda t, x: t.linalg.pinv(x, hermitian=True), S),
    *[
        (
            "lstsq",
            lambda t, a, b: (t.linalg.lstsq(a, b).solution, t.linalg.lstsq(a.detach(), b.detach())),
            a,
            b,
        )
        for a, b in ((TALL, F(5, 2)), (WIDE, F(3, 2)), (A, F(4, 1)))
    ],
    ("lstsq", lambda t, a, b: t.linalg.lstsq(a.detach(), b.detach(), driver="gelsd"), TALL, F(5, 2)),
    ("lstsq", lambda t, a, b: t.linalg.lstsq(a.detach(), b.detach(), driver="gels"), TALL, F(5, 2)),
    ("lstsq", lambda t, a, b: t.linalg.lstsq(a, b), TALL, F(4, 2)),
    *[
        ("norm", lambda t, x, p=p: (t.linalg.norm(x, p), t.linalg.norm(x, p, keepdim=True)), A)
        for p in ("fro", "nuc", 1, -1, 2, -2, inf, -inf, None)
    ],
    *[
        ("norm", lambda t, x, p=p: (t.linalg.norm(x, p), t.linalg.norm(x, p, dim=0, keepdim=True)), F(5))
        for p in (0, 1, 2, 3, -1, inf, -inf, None)
    ],
    *[
        (
            "matrix_norm",
            lambda t, x, p=p: (
                t.linalg.matrix_norm(x, p),
                t.linalg.matrix_norm(x, p, dim=(1, 0), keepdim=True),
            ),
            B,
        )
        for p in ("fro", "nuc", 1, -1, 2, -2, inf, -inf)
    ],
    (
        "vector_norm",
        lambda t, x: (
            t.linalg.vector_norm(x),
            t.linalg.vector_norm(x, 3, (0, 2)),
            t.linalg.vector_norm(x, 1, 1, True),
        ),
        F(2, 3, 4),
    ),
    ("vector_norm", lambda t, x: t.linalg.vector_norm(x, dtype=t.float64), F(5, dtype="float32")),
    ("vector_norm", lambda t, x: t.linalg.vector_norm(x), I(3)),
    ("vector_norm", lambda t, x: t.linalg.vector_norm(x, inf), F(0)),
    ("vector_norm", lambda t, x: t.linalg.vector_norm(x), F(0)),
    ("matrix_norm", lambda t, x: t.linalg.matrix_norm(x), F(3)),
    ("matrix_norm", lambda t, x: t.linalg.matrix_norm(x, 3), A),
    ("matrix_norm", lambda t, x: t.linalg.matrix_norm(x, dim=(0, 0)), A),
    ("norm", lambda t, x: t.linalg.norm(x, 2), B),
    *[("cond", lambda t, x, p=p: t.linalg.cond(x, p), A) for p in (None, 2, -2)],
    *[("cond", lambda t, x, p=p: t.linalg.cond(x.detach(), p), A) for p in ("fro", "nuc", 1, -1, inf, -inf)],
    ("cond", lambda t, x: t.linalg.cond(x), TALL),
    ("cond", lambda t, x: t.linalg.cond(x.detach(), 1), SINGULAR),
    ("cond", lambda t, x: t.linalg.cond(x, 1), TALL),
    ("multi_dot", lambda t, *a: t.linalg.multi_dot(a), F(3, 4), F(4, 2), F(2, 7), F(7, 1)),
    ("multi_dot", lambda t, *a: t.linalg.multi_dot(a), F(4), F(4, 2), F(2)),
    ("multi_dot", lambda t, *a: t.linalg.multi_dot(a), F(4)),
    ("multi_dot", lambda t, *a: t.linalg.multi_dot(a), F(4, 2), F(3, 2)),
    ("chain_matmul", lambda t, *a: t.chain_matmul(*a), F(3, 4), F(4, 2), F(2, 7)),
    (
        "vecdot",
        lambda t, x, y: (t.linalg.vecdot(x, y), t.linalg.vecdot(x, y, dim=0)),
        F(3, 4),
        F(3, 4, seed=1),
    ),
    ("cross", lambda t, x, y: t.linalg.cross(x, y), F(2, 3), F(1, 3)),
    ("cross", lambda t, x, y: t.linalg.cross(x, y), F(2, 4), F(1, 4)),
    ("diagonal", lambda t, x: t.linalg.diagonal(x, offset=1), B),
    ("matmul", lambda t, x, y: t.linalg.matmul(x, y), A, F(4, 2)),
    ("tensorinv", lambda t, x: t.linalg.tensorinv(x), F(4, 6, 8, 3)),
    ("tensorinv", lambda t, x: t.linalg.tensorinv(x, ind=1), F(12, 3, 4)),
    ("tensorinv", lambda t, x: t.linalg.tensorinv(x), F(2, 3, 4)),
    ("tensorsolve", lambda t, a, b: t.linalg.tensorsolve(a, b), F(6, 2, 3), F(6)),
    (
        "tensorsolve",
        lambda t, a, b: t.linalg.tensorsolve(a, b, dims=(0, 2)),
        F(3, 4, 4, 3, 1)[..., 0].reshape(3, 4, 4, 3),
        F(4, 3),
    ),
    ("vander", lambda t, x: (t.linalg.vander(x), t.linalg.vander(x, N=4)), F(2, 3)),
    ("vander", lambda t, x: t.linalg.vander(x), I(3)),
    ("vander", lambda t, x: t.linalg.vander(x, N=1), F(3)),
    ("householder_product", lambda t, x, tau: t.linalg.householder_product(x, tau), TALL, F(3)),
    ("householder_product", lambda t, x, tau: t.orgqr(x, tau), F(2, 4, 3), F(2, 2)),
    ("householder_product", lambda t, x, tau: t.linalg.householder_product(x, tau), WIDE, F(3)),
    ("geqrf", lambda t, x: t.geqrf(x.detach()), TALL),
    ("ormqr", lambda t, x, tau, o: t.ormqr(x.detach(), tau.detach(), o.detach()), TALL, F(3), F(5, 2)),
    (
        "ormqr",
        lambda t, x, tau, o: t.ormqr(x.detach(), tau.detach(), o.detach(), False, True),
        TALL,
        F(3),
        F(2, 5),
    ),
    (
        "nuclear_norm",
        lambda t, x: (t.nuclear_norm(x), t.frobenius_norm(x, dim=(0, 1)), t.norm_except_dim(x, 2, 1)),
        A,
    ),
]


@table(CASES)
def test_same(case):
    name, call, *arguments = case
    both(call, *arguments, where=name, tol=1000)


def test_names():
    names = [n for n in dir(torch.linalg) if not n.startswith("_") and n not in ("common_notes",)]
    missing = [n for n in names if not hasattr(pynn.linalg, n)]
    assert not missing, missing


def test_eig_of_real_eigenvalues():
    x = pynn.tensor(S.tolist(), dtype=pynn.float64)
    values, vectors = pynn.linalg.eig(x)
    assert values.dtype == vectors.dtype == pynn.complex128  # as in PyTorch
    np.testing.assert_allclose((x.cdouble() @ vectors).numpy(), (vectors * values).numpy(), atol=1e-10)
    np.testing.assert_allclose(
        np.sort(pynn.linalg.eigvals(x).real.numpy()), torch.linalg.eigvals(torch.tensor(S)).real.sort().values
    )
    turned = pynn.linalg.eigvals(pynn.tensor([[0.0, -1.0], [1.0, 0.0]]))
    assert sorted(turned.tolist(), key=lambda z: z.imag) == [-1j, 1j]


def test_out():
    def call(t, x):
        out = t.empty(0, dtype=x.dtype)
        q, r = t.empty(0, dtype=x.dtype), t.empty(0, dtype=x.dtype)
        t.linalg.inv(x, out=out)
        t.linalg.eigh(x, out=(q, r))
        return out, q, r.abs()

    both(call, S, grad=False, tol=1000)
