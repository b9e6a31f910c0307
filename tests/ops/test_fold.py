"""unfold and fold, the pixel and channel shuffles."""

import itertools

import numpy as np
import pytest
from helpers import arr, check_op, raises, tensor, to_numpy

import pynn

F = pynn.nn.functional


def _pair(x):
    return (x, x) if isinstance(x, int) else x


def windows(shape, kernel, dilation=1, padding=0, stride=1):
    """For each window and tap the position in the padded image."""
    k, d, p, s = map(_pair, (kernel, dilation, padding, stride))
    count = [(shape[i] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2)]
    for tap, where in itertools.product(range(k[0] * k[1]), range(count[0] * count[1])):
        t, o = divmod(tap, k[1]), divmod(where, count[1])
        yield tap, where, o[0] * s[0] + t[0] * d[0], o[1] * s[1] + t[1] * d[1]


def unfold(x, kernel, **options):
    if x.ndim == 3:
        return unfold(x[None], kernel, **options)[0]
    p = _pair(options.get("padding", 0))
    padded = np.pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])])
    k = _pair(kernel)
    places = list(windows(x.shape[2:], kernel, **options))
    y = np.zeros((*x.shape[:2], k[0] * k[1], 1 + max(w for _, w, _, _ in places)))
    for tap, where, i, j in places:
        y[:, :, tap, where] = padded[:, :, i, j]
    return y.reshape(x.shape[0], -1, y.shape[-1])


def fold(col, size, kernel, **options):
    k, p = _pair(kernel), _pair(options.get("padding", 0))
    size = _pair(size)
    parts = col.reshape(col.shape[0], -1, k[0] * k[1], col.shape[-1])
    y = np.zeros((*parts.shape[:2], size[0] + 2 * p[0], size[1] + 2 * p[1]))
    for tap, where, i, j in windows(size, kernel, **options):
        y[:, :, i, j] += parts[:, :, tap, where]
    return y[:, :, p[0] : p[0] + size[0], p[1] : p[1] + size[1]]


OPTIONS = [{}, {"stride": 2, "padding": 1}, {"dilation": (1, 2), "padding": (0, 2), "stride": (2, 1)}]


@pytest.mark.parametrize("options", OPTIONS)
def test_unfold_and_fold(options):
    check_op(
        lambda x: F.unfold(x, (2, 3), **options), lambda x: unfold(x, (2, 3), **options), [arr(2, 3, 5, 6)]
    )
    check_op(lambda x: F.unfold(x, 2, **options), lambda x: unfold(x, 2, **options), [arr(2, 4, 5)])
    shape = F.unfold(pynn.ones(2, 3, 5, 6), (2, 3), **options).shape
    check_op(
        lambda c: F.fold(c, (5, 6), (2, 3), **options),
        lambda c: fold(c, (5, 6), (2, 3), **options),
        [arr(*shape)],
        tol=2,
    )


def test_unfold_is_convolution():
    x, w = tensor(arr(2, 3, 6, 5)), tensor(arr(4, 3, 2, 3))
    y = (w.view(4, -1) @ F.unfold(x, (2, 3))).view(2, 4, 5, 3)
    np.testing.assert_allclose(to_numpy(y), to_numpy(F.conv2d(x, w)), rtol=1e-12, atol=1e-12)


def test_errors():
    for call, kind, words in (
        (lambda: F.unfold(pynn.ones(2, 3, 4, 4), 5), RuntimeError, "must fit"),
        (lambda: F.unfold(pynn.ones(2, 3, 4, 4), 2, stride=0), RuntimeError, "stride"),
        (lambda: F.unfold(pynn.ones(2, 3, 4, 4), (2, 2, 2)), RuntimeError, "2 numbers"),
        (lambda: F.unfold(pynn.ones(2, 0, 4, 4), 2), RuntimeError, "not zero"),
        (lambda: F.unfold(pynn.ones(2, 3, 4, 4).int(), 2), NotImplementedError, "int32"),
        (lambda: F.fold(pynn.ones(2, 11, 9), 4, 2), RuntimeError, "divisible"),
        (lambda: F.fold(pynn.ones(2, 12, 8), 4, 2), RuntimeError, "sliding blocks, got 8"),
        (lambda: pynn.pixel_shuffle(pynn.ones(7, 3, 4), 2), RuntimeError, "divisible"),
        (lambda: pynn.pixel_shuffle(pynn.ones(3, 4), 2), RuntimeError, "3 dimensions"),
        (lambda: pynn.pixel_unshuffle(pynn.ones(2, 5, 4), 2), RuntimeError, "divisible"),
        (lambda: pynn.channel_shuffle(pynn.ones(2, 6, 3), 4), RuntimeError, "divisible"),
    ):
        with raises(kind, words):
            call()


def test_shuffles():
    check_op(
        lambda x: pynn.pixel_shuffle(x, 2),
        lambda x: x.reshape(2, 3, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 4, 6),
        [arr(2, 12, 2, 3)],
    )
    check_op(
        lambda x: pynn.channel_shuffle(x, 3),
        lambda x: x.reshape(2, 3, 2, 4).swapaxes(1, 2).reshape(2, 6, 4),
        [arr(2, 6, 4)],
    )
    for w in (11, 12, 13, 40):  # short and long runs of memory across rows of two
        x = arr(3, 8, 5, w)
        y = x.reshape(3, 2, 2, 2, 5, w).transpose(0, 1, 4, 2, 5, 3).reshape(3, 2, 10, 2 * w)
        for dtype in (pynn.float32, pynn.float64, pynn.bfloat16):
            assert pynn.pixel_shuffle(tensor(x, dtype), 2).equal(tensor(y, dtype))
            assert pynn.pixel_unshuffle(tensor(y, dtype), 2).equal(tensor(x, dtype))
    x = tensor(arr(2, 8, 3, 4))
    assert pynn.pixel_unshuffle(pynn.pixel_shuffle(x, 2), 2).equal(x)


@pytest.mark.parametrize("huge", [2**31, 2**53, 2**62, -(2**63)])
def test_huge_numbers(huge):
    """Refused, without overflow."""
    x, w = pynn.ones(1, 4, 4, 4), pynn.ones(4, 4, 2, 2)
    for call in (
        lambda: F.conv2d(x, w, stride=huge),
        lambda: F.conv2d(x, w, padding=huge),
        lambda: F.conv2d(x, w, dilation=huge),
        lambda: F.conv2d(x, w, groups=huge),
        lambda: F.conv_transpose2d(x, w, stride=huge),
        lambda: F.max_pool2d(x, huge),
        lambda: F.avg_pool2d(x, 2, huge),
        lambda: F.adaptive_avg_pool2d(x, huge),
        lambda: F.interpolate(x, huge),
        lambda: F.unfold(x, huge),
        lambda: F.fold(pynn.ones(1, 4, 9), huge, 2),
        lambda: pynn.pixel_shuffle(x[:, :0], huge),
        lambda: pynn.pixel_unshuffle(x[:, :, :0], huge),
        lambda: F.group_norm(x, huge),
    ):
        with pytest.raises(RuntimeError):
            call()


def test_scales_that_are_no_scales():
    x = pynn.ones(1, 1, 4, 4)
    for scale in (float("nan"), float("inf"), 1e-300, 1e300, -1.0):
        for mode in ("nearest", "bilinear", "bicubic"):
            assert pynn._C._nn.upsample(x, [3, 3], mode, False, False, scale, scale).shape == (1, 1, 3, 3)
            assert pynn._C._nn.upsample(x, [3, 3], mode, False, True, scale, scale).shape == (1, 1, 3, 3)
