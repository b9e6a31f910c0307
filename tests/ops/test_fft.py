"""pynn.fft against numpy.fft in complex128, with derivatives against finite differences; stft and istft."""

import numpy as np
import pytest
from helpers import arr, raises, tensor

import pynn
from pynn import fft
from pynn.autograd import gradcheck, gradgradcheck

NORMS = (None, "backward", "ortho", "forward")


def carr(*shape, seed=0):
    return arr(*shape, seed=seed) + 1j * arr(*shape, seed=seed + 50)


def leaf(a):
    return tensor(a, requires_grad=True)


def close(t, expected, limit=1e-12):
    assert t.is_complex() == np.iscomplexobj(expected), t.dtype
    assert tuple(t.shape) == np.shape(expected)
    np.testing.assert_allclose(t.detach().numpy(), expected, rtol=limit, atol=limit)


def check(name, x, *args, grad=True, **kwargs):
    fn, ref = getattr(fft, name), getattr(np.fft, name)
    other = {
        ("axis" if k == "dim" and np.isscalar(v) else "axes" if k == "dim" else k): v
        for k, v in kwargs.items()
    }
    expected = ref(x, *args, **other)
    close(fn(tensor(x), *args, **kwargs), expected)
    single = tensor(x).to(pynn.complex64 if np.iscomplexobj(x) else pynn.float32)
    found = fn(single, *args, **kwargs)
    assert found.dtype in (pynn.float32, pynn.complex64)
    close(found, expected.astype(np.complex64 if np.iscomplexobj(expected) else np.float32), 1e-4)
    if grad:
        assert gradcheck(lambda t: fn(t, *args, **kwargs), [leaf(x)], fast_mode=True)
        assert gradgradcheck(lambda t: fn(t, *args, **kwargs), [leaf(x)], fast_mode=True)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 3, 4, 5, 8])
