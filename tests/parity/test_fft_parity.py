"""torch.fft, stft and istft beside PyTorch: values, gradients, dtypes, errors; and linear algebra of complex matrices."""

import numpy as np
import pytest
from both_libraries import LIBS
from complex_helpers import both, crand, rand

import pynn

torch = pytest.importorskip("torch")

C, R = crand(3, 4, 5), rand(3, 4, 5)
NORMS = (None, "forward", "ortho")
TRANSFORMS = "fft ifft rfft irfft hfft ihfft"
WINDOW = np.hanning(9)[:-1] + 0.1


def test_names():
    names = [n for n in dir(torch.fft) if not n.startswith("_") and callable(getattr(torch.fft, n))]
    assert not [n for n in names if not hasattr(pynn.fft, n) and n != "Tensor"]


@pytest.mark.parametrize("name", TRANSFORMS.split())
@pytest.mark.parametrize("norm", NORMS)
def test_transforms(name, norm):
    for x in (C, R):
        for n in (None, 3, 6, 7):
            both(lambda t, a, n=n: getattr(t.fft, name)(a, n, norm=norm), x)
        both(lambda t, a: getattr(t.fft, name)(a, dim=1, norm=norm), x)
        both(lambda t, a: getattr(t.fft, name + "2")(a, norm=norm), x)
        both(lambda t, a: getattr(t.fft, name + "2")(a, (3, 4), (0, 2), norm), x)
        both(lambda t, a: getattr(t.fft, name + "n")(a, norm=norm), x)
        both(lambda t, a: getattr(t.fft, name + "n")(a, (2, 6), norm=norm), x)
        both(lambda t, a: getattr(t.fft, name + "n")(a, dim=(2, 0), norm=norm), x)


ERRORS = [
    *[lambda t, x, n=n: getattr(t.fft, n)(x, 0) for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n)(x, norm="foo") for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n)(x, dim=9) for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n + "n")(x, dim=()) for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n + "n")(x, dim=(1, 1)) for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n + "n")(x, (1, 2), (1,)) for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n)(x.half()) for n in TRANSFORMS.split() if n != "irfft" and n != "hfft"],
    *[lambda t, x, n=n: getattr(t.fft, n)(t.tensor([3, 1, 2])) for n in TRANSFORMS.split()],
    *[lambda t, x, n=n: getattr(t.fft, n)(t.tensor(1.0)) for n in TRANSFORMS.split()],
    lambda t, x: t.fft.fftn(x, (2, 2, 2, 2)),
    lambda t, x: t.fft.fft([1, 2]),
    lambda t, x: t.fft.fft(x.detach(), out=t.empty(0)),
    lambda t, x: t.fft.irfft(x.detach(), out=t.empty(0, dtype=t.complex64)),
    lambda t, x: (t.fft.fftfreq(5), t.fft.fftfreq(4, 0.5), t.fft.rfftfreq(5, dtype=t.float64), t.fft.fftfreq(0)),
    lambda t, x: t.fft.fftfreq(-1),
    lambda t, x: t.fft.fftfreq(4, dtype=t.int64),
    lambda t, x: (t.fft.fftshift(x), t.fft.fftshift(x, 1), t.fft.ifftshift(x, (0, 2)), t.fft.ifftshift(x)),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_arguments(number):
    both(ERRORS[number], R)


def test_second_derivatives():
    def twice(lib, array, f):
        x = lib.from_numpy(array.copy()).requires_grad_()
        (g,) = lib.autograd.grad(f(lib, x).abs().square().sum(), x, create_graph=True)
        (h,) = lib.autograd.grad((g * g).abs().sum(), x)
        return h.detach().numpy()

    for array, f in (
        (R, lambda t, x: t.fft.rfft(x)),
        (C, lambda t, x: t.fft.irfft(x * x, 7)),
        (C, lambda t, x: t.fft.fftn(x.sin())),
        (R, lambda t, x: t.fft.hfft(x.exp())),
        (R[0], lambda t, x: t.stft(x, 4, window=t.ones(4, dtype=t.float64), return_complex=True)),
    ):
        np.testing.assert_allclose(*(twice(lib, array, f) for lib in LIBS), rtol=1e-8, atol=1e-8)


