"""clone, contiguous, copy_, fill_, to and the conversions between dtypes."""

import math

import numpy as np
import pytest
from helpers import (
    ALL_DTYPES,
    FLOATS,
    INTS,
    NUMPY_DTYPE,
    arr,
    arrs,
    check_op,
    ints,
    raises,
    same_bits,
    tensor,
    to_numpy,
)

import pynn

INF, NAN = math.inf, math.nan


def test_clone_and_contiguous():
    check_op(pynn.clone, lambda x: x, [arr(3, 4), arr(2, 1, 3)], ints="same", bools="same", elementwise=True)
    check_op(lambda x: x.t().contiguous(), lambda x: x.T, [arr(3, 4)], ints="same", bools="same")
    x = tensor(arr(3, 4))
    y = x.clone()
    assert y.data_ptr() != x.data_ptr() and same_bits(x, y)
    assert x.contiguous() is x
    t = x.t()
    assert t.clone().stride() == (1, 4)  # strides are preserved
    assert t.contiguous().stride() == (3, 1)
    assert x[:, ::2].clone().is_contiguous()
    assert x[:1].expand(3, 4).clone().stride() == (4, 1)


def test_detach_shares_and_clone_does_not():
    x = tensor(arr(3), requires_grad=True)
    assert x.detach().data_ptr() == x.data_ptr() and not x.detach().requires_grad
    assert x.clone().requires_grad and x.data.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("source", ALL_DTYPES)
def test_casts(source):
    values = arr(70, low=0, high=100) if source == pynn.uint8 else arr(70, low=-100, high=100)
    x = tensor(values > 0 if source == pynn.bool else values, source)
    for target in ALL_DTYPES:
        y = x.to(target)
        assert y.dtype == target
        if target == pynn.bool:
            expected = to_numpy(x) != 0
        elif target.is_floating_point:
            expected = to_numpy(x).astype(np.float64)
            if target == pynn.float16:
                expected = expected.astype(np.float16).astype(np.float64)
            elif target == pynn.float32:
                expected = expected.astype(np.float32).astype(np.float64)
        else:
            whole = (
                np.trunc(to_numpy(x)).astype(np.int64)
                if source.is_floating_point
                else to_numpy(x).astype(np.int64)
            )
            if target == pynn.uint8 and source.is_floating_point:
                continue  # negative floats to unsigned: undefined
            expected = whole.astype(NUMPY_DTYPE[target])
        if target == pynn.bfloat16:
            np.testing.assert_allclose(to_numpy(y), expected, rtol=2**-8)
        else:
            np.testing.assert_array_equal(to_numpy(y), expected)
        strided = x.repeat(2)[::2] if source != target else x
        assert strided.to(target).dtype == target


def test_halves_round_to_nearest_even():
    one = 1.0
    step16, step_b = 2.0**-10, 2.0**-7
    for dtype, step in ((pynn.float16, step16), (pynn.bfloat16, step_b)):
        x = pynn.tensor(
            [one + step / 2, one + 1.5 * step, one + step * 0.51, one + step * 0.49], dtype=pynn.float32
        )
        assert x.to(dtype).double().tolist() == [one, one + 2 * step, one + step, one], dtype
    wide = pynn.tensor([65504.0, 65519.0, 65520.0, 1e10, -1e10, 2.0**-24, 2.0**-25, 6e-8, NAN, INF])
    half = wide.to(pynn.float16).double().tolist()
    assert half[:8] == [65504.0, 65504.0, INF, INF, -INF, 2.0**-24, 0.0, 2.0**-24]
    assert math.isnan(half[8]) and half[9] == INF
    brain = pynn.tensor([3.3e38, NAN, INF, 1e-40]).to(pynn.bfloat16).float().tolist()
    assert brain[0] == pytest.approx(3.3e38, rel=0.01) and math.isnan(brain[1]) and brain[2] == INF
    # Every float16 survives the way through float32 and back.
    bits = np.arange(65536, dtype=np.uint16)
    every = pynn.from_numpy(bits.view(np.float16))
    back = every.float().half().numpy().view(np.uint16)
    nan = np.isnan(bits.view(np.float16))
    np.testing.assert_array_equal(back[~nan], bits[~nan])
    np.testing.assert_array_equal(every.float().numpy(), bits.view(np.float16).astype(np.float32))


def test_conversion_methods():
    x = pynn.tensor([1.5, -2.5])
    names = {
        "float": pynn.float32, "double": pynn.float64, "half": pynn.float16, "bfloat16": pynn.bfloat16,
        "int": pynn.int32, "long": pynn.int64, "short": pynn.int16, "char": pynn.int8, "bool": pynn.bool,
    }  # fmt: skip
    for name, dtype in names.items():
        assert getattr(x, name)().dtype == dtype, name
    assert x.abs().byte().dtype == pynn.uint8
    assert x.long().tolist() == [1, -2]  # towards zero
    assert x.bool().tolist() == [True, True] and pynn.tensor([NAN, 0.0, -0.0]).bool().tolist() == [
        True,
        False,
        False,
    ]
    assert x.float() is x and x.to(pynn.float32) is x
    assert x.type_as(pynn.zeros(1, dtype=pynn.int8)).dtype == pynn.int8


