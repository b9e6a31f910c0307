"""Sharing memory with NumPy and others: from_numpy, numpy(), __array__, buffers, DLPack."""

import ctypes
import gc
import weakref

import numpy as np
import pytest
from helpers import ALL_DTYPES, INTS, NUMPY_DTYPE, arr, raises, tensor

import pynn

SHARED = [d for d in ALL_DTYPES if d != pynn.bfloat16]


@pytest.mark.parametrize("dtype", SHARED)
def test_from_numpy_and_numpy_share(dtype):
    a = np.array([[0, 1, 1], [1, 0, 1]], NUMPY_DTYPE[dtype])
    x = pynn.from_numpy(a)
    assert x.dtype == dtype and x.data_ptr() == a.ctypes.data
    x[0, 0] = 1
    assert a[0, 0] == 1
    b = x.numpy()
    assert b.dtype == a.dtype and b.ctypes.data == a.ctypes.data
    b[1, 1] = 1
    assert x[1, 1] == 1
    x.t_()
    assert x.numpy().shape == (3, 2) and a.shape == (2, 3)


def test_strides_of_numpy():
    a = np.arange(24.0).reshape(4, 6)
    for view in (a.T, a[1:3, ::2], a[:, 3], a[::2].T, np.broadcast_to(a[0], (3, 6)), a[2, 3, None], a[:0]):
        x = pynn.from_numpy(view) if view.flags.writeable else pynn.as_tensor(view.copy())
        np.testing.assert_array_equal(x.numpy(), view)
    x = pynn.arange(24.0).reshape(4, 6)
    for view in (x.t(), x[1:, ::2], x[:1].expand(4, 6), x.permute(1, 0)[2]):
        n = view.numpy()
        assert n.ctypes.data == view.data_ptr() and n.strides == tuple(s * 4 for s in view.stride())
    with raises(ValueError, "(?i)negative|stride"):
        pynn.from_numpy(a[::-1])


def test_lifetimes():
    a = np.ones(1000)
    ref = weakref.ref(a)
    x = pynn.from_numpy(a)
    del a
    gc.collect()
    assert ref() is not None and x.sum() == 1000
    view = x[5:].view(-1)
    del x
    gc.collect()
    assert ref() is not None and view.sum() == 995
    del view
    gc.collect()
    assert ref() is None
    n = pynn.ones(1000).numpy()  # the tensor is gone, its memory is not
    junk = [pynn.zeros(1000) for _ in range(10)]
    assert n.sum() == 1000 and len(junk) == 10


def test_read_only_arrays():
    a = np.ones(3)
    a.flags.writeable = False
    with pytest.warns(UserWarning, match="(?i)writ"):
        x = pynn.from_numpy(a)
    assert x.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "bad",
    [[1.0], 3, None, "text", np.float64(1), np.array(["a"]), np.array([object()]), np.zeros(2, "M8[s]")],
    ids=lambda x: type(x).__name__,
)
def test_from_numpy_of_others(bad):
    with pytest.raises(TypeError):
        pynn.from_numpy(bad)


def test_byte_order_and_alignment():
    with raises((ValueError, TypeError), "(?i)byte|order|dtype|endian"):
        pynn.from_numpy(np.ones(2, ">f4"))
    raw = np.zeros(17, np.uint8)
    crooked = raw[1:].view(np.float32)
    try:
        x = pynn.from_numpy(crooked)
    except ValueError:
        return  # refusing is fine; reading wrongly is not
    x.fill_(2.0)
    assert (x + 1).tolist() == [3.0] * 4 and crooked.tolist() == [2.0] * 4


def test_array_protocol():
    x = pynn.tensor([[1.0, 2.0]])
    assert np.asarray(x).tolist() == [[1.0, 2.0]] and np.asarray(x).ctypes.data == x.data_ptr()
    assert np.array(x, dtype=np.int32).dtype == np.int32
    assert np.sum(x.numpy()) == 3.0 and np.add(np.ones(2), pynn.ones(2).numpy()).tolist() == [2.0, 2.0]
    assert isinstance(np.sqrt(np.asarray(x)), np.ndarray)
    assert np.stack([np.asarray(t) for t in x]).shape == (1, 2)


def test_numpy_of_graph_tensors():
    x = pynn.ones(2, requires_grad=True)
    for bad in (lambda: x.numpy(), lambda: (x * 2).numpy(), lambda: np.asarray(x)):
        with raises(RuntimeError, "detach"):
            bad()
    assert x.detach().numpy().tolist() == x.numpy(force=True).tolist() == [1.0, 1.0]


def test_bfloat16_and_numpy():
    x = pynn.tensor([1.0, 2.5], dtype=pynn.bfloat16)
    assert x.float().numpy().tolist() == [1.0, 2.5] and x.view(pynn.int16).numpy().dtype == np.int16
    if pynn.__name__ == "pynn":
        ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 reaches NumPy through ml_dtypes")
        n = x.numpy()
        assert n.dtype == ml_dtypes.bfloat16 and n.tolist() == [1.0, 2.5]
        assert pynn.from_numpy(n).dtype == pynn.bfloat16


