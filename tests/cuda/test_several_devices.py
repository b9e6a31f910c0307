"""Tensors, streams, memory and random numbers of more than one device. The emulator has as many as it is asked for."""

import os
import threading

import pytest
from helpers import EXACT_MEMORY, raises, run_python

import pynn as torch
from pynn import cuda

EMULATED = cuda.is_available() and "mulat" in cuda.get_device_name(0)
two = pytest.mark.skipif(cuda.device_count() < 2, reason="there is one CUDA device")


@pytest.mark.skipif(not EMULATED or cuda.device_count() > 1, reason="the device is not emulated")
def test_with_two_emulated_devices():
    """The tests of this file in a process that has two devices."""
    code = f"import sys, pytest; sys.exit(pytest.main(['-q', '-m', 'cuda', '-p', 'no:cacheprovider', {__file__!r}]))"
    paths = os.pathsep.join(
        p for p in (os.environ.get("PYTHONPATH"), os.path.dirname(torch.__path__[0])) if p
    )
    status, output = run_python(code, {"PYNN_EMULATED_CUDA_DEVICES": "2", "PYTHONPATH": paths}, timeout=300)
    assert status == 0 and "passed" in output, output


@two
def test_where_tensors_are():
    assert cuda.device_count() == 2 and cuda.current_device() == 0
    x = torch.ones(3, device="cuda:1")
    assert x.device == torch.device("cuda", 1) and x.get_device() == 1 and x.cuda() is not x
    assert torch.zeros(2, device=1).device.index == 1 and x.new_zeros(2).device.index == 1
    assert x.cuda().device.index == 0 and x.cuda(1) is x and x.to("cuda:1") is x
    with cuda.device(1):
        assert cuda.current_device() == 1
        assert torch.zeros(1, device="cuda").get_device() == 1 and torch.ones(1).cuda().get_device() == 1
        with cuda.device_of(torch.zeros(1, device="cuda:0")):
            assert cuda.current_device() == 0
        assert cuda.current_device() == 1
    assert cuda.current_device() == 0
    with raises(RuntimeError, "2"):
        torch.zeros(1, device="cuda:2")
    properties = [cuda.get_device_properties(i) for i in range(2)]
    assert all(p.total_memory > 0 for p in properties)


@two
@pytest.mark.parametrize("current", [0, 1])
def test_ops_run_where_their_tensors_are(current):
    """Whatever the current device is."""
    expected = None
    for device in ("cpu", "cuda:0", "cuda:1"):
        with cuda.device(current):
            torch.manual_seed(0)
            net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.LayerNorm(7)).to(
                device
            )
            x = torch.linspace(-1, 1, 20).reshape(4, 5).to(device).requires_grad_()
            y = net(x)
            loss = torch.nn.functional.cross_entropy(y, torch.tensor([0, 1, 2, 3]).to(device))
            loss.backward()
            found = [
                y,
                x.grad,
                *(p.grad for p in net.parameters()),
                x.sort(1).indices,
                x.cumsum(0),
                x[torch.tensor([2, 0]).to(device)],
                torch.cat([x, x]).t().contiguous(),
            ]
            assert {t.device for t in found} == {x.device} and cuda.current_device() == current
        found = [t.detach().cpu() for t in found]
        if expected is None:
            expected = found
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@two
def test_copies_between_devices():
    values = torch.arange(24.0).reshape(4, 6)
    x = values.to("cuda:0").requires_grad_()
    y = x.to("cuda:1") * 2
    assert y.device.index == 1 and y.tolist() == (values * 2).tolist()
    y.sum().backward()  # through the copy, back on the first device
    assert x.grad.device.index == 0 and x.grad.unique().tolist() == [2.0]
    z = torch.empty(4, 6, device="cuda:1")
    z.copy_(x.detach())
    assert z.tolist() == values.tolist()
    z[:, ::2] = x.detach()[:, ::2] + 1
    assert z[0].tolist() == [1, 1, 3, 3, 5, 5]
    t = x.detach().t().to("cuda:1", torch.float64)
    assert t.tolist() == values.t().double().tolist()
    assert torch.empty(0, device="cuda:0").to("cuda:1").shape == (0,)
    for k in range(20):  # the source is gone when the copy has been asked for
        a = torch.full((1 << 14,), float(k), device="cuda:0").to("cuda:1", non_blocking=True)
        assert a.min().item() == a.max().item() == k


@two
def test_mixing_devices_is_an_error():
    a, b = torch.ones(2, 2, device="cuda:0"), torch.ones(2, 2, device="cuda:1")
    for call in (
        lambda: a + b,
        lambda: a @ b,
        lambda: torch.cat([a, b]),
        lambda: torch.where(a > 0, a, b),
        lambda: a.add_(b),
        lambda: torch.nn.functional.linear(a, b),
    ):
        with raises(RuntimeError, "cuda:0", "cuda:1"):
            call()
    assert (a * 2).tolist() == (b * 2).tolist()