def with_window(call):
    return lambda t, x, w: call(t, x, w.detach())


SHORT_TIME = [
    *[
        with_window(lambda t, x, w, k=k: t.stft(x, 8, window=w, return_complex=True, **k))
        for k in (
            {},
            {"hop_length": 3},
            {"center": False},
            {"normalized": True},
            {"onesided": False},
            {"pad_mode": "constant"},
            {"hop_length": 0},
            {"win_length": 9},
            {"onesided": True},
        )
    ],
    with_window(lambda t, x, w: t.stft(x, 8, window=w, return_complex=False)),
    with_window(lambda t, x, w: t.stft(x, 8, window=w)),
    with_window(lambda t, x, w: t.stft(x, 9, 2, 8, w, return_complex=True)),
    with_window(lambda t, x, w: x.stft(8, 3, 5, w[:5], return_complex=True)),
    with_window(lambda t, x, w: t.stft(x, 8, window=w * 1j)),
    with_window(lambda t, x, w: t.istft(t.stft(x, 8, window=w, return_complex=True), 8, window=w)),
    with_window(lambda t, x, w: t.istft(t.stft(x, 8, window=w, return_complex=True), 8, window=w, length=17)),
    with_window(lambda t, x, w: t.istft(t.stft(x, 8, window=w, return_complex=True), 8, window=w, length=50)),
    with_window(lambda t, x, w: t.istft(t.stft(x, 8, 3, window=w, return_complex=True), 8, 3, window=w)),
    with_window(
        lambda t, x, w: t.istft(
            t.stft(x, 8, 2, 6, w[:6], return_complex=True), 8, 2, 6, w[:6], normalized=True
        )
    ),
    with_window(
        lambda t, x, w: t.istft(
            t.stft(x, 8, window=w, onesided=False, return_complex=True), 8, window=w, return_complex=True
        )
    ),
    with_window(lambda t, x, w: t.istft(t.stft(x, 8, window=w, return_complex=True), 8, window=0 * w)),
]


@pytest.mark.parametrize("number", range(len(SHORT_TIME)))
def test_short_time(number):
    for x in (rand(24), rand(2, 24)):
        both(SHORT_TIME[number], x, WINDOW)
    both(SHORT_TIME[number], crand(24), WINDOW)


# -- Linear algebra -------------------------------------------------------------------------------------------------

A, B = crand(4, 4) + 3 * np.eye(4), crand(2, 3, 3) + 3 * np.eye(3)
TALL, WIDE = crand(5, 3), crand(3, 5)


def herm(x):
    return x @ x.mH


