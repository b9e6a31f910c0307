"""Tensors of a CUDA device to and from other packages, by DLPack."""

import numpy as np
import pytest
from helpers import raises

import pynn
from pynn import cuda

CUDA = 2  # the protocol's number


class Producer:
    """A tensor that notes what its consumer asked for."""

    def __init__(self, x, old=False):
        self.x, self.old, self.asked = x, old, []

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()

    def __dlpack__(self, **kwargs):
        self.asked.append(kwargs)
        if self.old and "max_version" in kwargs:
            raise TypeError("unexpected keyword argument 'max_version'")
        return self.x.__dlpack__(**kwargs)


@pytest.mark.parametrize(
    "dtype", [pynn.float32, pynn.float16, pynn.bfloat16, pynn.int64, pynn.uint8, pynn.bool, pynn.complex64]
)
def test_round_trip(dtype):
    x = pynn.arange(12).to(dtype).reshape(3, 4).cuda()
    for view in (x, x.t(), x[1:, ::2], x[0, 0], x[:0]):
        for source in (
            view,
            view.__dlpack__(),
            view.__dlpack__(max_version=(1, 0)),
            Producer(view, old=True),
        ):
            y = pynn.from_dlpack(source)
            assert y.device == x.device and y.dtype == dtype and y.shape == view.shape
            assert y.data_ptr() == view.data_ptr() and (y.numel() == 0 or y.stride() == view.stride())
            assert y.cpu().equal(view.cpu())
    y = pynn.from_dlpack(x)
    y.zero_()
    assert not x.cpu().any()
    assert x.__dlpack_device__() == (CUDA, 0)


def test_memory_lives_as_long_as_its_users():
    y = pynn.from_dlpack(pynn.full((1000,), 3.0, device="cuda"))
    filler = [pynn.zeros(1000, device="cuda") for _ in range(8)]
    assert y.sum().item() == 3000 and len(filler) == 8
    before = cuda.memory_allocated()
    del y, filler
    assert cuda.memory_allocated() < before
    capsule = pynn.ones(1 << 20, device="cuda").__dlpack__()  # taken by nobody
    held = cuda.memory_allocated()
    del capsule
    assert cuda.memory_allocated() < held


def test_streams():
    """The consumer names its current stream; the producer makes it wait and keeps the memory for it."""
    source = Producer(pynn.ones(4, device="cuda"))
    pynn.from_dlpack(source)
    assert source.asked[-1]["stream"] == 1  # the default one
    stream = cuda.Stream()
    with cuda.stream(stream):
        y = pynn.from_dlpack(source) + 1
    assert source.asked[-1]["stream"] == stream.cuda_stream
    stream.synchronize()
    assert y.sum().item() == 8
    x = source.x
    for number in (None, -1, 1, 2, stream.cuda_stream):
        assert pynn.from_dlpack(x.__dlpack__(stream=number)).sum().item() == 4
    with raises(ValueError, "stream", "0"):
        x.__dlpack__(stream=0)
    with raises(TypeError, "stream", "str"):
        x.__dlpack__(stream="1")


def test_devices_and_copies():
    x = pynn.ones(3, device="cuda")
    y = pynn.from_dlpack(x.__dlpack__(copy=True))
    assert y.is_cuda and y.data_ptr() != x.data_ptr() and y.tolist() == [1, 1, 1]
    for copy in (None, True):
        host = pynn.from_dlpack(x.__dlpack__(dl_device=(1, 0), copy=copy))
        assert host.device.type == "cpu" and host.tolist() == [1, 1, 1]
    with raises(BufferError, "dl_device"):
        x.__dlpack__(dl_device=(1, 0), copy=False)
    with raises(BufferError, "dl_device"):
        x.__dlpack__(dl_device=(CUDA, 7))
    with raises(BufferError, "dl_device"):
        x.cpu().__dlpack__(dl_device=(CUDA, 0))
    assert pynn.from_dlpack(x, device="cpu").device.type == "cpu"
    assert pynn.from_dlpack(np.ones(3, np.float32), device="cuda").is_cuda
    assert pynn.from_dlpack(x.__dlpack__(dl_device=(CUDA, 0))).data_ptr() == x.data_ptr()
    with raises(BufferError, "gradient"):
        x.clone().requires_grad_().__dlpack__()


def test_pytorch():
    """Both packages on one device: no copy either way, and streams are kept in order."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no CUDA here")
    x = pynn.arange(1 << 20, device="cuda", dtype=pynn.float32)
    y = torch.from_dlpack(x)
    assert y.is_cuda and y.data_ptr() == x.data_ptr()
    assert y.double().sum().item() == (1 << 19) * ((1 << 20) - 1)
    z = pynn.from_dlpack(y)
    assert z.data_ptr() == x.data_ptr()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(50):
            y = y + 1
        z = pynn.from_dlpack(y)  # of work that torch has only been given
    assert z[0].item() == 50
    ours = cuda.Stream()
    with cuda.stream(ours):
        for _ in range(50):
            x = x * 1.0 + 1
        y = torch.from_dlpack(x)
    assert y[0].item() == 50
    pynn.utils.dlpack.to_dlpack(x)