def test_to_forms():
    x = pynn.tensor([1.0, 2.0])
    assert x.to("cpu") is x and x.to(pynn.device("cpu")) is x and x.cpu() is x
    assert x.to("cpu", pynn.float64).dtype == pynn.float64
    assert x.to(device="cpu", dtype=pynn.int64).dtype == pynn.int64
    assert x.to(pynn.zeros(1, dtype=pynn.float16)).dtype == pynn.float16
    assert x.to(pynn.float32, copy=True) is not x
    assert x.to(pynn.float64, non_blocking=True).dtype == pynn.float64
    assert x.type(pynn.float64).dtype == pynn.float64
    with pytest.raises((TypeError, RuntimeError)):
        x.to("nonsense")
    with pytest.raises(TypeError):
        x.to({})


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradient_through_casts(dtype):
    x = pynn.tensor([1.0, 2.0, 3.0], dtype=dtype, requires_grad=True)
    for target in FLOATS:
        (g,) = pynn.autograd.grad((x.to(target) * 2).sum(), x)
        assert g.dtype == dtype and g.tolist() == [2.0] * 3
    assert not x.long().requires_grad


def test_copy_():
    x = pynn.zeros(2, 3)
    assert x.copy_(pynn.tensor([1, 2, 3])) is x and x.tolist() == [[1.0, 2.0, 3.0]] * 2
    x.t().copy_(pynn.arange(6).reshape(3, 2))
    assert x.tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]
    whole = pynn.zeros(3, dtype=pynn.int64)
    whole.copy_(pynn.tensor([1.9, -1.9, 2.0]))
    assert whole.tolist() == [1, -1, 2]
    with raises(RuntimeError, "copy_", "3", "2"):
        pynn.zeros(3).copy_(pynn.ones(2))
    with pytest.raises(TypeError):
        x.copy_([1.0])
    check_op(
        lambda a, b: (a * 1).copy_(b),
        lambda a, b: np.broadcast_to(b, a.shape),
        [arrs((3, 4), (4,)), arrs((2, 3), (2, 1))],
        ints="same",
    )
    y = pynn.zeros(2, 2)
    y.copy_(y)
    assert y.sum() == 0
    z = pynn.arange(4).reshape(2, 2)
    with raises(RuntimeError, "copy_", "overlap"):
        z.copy_(z.t())
    z[:, :1].copy_(z[:, 1:])  # other elements of the same memory
    assert z.tolist() == [[1, 1], [3, 3]]


def test_fill_and_zero():
    for dtype in ALL_DTYPES:
        x = pynn.empty(70, dtype=dtype)
        assert x.fill_(1) is x and bool((x == 1).all())
        assert x.zero_() is x and not bool(x.any())
        x[::3].fill_(1)
        assert int(x.to(pynn.int64).sum()) == 24
    x = pynn.zeros(2, dtype=pynn.int64)
    assert x.fill_(2.9).tolist() == [2, 2]
    assert x.fill_(pynn.tensor(7)).tolist() == [7, 7]
    with raises(RuntimeError, "fill_"):
        x.fill_(pynn.tensor([1, 2]))
    with pytest.raises(TypeError):
        x.fill_("a")
    check_op(lambda a: (a * 1).fill_(3.0), lambda a: np.full(a.shape, 3.0), [arr(3, 4)], gradgrad=False)


@pytest.mark.parametrize("dtype", INTS)
def test_fill_out_of_range(dtype):
    limit = pynn.iinfo(dtype).max
    x = pynn.zeros(1, dtype=dtype)
    with raises(RuntimeError, "fill_|overflow|range"):
        x.fill_(limit * 2 + 2 if dtype != pynn.int64 else 2.0**70)


def test_large_copies_of_every_layout():
    x = tensor(arr(64, 65, 33), pynn.float32)
    values = x.numpy()
    for axes in ((2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1)):
        np.testing.assert_array_equal(x.permute(axes).contiguous().numpy(), values.transpose(axes))
        np.testing.assert_array_equal(x.permute(axes).double().numpy(), values.transpose(axes).astype(float))
    np.testing.assert_array_equal(x[::2, 1::3, ::5].contiguous().numpy(), values[::2, 1::3, ::5])