@pytest.mark.skipif(not hasattr(pynn.Tensor, "__buffer__"), reason="Python has __buffer__ from 3.12 on")
def test_buffer_without_a_shape():
    x = pynn.arange(6, dtype=pynn.uint8).reshape(2, 3)
    for flags in (0, 1):  # PyBUF_SIMPLE and PyBUF_WRITABLE
        plain = x.__buffer__(flags)
        assert plain.ndim == 1 and plain.nbytes == 6 and bytes(plain) == bytes(range(6))
    assert x.__buffer__(0x118).shape == (2, 3)


def test_frombuffer():
    data = bytearray(np.arange(4, dtype=np.float32).tobytes())
    x = pynn.frombuffer(data, dtype=pynn.float32)
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0]
    x[0] = 9.0
    assert np.frombuffer(data, np.float32)[0] == 9.0
    assert pynn.frombuffer(data, dtype=pynn.uint8, count=2, offset=4).shape == (2,)
    for call in (
        lambda: pynn.frombuffer(data, dtype=pynn.float32, count=5),
        lambda: pynn.frombuffer(data, dtype=pynn.float32, offset=-1),
        lambda: pynn.frombuffer(data, dtype=pynn.float32, offset=17),
        lambda: pynn.frombuffer(bytearray(), dtype=pynn.float32),
        lambda: pynn.frombuffer(data, dtype=pynn.float32, offset=2),
    ):
        with pytest.raises(ValueError):
            call()


def test_buffer_protocol():
    if pynn.__name__ != "pynn":
        pytest.skip("PyTorch's tensors have no buffer protocol")
    x = pynn.arange(6, dtype=pynn.int32).reshape(2, 3)
    m = memoryview(x)
    assert (
        m.shape == (2, 3)
        and m.strides == (12, 4)
        and m.itemsize == 4
        and m.tolist() == [[0, 1, 2], [3, 4, 5]]
    )
    m[0, 0] = 7
    assert x[0, 0] == 7
    assert memoryview(x.t()).strides == (4, 12) and bytes(x.contiguous()) == x.numpy().tobytes()
    with pytest.raises((BufferError, RuntimeError)):
        memoryview(pynn.ones(2, requires_grad=True))


@pytest.mark.parametrize("dtype", SHARED)
def test_dlpack_both_ways(dtype):
    x = tensor(arr(3, 4) > 0, dtype)
    for source in (x, x.t(), x[1:, ::2], x[0, 0], x[:0]):
        n = np.from_dlpack(source)
        assert n.shape == tuple(source.shape) and n.dtype == NUMPY_DTYPE[dtype]
        np.testing.assert_array_equal(n, source.numpy())
        y = pynn.from_dlpack(source.numpy())
        assert y.dtype == dtype and pynn.equal(y, source)
        z = pynn.from_dlpack(source)
        assert z.data_ptr() == source.data_ptr() and z.shape == source.shape
    assert np.from_dlpack(x).ctypes.data == x.data_ptr()
    assert x.__dlpack_device__() == (1, 0)


def test_dlpack_lifetimes_and_errors():
    n = np.from_dlpack(pynn.ones(1000))
    junk = [pynn.zeros(1000) for _ in range(10)]
    assert n.sum() == 1000 and len(junk) == 10
    a = np.ones(1000)
    ref = weakref.ref(a)
    x = pynn.from_dlpack(a)
    del a
    gc.collect()
    assert x.sum() == 1000
    del x
    gc.collect()
    assert ref() is None
    capsule = pynn.ones(2).__dlpack__()
    y = pynn.from_dlpack(capsule)
    assert y.tolist() == [1.0, 1.0]
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        pynn.from_dlpack(capsule)  # used up
    del capsule
    unused = pynn.ones(2).__dlpack__()
    del unused  # frees its tensor
    for bad in (3, "text", None, object(), [1.0]):
        with pytest.raises((TypeError, AttributeError, RuntimeError, ValueError)):
            pynn.from_dlpack(bad)
    with pytest.raises((RuntimeError, BufferError)):
        pynn.ones(2, requires_grad=True).__dlpack__()


def test_foreign_capsule_is_refused():
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    block = ctypes.create_string_buffer(64)
    capsule = new(ctypes.addressof(block), b"something else", None)
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        pynn.from_dlpack(capsule)


@pytest.mark.parametrize("dtype", INTS)
def test_tolist_matches_numpy(dtype):
    x = tensor(np.arange(6).reshape(2, 3), dtype)
    assert x.tolist() == x.numpy().tolist()


def test_storage():
    x = pynn.arange(6.0)
    s = x.untyped_storage()
    assert s.nbytes() == 24 and s.data_ptr() == x.data_ptr() and len(s) == 24
    assert x[2:].untyped_storage().data_ptr() == s.data_ptr() and x[2:].storage_offset() == 2
