"""Making tensors: from data, filled, ranges, like others."""

import math

import numpy as np
import pytest
from helpers import ALL_DTYPES, FLOATS, INTS, raises, same_bits, tensor

import pynn


def test_tensor_infers_dtype():
    assert pynn.tensor(1).dtype == pynn.int64 and pynn.tensor(1).shape == ()
    assert pynn.tensor(1.0).dtype == pynn.float32
    assert pynn.tensor(True).dtype == pynn.bool
    assert pynn.tensor([1, 2.5]).dtype == pynn.float32
    assert pynn.tensor([True, 2]).dtype == pynn.int64
    assert pynn.tensor([]).dtype == pynn.float32 and pynn.tensor([]).shape == (0,)
    assert pynn.tensor([[], []]).shape == (2, 0)
    assert pynn.tensor([[1, 2], [3, 4]]).shape == (2, 2)
    assert pynn.tensor((1, 2)).tolist() == [1, 2] and pynn.tensor(range(3)).tolist() == [0, 1, 2]
    assert pynn.tensor(np.float64(2)).dtype == pynn.float64
    assert pynn.tensor([np.float32(1), np.float32(2)]).tolist() == [1.0, 2.0]
    assert pynn.tensor(np.arange(3, dtype=np.int16)).dtype == pynn.int16
    assert pynn.tensor([pynn.tensor(1.0), pynn.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert pynn.tensor(2**40).item() == 2**40
    pynn.set_default_dtype(pynn.float64)
    assert pynn.tensor([1.0]).dtype == pynn.float64 and pynn.zeros(1).dtype == pynn.float64


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_tensor_with_dtype(dtype):
    x = pynn.tensor([0, 1, 1], dtype=dtype)
    assert x.dtype == dtype and x.double().tolist() == [0.0, 1.0, 1.0]
    assert pynn.tensor([0.0, 1.0], dtype=dtype).dtype == dtype
    assert pynn.tensor([False, True], dtype=dtype).dtype == dtype
    assert pynn.tensor([[[1]]], dtype=dtype).shape == (1, 1, 1)


def test_tensor_copies_and_requires_grad():
    a = np.ones(3)
    x = pynn.tensor(a)
    a[0] = 5
    assert x[0] == 1
    leaf = pynn.tensor([1.0, 2.0], requires_grad=True)
    assert leaf.requires_grad and leaf.is_leaf
    with pytest.warns(UserWarning):
        assert not pynn.tensor(leaf).requires_grad
    with raises(RuntimeError, "(?i)float"):
        pynn.tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ([[1, 2], [3]], ValueError, "(?i)tensor.*length|expected sequence of length"),
        ([1, [2]], (ValueError, TypeError), ""),
        ([[1], 2], (ValueError, TypeError), ""),
        (["a"], (TypeError, ValueError), ""),
        ([None], (TypeError, RuntimeError), ""),
        (None, RuntimeError, ""),
        ("text", (TypeError, ValueError), ""),
        ([2**70], (RuntimeError, OverflowError, ValueError), ""),
        (object(), (TypeError, RuntimeError), ""),
        ({1: 2}, (TypeError, RuntimeError, KeyError), ""),
        (np.array(["a"]), TypeError, ""),
        (np.array([object()]), TypeError, ""),
    ],
    ids=lambda x: type(x).__name__,
)
def test_tensor_of_bad_data(data, kind, words):
    with raises(kind, words):
        pynn.tensor(data)


def test_self_containing_list_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises((ValueError, RecursionError, RuntimeError, TypeError)):
        pynn.tensor(loop)


def test_as_tensor():
    a = np.arange(3.0)
    x = pynn.as_tensor(a)
    a[0] = 9
    assert x[0] == 9  # shares
    assert pynn.as_tensor(x) is x and pynn.as_tensor(x, dtype=pynn.float32) is not x
    assert pynn.as_tensor([1, 2]).dtype == pynn.int64 and pynn.as_tensor(2.5).item() == 2.5
    assert pynn.asarray(a).data_ptr() == x.data_ptr()
    assert pynn.is_tensor(x) and not pynn.is_tensor(a)


FILLED = {"zeros": 0, "ones": 1}