def test_item_and_tolist():
    assert pynn.tensor(2.5).item() == 2.5 and isinstance(pynn.tensor(2).item(), int)
    assert pynn.tensor([[True]]).item() is True
    assert pynn.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]] and pynn.tensor(1.5).tolist() == 1.5
    assert pynn.empty(2, 0).tolist() == [[], []] and pynn.empty(0, 2).tolist() == []
    assert pynn.tensor([1.0, 2.0], dtype=pynn.bfloat16).tolist() == [1.0, 2.0]
    for bad in (pynn.ones(2), pynn.empty(0)):
        with raises(RuntimeError, "item"):
            bad.item()


@pytest.mark.parametrize("n", [1, 7, 15, 16, 17, 64, 1000])
@pytest.mark.parametrize(
    "dtype", [pynn.float32, pynn.float64, pynn.int16, pynn.uint8, pynn.bool, pynn.complex64]
)
def test_reversed_and_spread(n, dtype):
    a = ints(5, n, low=0, high=2)
    x = tensor(a, dtype)
    np.testing.assert_array_equal(to_numpy(x.flip(1)), to_numpy(x)[:, ::-1])
    np.testing.assert_array_equal(to_numpy(x.flip(0, 1)), to_numpy(x)[::-1, ::-1])
    column, one = x[:, :1], x[2, :1]
    np.testing.assert_array_equal(
        to_numpy(column.expand(5, n).contiguous()), np.repeat(to_numpy(column), n, 1)
    )
    np.testing.assert_array_equal(
        to_numpy(one.expand(300, n).contiguous()), np.full((300, n), to_numpy(one)[0])
    )
    for count in (1023, 1024, 5000):
        assert pynn.zeros(count, dtype=dtype).tolist() == [0] * count
        assert pynn.full((count,), 1, dtype=dtype).tolist() == [1] * count


@pytest.mark.parametrize("dtype", [pynn.uint8, pynn.int16, pynn.float32, pynn.float64, pynn.complex128])
def test_short_rows(dtype):
    """Rows are copied and reversed by blocks that overlap: every length up to two vectors and more."""
    for n in range(1, 140):
        array = ints(3, n + 2, low=0, high=100, seed=n)
        x = tensor(array).to(dtype)
        expected = x.numpy()
        np.testing.assert_array_equal(x[:, 1:-1].contiguous().numpy(), expected[:, 1:-1])
        np.testing.assert_array_equal(x[:, 1:-1].flip(1).numpy(), expected[:, -2:0:-1])
        np.testing.assert_array_equal(x.tril(n // 2).numpy(), np.tril(expected, n // 2))
        np.testing.assert_array_equal(x.triu(n // 2).numpy(), np.triu(expected, n // 2))


@pytest.mark.parametrize("dtype", [pynn.int16, pynn.float32, pynn.float64])
@pytest.mark.parametrize(
    "shape",
    [(16, 64, 14, 14), (20, 5, 35, 9), (5, 3, 9), (8, 2, 33, 8), (50, 7, 50), (9, 9, 9, 9), (4, 5), (7, 6)],
)
def test_transpositions(shape, dtype):
    x = tensor(ints(*shape, high=100)).to(dtype)
    for dims in ((0, -1), (0, 1), (-2, -1)):
        np.testing.assert_array_equal(x.transpose(*dims).contiguous().numpy(), np.swapaxes(x.numpy(), *dims))
    y = x.transpose(0, -1)
    np.testing.assert_array_equal((y + y.contiguous()).numpy(), 2 * np.swapaxes(x.numpy(), 0, -1))


@pytest.mark.parametrize(
    "source", [pynn.float64, pynn.float32, pynn.float16, pynn.int64, pynn.int32, pynn.int16]
)
def test_casts_of_what_does_not_fit(source):
    """Out of range, NaN and infinite: in registers as one by one, and narrower integers keep the low bits of int32."""
    if source.is_floating_point:
        values = [
            np.nan,
            np.inf,
            -np.inf,
            3e9,
            -3e9,
            2.0**31,
            -(2.0**31),
            2.0**63,
            1e30,
            300.7,
            -129.2,
            255.9,
            65504,
            -0.0,
        ]
    else:
        limits = np.iinfo(NUMPY_DTYPE[source])
        values = [limits.min, limits.max, limits.max - 255, 256, -129, 255, 128, -1, 0]
    x = pynn.tensor(values * 3, dtype=pynn.float64 if source.is_floating_point else pynn.int64).to(source)
    for target in (pynn.uint8, pynn.int8, pynn.int16, pynn.int32, pynn.int64, pynn.bool, pynn.float32):
        together, alone = x.to(target), [x[i].to(target).item() for i in range(len(x))]
        np.testing.assert_array_equal(to_numpy(together), np.array(alone, to_numpy(together).dtype))
        if target in (pynn.uint8, pynn.int8, pynn.int16):
            wide = to_numpy(x.to(pynn.int32 if source != pynn.int64 else pynn.int64))
            np.testing.assert_array_equal(to_numpy(together), wide.astype(NUMPY_DTYPE[target]))