LINALG = {
    "inv": (lambda t, x: (t.linalg.inv(x), t.linalg.inv_ex(x).inverse), A, B),
    "det": (lambda t, x: (t.linalg.det(x), t.linalg.slogdet(x), t.logdet(x)), A, B),
    "solve": (lambda t, x: (t.linalg.solve(x, x[..., :2]), t.linalg.solve(x, x[..., :1, :], left=False)), A, B),
    "cholesky": (lambda t, x: (t.linalg.cholesky(herm(x)), t.linalg.cholesky(herm(x), upper=True)), A, B),
    "cholesky_solve": (lambda t, x: t.cholesky_solve(x, t.linalg.cholesky(herm(x)).detach()), A),
    "triangular": (lambda t, x: t.linalg.solve_triangular(x, x[..., :2], upper=True), A, B),
    "qr": (lambda t, x: [f(v) for v in t.linalg.qr(x) for f in (t.abs,)], A, B, TALL, WIDE),
    "lu": (lambda t, x: t.linalg.lu(x), A, B, TALL, WIDE),
    "lu_solve": (lambda t, x: [t.linalg.lu_solve(*t.linalg.lu_factor(x), x, adjoint=a, left=b) for a in (True, False) for b in (True, False)], A),
    "eigvalsh": (lambda t, x: (t.linalg.eigvalsh(herm(x)), t.linalg.eigh(herm(x)).eigenvectors.abs()), A, B),
    "eigh": (lambda t, x: t.linalg.eigh(herm(x), "U").eigenvalues, A),
    "eigvals": (lambda t, x: t.linalg.eigvals(x).abs().sort().values, A, B, rand(4, 4)),
    "svdvals": (lambda t, x: (t.linalg.svdvals(x), t.linalg.svd(x, full_matrices=False).S), A, B, TALL, WIDE),
    "svd": (lambda t, x: [v.abs() for v in t.linalg.svd(x, full_matrices=False)], A, B, TALL, WIDE),
    "pinv": (lambda t, x: t.linalg.pinv(x), A, TALL, WIDE),
    "pinv hermitian": (lambda t, x: t.linalg.pinv(herm(x), hermitian=True), A),
    "rank": (lambda t, x: (t.linalg.matrix_rank(x), t.linalg.cond(x)), A),
    "lstsq": (lambda t, x: t.linalg.lstsq(x, x[..., :2]).solution, A, TALL),
    "norms": (lambda t, x: [t.linalg.matrix_norm(x, p) for p in ("fro", "nuc", 1, -1, 2, -2, float("inf"))], A, TALL),
    "exp": (lambda t, x: t.linalg.matrix_exp(x / 3), A, B),
    "power": (lambda t, x: (t.linalg.matrix_power(x, 3), t.linalg.matrix_power(x, -2)), A, B),
    "multi_dot": (lambda t, x: t.linalg.multi_dot([x, x.H, x]), A),
    "cross": (lambda t, x: t.linalg.cross(x, x * x), crand(2, 3)),
    "householder": (lambda t, x: t.linalg.householder_product(x, x[0, :3]), TALL),
    "vander": (lambda t, x: t.linalg.vander(x), crand(3)),
    "singular": (lambda t, x: t.linalg.inv(x * 0), A),
    "not definite": (lambda t, x: t.linalg.cholesky(-herm(x)), A),
}  # fmt: skip


@pytest.mark.parametrize("name", LINALG)
def test_linalg(name):
    call, *arrays = LINALG[name]
    for x in arrays:
        both(call, x, precisions=(True,), where=name)


def test_eigenvectors():
    for x in (A, rand(4, 4)):
        t = pynn.from_numpy(x.copy()).requires_grad_()
        values, vectors = pynn.linalg.eig(t)
        assert values.dtype == vectors.dtype == pynn.complex128
        np.testing.assert_allclose(
            (t.to(vectors.dtype) @ vectors).detach().numpy(), (vectors * values).detach().numpy(), atol=1e-10
        )
        both(lambda t, a: t.linalg.eig(a).eigenvectors.abs().square().sum(0), x)

        def loss(a):
            values, vectors = pynn.linalg.eig(a)
            return (vectors.abs() * values.abs()).sum()

        assert pynn.autograd.gradcheck(loss, [t])
    assert pynn.autograd.gradgradcheck(lambda a: pynn.linalg.eigvals(a).abs().sum(), [t])
    ill = pynn.linalg.eig(pynn.from_numpy(A.copy()).requires_grad_()).eigenvectors
    with pytest.raises(RuntimeError, match="ill-defined"):
        ill.sum().real.backward()


def test_second_derivatives_of_linalg():
    x = pynn.from_numpy(A.copy()).requires_grad_()
    for f in (
        pynn.linalg.inv,
        pynn.linalg.det,
        lambda a: pynn.linalg.slogdet(a)[1],
        lambda a: pynn.linalg.solve(a, a[:, :2]),
        lambda a: pynn.linalg.eigvalsh(a @ a.H),
        pynn.linalg.svdvals,
        lambda a: pynn.linalg.cholesky(a @ a.H),
        lambda a: pynn.linalg.qr(a).R.abs(),
    ):
        assert pynn.autograd.gradcheck(f, [x])
        assert pynn.autograd.gradgradcheck(f, [x])