@pytest.mark.parametrize("name", FILLED)
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_filled(name, dtype):
    op, value = getattr(pynn, name), FILLED[name]
    for x in (
        op(2, 3, dtype=dtype),
        op((2, 3), dtype=dtype),
        op([2, 3], dtype=dtype),
        op(pynn.Size([2, 3]), dtype=dtype),
    ):
        assert x.shape == (2, 3) and x.dtype == dtype and bool((x == value).all()) and x.is_contiguous()
    assert op((), dtype=dtype).shape == () and op(0, dtype=dtype).shape == (0,) and op(2, 0, 3).numel() == 0
    like = getattr(pynn, name + "_like")(op(2, 3, dtype=dtype))
    assert like.dtype == dtype and bool((like == value).all())
    assert getattr(like, "new_" + name)(4).dtype == dtype and getattr(like, "new_" + name)((4, 1)).shape == (
        4,
        1,
    )
    assert getattr(pynn, name + "_like")(like, dtype=pynn.int8).dtype == pynn.int8


def test_full():
    assert pynn.full((2, 2), 3).dtype == pynn.int64 and pynn.full((2,), 2.5).dtype == pynn.float32
    assert pynn.full((1,), True).dtype == pynn.bool and pynn.full((), 7).item() == 7
    assert pynn.full([2], 1, dtype=pynn.float16).dtype == pynn.float16
    assert pynn.full_like(pynn.ones(2), 7).tolist() == [7.0, 7.0]
    assert pynn.ones(1).new_full((2, 2), 5).tolist() == [[5.0, 5.0], [5.0, 5.0]]
    assert pynn.full((2,), math.nan).isnan().all() and pynn.full((1,), math.inf).item() == math.inf
    with pytest.raises(TypeError):
        pynn.full((2,))
    with pytest.raises(TypeError):
        pynn.full((2,), "a")


def test_empty_and_layout_of_like():
    assert pynn.empty(2, 3).shape == (2, 3) and pynn.empty((0,)).numel() == 0
    t = pynn.ones(2, 3).t()
    assert pynn.empty_like(t).stride() == (1, 3) and pynn.zeros_like(t).stride() == (1, 3)
    assert pynn.zeros_like(pynn.ones(1).expand(3, 4)).stride() == (4, 1)
    assert pynn.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert pynn.ones(1).new_empty(3).shape == (3,)


def test_new_tensor():
    x = pynn.ones(2, dtype=pynn.float64)
    assert x.new_tensor([1.0, 2.0]).dtype == x.new_tensor([1, 2]).dtype == pynn.float64
    assert x.new_tensor([1, 2], dtype=pynn.int8).tolist() == [1, 2]
    assert x.new_zeros(2, dtype=pynn.int8).dtype == pynn.int8


ARANGES = [
    (5,),
    (0,),
    (2, 7),
    (7, 2, -1),
    (1, 2, 0.25),
    (0.5,),
    (-3, 3),
    (0, 10, 3),
    (5, 0, -2),
    (3, 3),
    (1.5, 4),
]


@pytest.mark.parametrize("args", ARANGES, ids=str)
def test_arange(args):
    x = pynn.arange(*args)
    assert x.dtype == (pynn.int64 if all(isinstance(a, int) for a in args) else pynn.float32)
    np.testing.assert_allclose(x.numpy(), np.arange(*args), rtol=1e-6)
    for dtype in (pynn.float64, pynn.int32, pynn.float16):
        if dtype == pynn.int32 and x.dtype != pynn.int64:
            continue
        assert pynn.arange(*args, dtype=dtype).tolist() == np.arange(*args).tolist()


def test_arange_edges():
    assert pynn.arange(start=1, end=4).tolist() == [1, 2, 3]
    assert pynn.arange(0, 1, 0.1, dtype=pynn.float64).shape == (10,)
    assert pynn.arange(2**40, 2**40 + 2).tolist() == [2**40, 2**40 + 1]
    assert pynn.arange(100_000)[-1].item() == 99_999
    for bad in ((1, 2, 0), (1, 5, -1), (5, 1), (0, math.nan), (0, math.inf)):
        with raises(RuntimeError, "arange"):
            pynn.arange(*bad)
    with pytest.raises(TypeError):
        pynn.arange("a")
    with pytest.raises(TypeError):
        pynn.arange()