def test_one_dim(n, norm):
    c, r = carr(2, 5), arr(2, 5)
    for name in ("fft", "ifft"):
        check(name, c, n, norm=norm)
        check(name, r, n, norm=norm)
        check(name, c.T.copy(), n, dim=0, norm=norm, grad=False)
    for name in ("rfft", "ihfft"):
        check(name, r, n, norm=norm)
        check(name, arr(4, 2), n, dim=0, norm=norm)
    for name in ("irfft", "hfft"):
        check(name, c, n, norm=norm)
        check(name, carr(4, 2), n, dim=0, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
def test_several_dims(norm):
    c, r = carr(2, 3, 4), arr(2, 3, 4)
    for name, x in (("fftn", c), ("ifftn", c), ("fftn", r), ("rfftn", r), ("irfftn", c)):
        check(name, x, norm=norm)
        check(name, x, (2, 5), dim=(0, 2), norm=norm)
        check(name, x, dim=(2, 0), norm=norm)
    for name, x in (("fft2", c), ("ifft2", c), ("rfft2", r), ("irfft2", c)):
        check(name, x, norm=norm)
        check(name, x, (4, 2), dim=(1, 0), norm=norm)
    # hfftn is fftn of the dims before the last, then hfft; ihfftn undoes it.
    expected = np.fft.hfft(np.fft.fftn(c, axes=(0, 1), norm=norm), axis=2, norm=norm)
    close(fft.hfftn(tensor(c), norm=norm), expected)
    close(fft.hfft2(tensor(c), norm=norm), np.fft.hfft(np.fft.fft(c, axis=1, norm=norm), axis=2, norm=norm))
    back = np.fft.ifftn(np.fft.ihfft(r, axis=2, norm=norm), axes=(0, 1), norm=norm)
    close(fft.ihfftn(tensor(r), norm=norm), back)
    for fn, x in ((fft.hfftn, c), (fft.ihfftn, r), (fft.hfft2, c), (fft.ihfft2, r)):
        assert gradcheck(lambda t, fn=fn: fn(t, norm=norm), [leaf(x)], fast_mode=True)
        assert gradgradcheck(lambda t, fn=fn: fn(t, norm=norm), [leaf(x)], fast_mode=True)


def test_inverses():
    x, z = tensor(arr(3, 7)), tensor(carr(3, 7))
    for norm in NORMS:
        close(fft.ifft(fft.fft(z, norm=norm), norm=norm), carr(3, 7))
        close(fft.ifftn(fft.fftn(z, norm=norm), norm=norm), carr(3, 7))
        close(fft.irfft(fft.rfft(x, norm=norm), 7, norm=norm), arr(3, 7))
        close(fft.irfftn(fft.rfftn(x, norm=norm), (3, 7), norm=norm), arr(3, 7))
        close(fft.hfft(fft.ihfft(x, norm=norm), 7, norm=norm), arr(3, 7))


def test_shapes_and_layouts():
    z = tensor(carr(4, 6))
    close(fft.fft(z.T), np.fft.fft(carr(4, 6).T))
    close(fft.fft(z[::2, 1:]), np.fft.fft(carr(4, 6)[::2, 1:]))
    close(fft.fftn(z, (-1, 3)), np.fft.fftn(carr(4, 6), (4, 3), axes=(0, 1)))
    close(fft.irfftn(z, (3, -1)), np.fft.irfftn(carr(4, 6), (3, 10), axes=(0, 1)))
    close(fft.fftn(z, s=2), np.fft.fft(carr(4, 6), 2))
    assert fft.fftn(pynn.tensor(2.0)).item() == 2
    assert tuple(fft.fft(pynn.ones(0, 3)).shape) == (0, 3)
    assert fft.fft(pynn.tensor([1, 2, 3])).dtype == pynn.complex64
    assert fft.fft(pynn.tensor([True, False])).tolist() == [1, 1]


def test_out():
    x = tensor(arr(3, 4))
    for name in ("fft", "rfft", "ihfft", "fftn", "rfft2"):
        out = pynn.empty(0, dtype=pynn.complex128)
        assert getattr(fft, name)(x, out=out) is out
        assert pynn.equal(out, getattr(fft, name)(x))
    with raises(RuntimeError, "expects a complex output tensor"):
        fft.fft(x, out=pynn.empty(0))
    with raises(RuntimeError, "expects a floating point output tensor"):
        fft.irfft(x, out=pynn.empty(0, dtype=pynn.complex64))


def test_frequencies():
    for n in (1, 2, 5, 8):
        for d in (1.0, 0.25):
            close(fft.fftfreq(n, d, dtype=pynn.float64), np.fft.fftfreq(n, d))
            close(fft.rfftfreq(n, d, dtype=pynn.float64), np.fft.rfftfreq(n, d))
    assert fft.fftfreq(4).dtype == pynn.float32 and fft.fftfreq(4, requires_grad=True).requires_grad
    x = arr(4, 5)
    for dim in (None, 0, 1, (0, 1), (1,)):
        close(fft.fftshift(tensor(x), dim), np.fft.fftshift(x, dim))
        close(fft.ifftshift(tensor(x), dim), np.fft.ifftshift(x, dim))
    with raises(RuntimeError, "floating point or complex"):
        fft.fftfreq(4, dtype=pynn.int64)


def test_errors():
    x, c = pynn.ones(2, 3), pynn.ones(2, 3, dtype=pynn.complex64)
    for call, kind, words in (
        (lambda: fft.fft(pynn.tensor(1.0)), IndexError, "no dimensions"),
        (lambda: fft.fft(x, 0), RuntimeError, r"Invalid number of data points \(0\)"),
        (lambda: fft.fft(x, norm="foo"), RuntimeError, 'Invalid normalization mode: "foo"'),
        (lambda: fft.rfft(c), RuntimeError, "expects a real input tensor"),
        (lambda: fft.ihfft(c), RuntimeError, "expects a real input tensor"),
        (lambda: fft.fft(x.half()), RuntimeError, "Unsupported dtype"),
        (lambda: fft.irfft(x[:, :1]), RuntimeError, r"data points \(0\)"),
        (lambda: fft.fft(x, dim=7), IndexError, "out of range"),
        (lambda: fft.fftn(x, (2, 2), (0,)), RuntimeError, "same length"),
        (lambda: fft.fftn(x, (2, 2, 2)), RuntimeError, "Got shape with 3 values"),
        (lambda: fft.fftn(x, dim=(0, -2)), RuntimeError, "must be unique"),
        (lambda: fft.rfftn(x, dim=()), RuntimeError, "at least one axis"),
        (lambda: fft.fft([1, 2]), TypeError, "must be Tensor"),
        (lambda: fft.fft2(x[0]), IndexError, "out of range"),
    ):
        with raises(kind, words):
            call()


# -- Short-time transforms ------------------------------------------------------------------------------------------


def frames_by_hand(x, window, n_fft, hop):
    padded = np.pad(x, n_fft // 2, mode="reflect")
    count = (len(padded) - n_fft) // hop + 1
    return np.stack([np.fft.rfft(padded[i * hop : i * hop + n_fft] * window) for i in range(count)], 1)


def test_stft():
    x, window = arr(40), np.hanning(8) + 0.1
    for hop in (1, 2, 3, None):
        found = pynn.stft(tensor(x), 8, hop, window=tensor(window), return_complex=True)
        close(found, frames_by_hand(x, window, 8, hop or 2))
    short = np.concatenate([[0], window[:5], [0, 0]])
    close(
        pynn.stft(tensor(x), 8, 2, 5, tensor(window[:5]), return_complex=True), frames_by_hand(x, short, 8, 2)
    )
    t = tensor(x)
    full = t.stft(8, 2, window=tensor(window), onesided=False, return_complex=True)
    close(full[:5], frames_by_hand(x, window, 8, 2))
    close(full[5:], frames_by_hand(x, window, 8, 2)[1:4][::-1].conj())
    both = pynn.stft(tensor(np.stack([x, x])), 8, window=tensor(window), return_complex=True)
    close(both[1], frames_by_hand(x, window, 8, 2))
    with pytest.warns(UserWarning, match="return_complex=False"):
        pairs = t.stft(8, 2, window=tensor(window), return_complex=False)
    assert pairs.shape[-1] == 2
    with pytest.warns(UserWarning, match="window was not provided"):
        t.stft(8, return_complex=True)


def test_istft():
    window = tensor(np.hanning(9)[:-1] + 0.05)
    for batch in ((), (3,)):
        x = tensor(arr(*batch, 48))
        for kwargs in ({}, {"normalized": True}, {"center": False}, {"onesided": False}):
            spectrum = x.stft(8, 2, window=window, return_complex=True, **kwargs)
            close(spectrum.istft(8, 2, window=window, **kwargs), arr(*batch, 48), 1e-10)
    spectrum = x.stft(8, 2, window=window, return_complex=True)
    assert spectrum.istft(8, 2, window=window, length=30).shape[-1] == 30
    with pytest.warns(UserWarning, match="shorter"):
        assert spectrum.istft(8, 2, window=window, length=60).shape[-1] == 60
    z = tensor(carr(40))
    back = z.stft(8, 2, window=window).istft(8, 2, window=window, return_complex=True)
    close(back, carr(40), 1e-10)


def test_short_time_gradients():
    window = tensor(np.hanning(5)[:-1] + 0.1)

    def there(x):
        return pynn.stft(x, 4, 2, window=window, return_complex=True)

    def back(z):
        return pynn.istft(z, 4, 2, window=window)

    assert gradcheck(there, [leaf(arr(2, 10))]) and gradgradcheck(there, [leaf(arr(2, 10))])
    assert gradcheck(back, [leaf(carr(3, 4))]) and gradgradcheck(back, [leaf(carr(3, 4))])


def test_short_time_errors():
    x, w = pynn.ones(10), pynn.ones(4)
    z = pynn.ones(3, 5, dtype=pynn.complex64)
    for call, words in (
        (lambda: pynn.stft(x, 4, window=w), "return_complex parameter be given"),
        (lambda: pynn.stft(x, 20, window=pynn.ones(20), center=False, return_complex=True), "n_fft"),
        (lambda: pynn.stft(x, 4, 0, window=w, return_complex=True), "hop_length > 0"),
        (lambda: pynn.stft(x, 4, win_length=5, window=w, return_complex=True), "win_length <= n_fft"),
        (lambda: pynn.stft(x, 4, window=pynn.ones(3), return_complex=True), "size equal to win_length"),
        (lambda: pynn.stft(x.long(), 4, window=w, return_complex=True), "floating point or complex"),
        (lambda: pynn.stft(x + 0j, 4, window=w, onesided=True), "onesided"),
        (lambda: pynn.stft(pynn.ones(2, 3, 4), 4, window=w, return_complex=True), "1D or 2D"),
        (lambda: pynn.istft(pynn.ones(3, 5), 4, window=w), "complex-valued"),
        (lambda: pynn.istft(z[:2], 4, window=w), "frequency dimension"),
        (lambda: pynn.istft(z, 4, window=0 * w), "overlap add min"),
    ):
        with raises(RuntimeError, words):
            call()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_without_numpys_ufuncs(monkeypatch, norm, n):
    """NumPy before 2.0 has no such functions; results are the same."""
    x = pynn.randn(3, n, dtype=pynn.float64)
    z = pynn.complex(x, x.flip(0))
    half = fft.rfft(x)

    def all_of():
        return [
            fft.rfft(x, norm=norm),
            fft.fft2(z, norm=norm),
            fft.ifft2(z, norm=norm),
            fft.irfft(half, n, norm=norm),
        ]

    want = all_of()
    monkeypatch.setattr(fft, "_ufuncs", lambda: None)
    for a, b in zip(all_of(), want, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)


def test_single_precision():
    """float32 is transformed as such, with its rounding, also of numbers of points that are no powers of 2."""
    for n in 8, 60, 97, 1000:
        x = pynn.randn(5, n)
        for f in pynn.fft.fft, pynn.fft.ifft, pynn.fft.rfft:
            y, want = f(x), f(x.double())
            assert y.dtype == pynn.complex64
            scale = np.abs(want.numpy()).max()
            np.testing.assert_allclose(y.numpy() / scale, want.numpy() / scale, atol=1e-6)
        np.testing.assert_allclose(pynn.fft.irfft(pynn.fft.rfft(x), n).numpy(), x.numpy(), atol=1e-5)
