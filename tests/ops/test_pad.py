"""pad: constant, reflected, replicated and circular, of one to three dims."""

import numpy as np
import pytest
from helpers import arr, check_op, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional
MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
SHAPES = [  # a row shorter and one longer than a vector; a batch, and none
    ((2, 2, 5), (4, 3)),
    ((3, 37), (0, 20)),
    ((2, 2, 3, 4), (0, 3, 2, 1)),
    ((2, 3, 19), (2, 1, 1, 2)),
    ((2, 1, 3, 2, 4), (1, 2, 1, 0, 2, 1)),
]


def widths(ndim, pads):
    pairs = list(zip(pads[::2], pads[1::2], strict=True))[::-1]
    return [(0, 0)] * (ndim - len(pairs)) + pairs


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape,pads", SHAPES)
def test_pad(mode, shape, pads):
    check_op(
        lambda x: F.pad(x, pads, mode),
        lambda x: np.pad(x, widths(x.ndim, pads), MODES[mode]),
        [arr(*shape)],
        ints="same",
        bools="same",
    )


def test_complex():
    x = (arr(2, 3, 4) + 1j * arr(2, 3, 4, seed=1)).astype(np.complex64)
    for mode in MODES:
        y = F.pad(tensor(x), (1, 2), mode)
        np.testing.assert_array_equal(y.numpy(), np.pad(x, widths(3, (1, 2)), MODES[mode]))
    leaf = tensor(x.astype(np.complex128)).requires_grad_()
    assert pynn.autograd.gradcheck(lambda t: F.pad(t, (1, 2), "reflect"), (leaf,))


@pytest.mark.parametrize(
    "pads", [(0, 0, 0, 0, 2, 1), (0, 0, 1, 2), (1, 2, 0, 0, 1, 1), (1, 1, 2, 0, 1, 0, 0, 3)]
)
def test_constant_of_outer_dims(pads):
    check_op(
        lambda x: F.pad(x, pads, value=2.5),
        lambda x: np.pad(x, widths(x.ndim, pads), constant_values=2.5),
        [arr(2, 3, 2, 3)],
    )


def test_cuts_and_fills():
    x = arr(3, 4)
    expected = np.pad(x[:1, 1:], ((1, 0), (0, 2)), constant_values=9)
    np.testing.assert_array_equal(to_numpy(F.pad(tensor(x), (-1, 2, 1, -2), value=9.0)), expected)
    leaf = tensor(x).requires_grad_()
    assert pynn.autograd.gradgradcheck(lambda t: F.pad(t, (-1, 2, 1, -2)) ** 2, (leaf,))
    assert F.pad(pynn.ones(2, dtype=pynn.int64), (1, 0), value=2**62 + 1).tolist() == [2**62 + 1, 1, 1]
    assert F.pad(pynn.ones(2), (-2, 4)).tolist() == [0] * 4
    assert F.pad(pynn.ones(0), (1, 1), value=3).tolist() == [3, 3]
    for alone in (pynn.ones(2), pynn.tensor(1.0)):
        y = F.pad(alone, ())
        assert y.equal(alone) and y.data_ptr() != alone.data_ptr()


def test_negative_pads_of_the_other_modes():
    x = pynn.arange(5.0).view(1, 5)
    assert F.pad(x, (-1, 2), "reflect").tolist() == [[1, 2, 3, 4, 3, 2]]
    assert F.pad(x, (-1, 2), "replicate").tolist() == [[1, 2, 3, 4, 4, 4]]
    assert F.pad(x, (-1, 2), "circular").tolist() == [
        [1, 2, 3, 4, 1, 2]
    ]  # what is cut off does not come back
    assert F.pad(x, (2, -2), "circular").tolist() == [[1, 2, 0, 1, 2]]
    leaf = x.double().requires_grad_()
    for mode in MODES:
        assert pynn.autograd.gradcheck(lambda t, m=mode: F.pad(t, (2, -3), m), (leaf,))


@pytest.mark.parametrize("mode", MODES)
def test_sizes_and_devices(mode):
    assert F.pad(pynn.ones(0, 3, 4), (2, 1), mode).shape == (0, 3, 7)
    leaf = pynn.ones(0, 3, 4, requires_grad=True)
    F.pad(leaf, (2, 1), mode).sum().backward()
    assert leaf.grad.shape == (0, 3, 4)
    leaf = pynn.empty(2, 3, 4, device="meta", requires_grad=True)
    y = F.pad(leaf, (2, 1), mode)
    y.sum().backward()
    assert y.shape == (2, 3, 7) and y.device.type == leaf.grad.device.type == "meta"
    with_nan = pynn.tensor([[float("nan"), 1.0, float("inf")]])
    assert same_bits(F.pad(with_nan, (1, 1), mode)[:, 1:-1].contiguous(), with_nan)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "shape,pads", [((1, 50_001), (3, 2)), ((7, 33, 81), (1, 2, 2, 1)), ((1, 70_000), (0, 9))]
)
def test_threads_share_rows(mode, shape, pads):
    """Chunks begin and end within rows."""
    x, found, threads = tensor(arr(*shape), pynn.float32), [], pynn.get_num_threads()
    if len(pads) == 4:
        x = x[None]
    for n in (1, 3):
        pynn.set_num_threads(n)
        leaf = x.clone().requires_grad_()
        y = F.pad(leaf, pads, mode)
        (y * y).sum().backward()
        found.append((y.detach(), leaf.grad))
    pynn.set_num_threads(threads)
    assert all(same_bits(a, b) for a, b in zip(*found, strict=True))
    np.testing.assert_array_equal(found[0][0].numpy(), np.pad(x.numpy(), widths(x.dim(), pads), MODES[mode]))


def test_dims():
    with raises(NotImplementedError, "pad", "2 numbers for 4 dims"):
        F.pad(pynn.ones(2, 3, 4, 4), (1, 1), "reflect")
    with raises(RuntimeError, "pad", "too small"):
        F.pad(pynn.ones(2, 4), (-2, -2), "reflect")


@pytest.mark.parametrize(
    "pads,mode,value,error,words",
    [
        ((1,), "constant", None, RuntimeError, "two numbers for each padded dim"),
        ((1, 1) * 3, "constant", None, RuntimeError, "got 6 numbers for 2 dims"),
        ((-5, 4), "constant", None, RuntimeError, "no more can be cut off"),
        ((-3, -2), "constant", None, RuntimeError, "must not get negative"),
        ((4, 0), "reflect", None, RuntimeError, "smaller than the size"),
        ((5, 0), "circular", None, RuntimeError, "wraps around once"),
        ((2**62, 1), "constant", None, RuntimeError, "too large"),
        ((2, -4), "circular", None, RuntimeError, "wraps around once"),
        ((1, 0), "mirror", None, NotImplementedError, "Unrecognised padding mode mirror"),
        ((1, 0), "reflect", 1.0, RuntimeError, "doesn't take in value argument"),
    ],
)
def test_pad_errors(pads, mode, value, error, words):
    with pytest.raises(error, match=words):
        F.pad(pynn.ones(3, 4), pads, mode, value)