@pytest.mark.parametrize(
    ("start", "end", "steps"), [(0, 1, 5), (-2, 3, 1), (3, -3, 7), (0, 1, 0), (1, 1, 3), (0, 10, 2)]
)
def test_linspace_logspace(start, end, steps):
    for dtype in (pynn.float32, pynn.float64):
        x = pynn.linspace(start, end, steps, dtype=dtype)
        assert x.dtype == dtype
        np.testing.assert_allclose(x.numpy(), np.linspace(start, end, steps), rtol=1e-6, atol=1e-7)
        if steps > 1:
            assert x[0] == start and x[-1] == end  # exactly
        y = pynn.logspace(start, end, steps, dtype=dtype)
        np.testing.assert_allclose(y.numpy(), np.logspace(start, end, steps), rtol=2e-5)
    assert pynn.logspace(0, 3, 4, base=2.0).tolist() == [1.0, 2.0, 4.0, 8.0]
    with raises(RuntimeError, "linspace"):
        pynn.linspace(0, 1, -1)


def test_linspace_of_integers():
    assert pynn.linspace(0, 10, 5, dtype=pynn.int64).tolist() == [0, 2, 5, 7, 10]
    x = pynn.linspace(0, 1, 101)
    assert x[50].item() == 0.5


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_eye(dtype):
    for args in ((3,), (2, 4), (4, 2), (0,), (0, 3)):
        x = pynn.eye(*args, dtype=dtype)
        assert x.dtype == dtype
        np.testing.assert_array_equal(x.double().numpy(), np.eye(*args))
    with raises(RuntimeError, "eye.*-1"):
        pynn.eye(-1)


@pytest.mark.parametrize("op", [pynn.zeros, pynn.ones, pynn.empty, pynn.rand, pynn.randn])
def test_bad_sizes(op):
    for bad in ((-1,), (2, -3)):
        with raises(RuntimeError, str(bad[-1])):
            op(*bad)
    for bad in ((2.5,), ("a",), (None,), ((2, "a"),), ([2.5],), ({},)):
        with pytest.raises(TypeError):
            op(*bad)
    with pytest.raises(TypeError):
        op(2, dtype="float32")
    with pytest.raises(TypeError):
        op(2, nonsense=1)
    for huge in ((2**62, 2**3), (2**31, 2**31, 2**31), (2**63 - 1,), (2**60,)):
        with pytest.raises((RuntimeError, MemoryError)):
            op(*huge)
    with pytest.raises((RuntimeError, OverflowError, TypeError)):
        op(2**64)


def test_requires_grad_argument():
    for x in (
        pynn.zeros(2, requires_grad=True),
        pynn.rand(2, requires_grad=True),
        pynn.eye(2, requires_grad=True),
    ):
        assert x.requires_grad and x.is_leaf and x.grad_fn is None
    with raises(RuntimeError, "(?i)float"):
        pynn.zeros(2, dtype=pynn.int64, requires_grad=True)


def test_device_and_out():
    assert pynn.zeros(2, device="cpu").device == pynn.device("cpu")
    out = pynn.empty(2, 3)
    assert pynn.ones(2, 3, out=out) is out and out.sum() == 6
    assert pynn.arange(3, out=pynn.empty(0, dtype=pynn.int64)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [*FLOATS, *INTS])
def test_info(dtype):
    if dtype.is_floating_point:
        info = pynn.finfo(dtype)
        one = pynn.ones((), dtype=dtype)
        assert (one + info.eps > one) and (one + info.eps / 4 == one)
        assert info.max == pynn.tensor(info.max, dtype=dtype).item() and info.min == -info.max
        assert info.tiny == info.smallest_normal and info.bits == one.element_size() * 8
    else:
        info = pynn.iinfo(dtype)
        assert (
            pynn.tensor(info.max, dtype=dtype).item() == info.max
            and info.bits == pynn.ones(1, dtype=dtype).itemsize * 8
        )
        assert info.min == (0 if dtype == pynn.uint8 else -info.max - 1)


def test_legacy_constructors():
    assert pynn.Tensor(2, 3).shape == (2, 3) and pynn.Tensor([1, 2]).dtype == pynn.float32
    assert pynn.Tensor().shape == (0,) and pynn.FloatTensor([1, 2]).tolist() == [1.0, 2.0]
    assert pynn.LongTensor([1, 2]).dtype == pynn.int64
    assert isinstance(pynn.ones(1), pynn.Tensor)


def test_from_numpy_and_back_are_the_same_memory():
    a = np.arange(6.0).reshape(2, 3)
    x = pynn.from_numpy(a)
    x[0, 0] = 42
    assert a[0, 0] == 42 and same_bits(x, tensor(a))
