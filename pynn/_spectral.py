"""Short-time Fourier transforms: the spectra of overlapping frames of a signal, and the signal of such spectra."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor
from pynn.fft import _c2c, _c2r, _complex, _r2c, _resized

__all__ = ["istft", "stft"]

_NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied, which is known to cause spectral leakage. Other "
    "windows such as torch.hann_window or torch.hamming_window are recommended. To suppress this warning and use a "
    "rectangular window, explicitly set `window=torch.ones(n_fft)`."
)


def _warn(text: str) -> None:
    import warnings

    warnings.warn(text, UserWarning, stacklevel=3)


def _check(ok: bool, name: str, text: str) -> None:
    if not ok:
        raise RuntimeError(f"{name}: {text}")


def _window(name: str, window: Tensor | None, n_fft: int, length: int, dtype: Any, device: Any) -> Tensor:
    """Of n_fft elements: the given one in the middle of zeros."""
    _check(0 < length <= n_fft, name, f"expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is None:
        window = _C.ones(length, dtype=dtype, device=device)
    _check(
        tuple(window.shape) == (length,),
        name,
        f"expected a 1D window tensor of size equal to win_length={length}, but got window with size "
        f"{list(window.shape)}",
    )
    left = (n_fft - length) // 2
    return _C.cat(
        [
            _C.zeros(left, dtype=window.dtype, device=window.device),
            window,
            _C.zeros(n_fft - length - left, dtype=window.dtype, device=window.device),
        ]
    )


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The Fourier transforms of frames of the signal: [..., frequency, frame] complex. Same as torch.stft.

    Args:
        input: a signal [time] or a batch of them.
        n_fft: the length of a frame.
        hop_length: from frame to frame; None is n_fft // 4.
        win_length: of the window, which stands in the middle of the frame; None is n_fft.
        center: frames are centred on their time: the signal is padded by half a frame, as `pad_mode` says.
        normalized: divide by the root of n_fft.
        onesided: without the conjugates, for real signals the default.
        return_complex: must be given for real signals; False gives pairs of real numbers.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if window is None:
        _warn(_NO_WINDOW)
    complex_signal = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None:
        _check(
            complex_signal,
            "stft",
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release.",
        )
        return_complex = True
    if not return_complex and not complex_signal:
        _warn("stft with return_complex=False is deprecated (use torch.view_as_real on the complex output)")
    if onesided is None:
        onesided = not complex_signal
    _check(
        not (onesided and complex_signal),
        "stft",
        "Cannot have onesided output if window or input is complex",
    )
    _check(
        input.is_floating_point() or input.is_complex(),
        "stft",
        "expected a tensor of floating point or complex values",
    )
    _check(
        input.dim() in (1, 2),
        "stft",
        f"expected a 1D or 2D tensor, got {input.dim()} dims of sizes {list(input.shape)}",
    )
    _check(
        not (center and align_to_window is not None),
        "stft",
        "align_to_window should only be set when center = false",
    )
    batched = input.dim() == 2
    x = input if batched else input.unsqueeze(0)
    if center:
        from pynn.nn.functional import pad

        half = n_fft // 2
        x = pad(x.unsqueeze(1), [half, half], pad_mode).squeeze(1)
    _check(0 < n_fft <= x.size(1), "stft", f"expected 0 < n_fft <= {x.size(1)}, but got n_fft={n_fft}")
    _check(hop > 0, "stft", f"expected hop_length > 0, but got hop_length={hop}")
    frames = x.unfold(1, n_fft, hop)
    if window is not None or length < n_fft:
        frames = frames * _window("stft", window, n_fft, length, x.dtype, x.device)
    else:
        _window("stft", window, n_fft, length, x.dtype, x.device)
    norm = "ortho" if normalized else "backward"
    found = _r2c(frames, 2, norm) if onesided else _c2c(_complex(frames), (2,), True, norm)
    found = found.transpose(1, 2)
    found = found if batched else found.squeeze(0)
    return found if return_complex else _C.view_as_real(found)


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose stft this is, in the sense of least squares. Same as torch.istft.

    Raises:
        RuntimeError: the squares of the windows add up to 0 somewhere, so that the signal is not determined.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    if window is None:
        _warn(
            _NO_WINDOW.replace("which is known", "Please provide the same window used by stft; it is known")
        )
    _check(
        input.is_complex(),
        "istft",
        "istft requires a complex-valued input tensor matching the output from stft with return_complex=True.",
    )
    _check(input.numel() > 0, "istft", "input tensor cannot be empty.")
    _check(input.dim() in (2, 3), "istft", f"expected a tensor with 2 or 3 dimensions, but got {input.dim()}")
    if onesided is None:
        onesided = input.size(-2) != n_fft
    wanted = n_fft // 2 + 1 if onesided else n_fft
    _check(
        input.size(-2) == wanted,
        "istft",
        "expected the frequency dimension (3rd to the last) of the input tensor to match n_fft "
        f"{'/ 2 + 1 when onesided=True' if onesided else 'when onesided=False'}, but got {input.size(-2)}",
    )
    _check(0 < hop <= win_length, "istft", "expected 0 < hop_length <= win_length")
    complex_window = window is not None and window.is_complex()
    _check(
        not (onesided and (return_complex or complex_window)),
        "istft",
        "cannot have onesided output if window is complex, or return_complex=True",
    )
    _check(
        not complex_window or return_complex,
        "istft",
        "complex windows are incompatible with return_complex=False",
    )
    weights = _window("istft", window, n_fft, win_length, input.dtype.to_real(), input.device)
    batched = input.dim() == 3
    spectra = (input if batched else input.unsqueeze(0)).transpose(1, 2)
    norm = "ortho" if normalized else "backward"
    if return_complex:
        frames = _c2c(spectra, (2,), False, norm)
    else:
        frames = _c2r(spectra if onesided else spectra[..., : n_fft // 2 + 1], 2, n_fft, norm)
    count = frames.size(1)
    total = n_fft + hop * (count - 1)
    signal = _overlap_add(frames * weights, hop, total)
    squares = _overlap_add((weights * weights).expand(1, count, n_fft), hop, total)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    signal, squares = signal[:, start:end], squares[:, start:end]
    least = float(squares.abs().min()) if squares.numel() else 0.0
    _check(least > 1e-11, "istft", f"window overlap add min: {least} must be greater than 1e-11")
    signal = signal / squares
    if signal.size(1) < end - start:
        _warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center and hop_length settings."
        )
        signal = _resized(signal, 1, end - start)
    return signal if batched else signal.squeeze(0)


def _overlap_add(frames: Tensor, hop: int, total: int) -> Tensor:
    """[batch, frame, n] -> [batch, total], each frame `hop` behind the one before it."""
    batch, count, n = frames.shape
    at = (_C.arange(count).unsqueeze(1) * hop + _C.arange(n)).reshape(-1).to(frames.device)
    zeros = _C.zeros(batch, total, dtype=frames.dtype, device=frames.device)
    return zeros.index_add(1, at, frames.reshape(batch, count * n))