@two
@pytest.mark.skipif(EXACT_MEMORY, reason="of the caching allocator")
def test_each_device_has_its_own_memory():
    cuda.empty_cache()
    before = [cuda.memory_allocated(i) for i in range(2)]
    x = torch.zeros(1 << 20, dtype=torch.uint8, device="cuda:1")
    assert cuda.memory_allocated(1) - before[1] == 1 << 20 and cuda.memory_allocated(0) == before[0]
    with cuda.device(1):
        assert cuda.memory_allocated() == cuda.memory_allocated("cuda:1")
    address = x.data_ptr()
    del x
    y = torch.zeros(1 << 20, dtype=torch.uint8, device="cuda:0")
    z = torch.zeros(1 << 20, dtype=torch.uint8, device="cuda:1")
    assert z.data_ptr() == address != y.data_ptr()  # the block goes round on its own device
    free = [cuda.mem_get_info(i)[0] for i in range(2)]
    big = torch.empty(1 << 28, dtype=torch.uint8, device="cuda:1")
    assert cuda.mem_get_info(0)[0] == free[0] and cuda.mem_get_info(1)[0] < free[1]
    del big
    with raises(cuda.OutOfMemoryError, "1"):
        torch.empty(cuda.mem_get_info(1)[1] + 1, dtype=torch.uint8, device="cuda:1")
    assert (y + 1).sum().item() == (z + 1).sum().item() == 1 << 20
    cuda.reset_peak_memory_stats(1)
    assert cuda.max_memory_allocated(1) == cuda.memory_allocated(1)
    cuda.set_per_process_memory_fraction(0.5, 1)
    assert cuda.get_per_process_memory_fraction(1) == 0.5 and cuda.get_per_process_memory_fraction(0) == 1.0
    cuda.set_per_process_memory_fraction(1.0, 1)


@two
def test_streams_and_events():
    stream = cuda.Stream(device=1)
    assert stream.device.index == 1 and cuda.current_stream(1) == cuda.default_stream(
        1
    ) != cuda.default_stream(0)
    with cuda.stream(stream):
        assert cuda.current_device() == 1 and cuda.current_stream() == stream
        assert cuda.current_stream(0) == cuda.default_stream(0)
        x = torch.ones(100, device="cuda") * 3
        event = stream.record_event()
        with cuda.device(0):  # the first device's current stream is its default one
            y = torch.ones(100, device="cuda") * 4
    assert cuda.current_device() == 0 and cuda.current_stream(1) == cuda.default_stream(1)
    cuda.current_stream(0).wait_event(event)  # of the other device
    assert (y + x.to("cuda:0")).unique().tolist() == [7.0]
    stream.synchronize()
    cuda.synchronize(1)
    assert event.query() and stream.query()
    with raises(RuntimeError, "cuda:1", "cuda:0"):
        event.record(cuda.default_stream(0))
    first = cuda.Event()
    first.record(stream)
    cuda.default_stream(1).wait_event(first)


@two
def test_random_numbers():
    assert len(cuda.default_generators) == 2
    torch.manual_seed(3)
    a, b = torch.rand(5, device="cuda:0"), torch.rand(5, device="cuda:1")
    assert a.tolist() == b.tolist()  # one seed for all
    states = cuda.get_rng_state_all()
    c = torch.rand(5, device="cuda:1")
    cuda.set_rng_state_all(states)
    assert torch.rand(5, device="cuda:1").tolist() == c.tolist() != b.tolist()
    with cuda.device(1):
        cuda.manual_seed(9)
    d = torch.rand(5, device="cuda:1")
    e = torch.rand(5, device="cuda:1", generator=torch.Generator("cuda:1").manual_seed(9))
    assert d.tolist() == e.tolist()


@two
def test_graphs_of_each_device():
    with cuda.device(1):
        x = torch.zeros(4, device="cuda")
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            y = x + 1
    x.fill_(5)
    graph.replay()  # with the first device as the current one
    cuda.synchronize(1)
    assert y.tolist() == [6.0] * 4 and cuda.current_device() == 0


@two
def test_errors_found_late_are_of_their_device():
    x = torch.arange(4.0, device="cuda:1")
    bad = x[torch.tensor([9], device="cuda:1")]
    cuda.synchronize(0)
    with raises(IndexError, "9"):
        cuda.synchronize(1)
    del bad
    assert x.sum().item() == 6


@two
def test_threads_have_their_own_current_device():
    seen = {}
    barrier = threading.Barrier(2)

    def work(index):
        cuda.set_device(index)
        barrier.wait()
        x = torch.ones(10, device="cuda", requires_grad=True)
        (x * (index + 1)).sum().backward()
        seen[index] = (x.device.index, x.grad.sum().item(), cuda.current_device())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == {0: (0, 10.0, 0), 1: (1, 20.0, 1)} and cuda.current_device() == 0


@two
def test_files_and_states():
    """Where a file's tensors go; a module and an optimiser on the second device."""
    net = torch.nn.Linear(2, 2).to("cuda:1")
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2, device="cuda:1")).sum().backward()
    optimizer.step()
    assert {v.device.index for s in optimizer.state.values() for v in s.values() if v.is_cuda} == {1}
    moved = net.to("cuda:0")
    assert {p.device.index for p in moved.parameters()} == {0}


@two
def test_dlpack():
    x = torch.arange(3.0, device="cuda:1")
    assert x.__dlpack_device__() == (2, 1)
    y = torch.from_dlpack(x)
    assert y.device.index == 1 and y.data_ptr() == x.data_ptr() and y.tolist() == [0, 1, 2]
    with cuda.stream(cuda.Stream(device=1)):
        assert torch.from_dlpack(x).sum().item() == 3


@two
@pytest.mark.skipif(not torch.backends.cudnn.is_available(), reason="no cuDNN here")
def test_recurrent_nets():
    net = torch.nn.LSTM(3, 4).double()
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(4, 2, 3)
    expected = net(x)[0].detach()
    for device in ("cuda:1", "cuda:0"):
        got = net.to(device)(x.to(device))[0]
        got.sum().backward()
        torch.testing.assert_close(got.detach().cpu(), expected)
