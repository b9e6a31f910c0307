"""Streams, events, the caching allocator, errors that are found late, forks, and machines without a device."""

import os
import sys

import pytest
from helpers import EXACT_MEMORY, raises, run_python

import pynn
from pynn import cuda


def test_devices():
    assert cuda.is_available() and cuda.device_count() >= 1 and cuda.current_device() == 0
    properties = cuda.get_device_properties(0)
    assert properties.name == cuda.get_device_name() and properties.total_memory > 1 << 20
    assert cuda.get_device_capability() == (properties.major, properties.minor)
    assert properties.multi_processor_count > 0
    with cuda.device(0):
        assert pynn.zeros(1, device="cuda").get_device() == 0
    with raises((RuntimeError, ValueError), "."):
        cuda.set_device(cuda.device_count())
    with raises(ValueError, "cpu"):
        cuda.get_device_properties("cpu")


def test_streams():
    stream = cuda.Stream()
    assert stream != cuda.current_stream() and cuda.current_stream() == cuda.default_stream()
    x = pynn.arange(1000.0, device="cuda")
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):
        assert cuda.current_stream() == stream
        y = x * 2
        event = stream.record_event()
    assert cuda.current_stream() == cuda.default_stream()
    event.wait()
    y.record_stream(cuda.current_stream())
    assert (y + 1).sum().item() == 999 * 1000 + 1000
    stream.synchronize()
    assert stream.query() and event.query()


def test_streams_share_memory_safely():
    """A block that another stream still reads is not handed out."""
    stream = cuda.Stream()
    for k in range(20):
        x = pynn.full((1 << 16,), float(k), device="cuda")
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            y = x
            for _ in range(10):
                y = y + 1
        x.record_stream(stream)
        del x
        z = pynn.full((1 << 16,), -1.0, device="cuda")
        cuda.current_stream().wait_stream(stream)
        assert y.min().item() == y.max().item() == k + 10
        del z


def test_events():
    a, b = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    a.record()
    x = pynn.ones(1 << 16, device="cuda")
    for _ in range(10):
        x = x * 1.5
    b.record()
    b.synchronize()
    assert 0 <= a.elapsed_time(b) < 10_000
    with raises((RuntimeError, ValueError), "."):
        cuda.Event().elapsed_time(b)


@pytest.mark.skipif(EXACT_MEMORY, reason="of the caching allocator")
def test_allocator_statistics():
    cuda.empty_cache()
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    x = pynn.empty(1 << 20, dtype=pynn.uint8, device="cuda")
    y = pynn.empty(1000, device="cuda")
    assert cuda.memory_allocated() - before == (1 << 20) + 4096
    del x
    assert cuda.memory_allocated() - before == 4096
    assert cuda.max_memory_allocated() - before >= (1 << 20) + 4096
    assert cuda.memory_reserved() >= cuda.memory_allocated()
    del y
    reserved = cuda.memory_reserved()
    assert pynn.empty(1000, device="cuda").numel() and cuda.memory_reserved() == reserved  # cached
    cuda.empty_cache()
    assert cuda.memory_allocated() == before
    available, total = cuda.mem_get_info()
    assert 0 < available <= total
    assert isinstance(cuda.memory_summary(), str) and "memory_allocated" not in cuda.memory_stats()


def test_nothing_leaks():
    def step():
        x = pynn.rand(50, 40, device="cuda", requires_grad=True)
        y = (x @ x.t()).softmax(-1).sort()[0].cumsum(0).std()
        y.backward()

    step()
    before = cuda.memory_allocated()
    for _ in range(5):
        step()
    assert cuda.memory_allocated() == before


@pytest.mark.skipif(EXACT_MEMORY, reason="of the caching allocator")
def test_out_of_memory():
    x = pynn.ones(1000, device="cuda")
    _, total = cuda.mem_get_info()
    with raises(cuda.OutOfMemoryError, "out of memory", "MiB", "reserved"):
        pynn.empty(total * 2, dtype=pynn.uint8, device="cuda")
    assert issubclass(cuda.OutOfMemoryError, RuntimeError)
    assert cuda.OutOfMemoryError is pynn.OutOfMemoryError
    assert x.sum().item() == 1000 and pynn.zeros(10, device="cuda").sum().item() == 0
    cuda.set_per_process_memory_fraction(1e-9)
    try:
        cuda.empty_cache()
        with raises(cuda.OutOfMemoryError, "out of memory"):
            pynn.empty(64 << 20, dtype=pynn.uint8, device="cuda")
    finally:
        cuda.set_per_process_memory_fraction(1.0)
    assert pynn.empty(64 << 20, dtype=pynn.uint8, device="cuda").numel() == 64 << 20


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("index_select", lambda x: x.index_select(0, pynn.tensor([0, 9], device="cuda"))),
        ("gather", lambda x: x.gather(0, pynn.tensor([[0, -1]], device="cuda"))),
        ("embedding", lambda x: pynn.nn.functional.embedding(pynn.tensor([4], device="cuda"), x)),
        ("index", lambda x: x[pynn.tensor([-5], device="cuda")]),
        ("scatter_add", lambda x: x.scatter_add(0, pynn.tensor([[7]], device="cuda"), x)),
        (
            "cross_entropy",
            lambda x: pynn.nn.functional.cross_entropy(x, pynn.tensor([0, 1, 3], device="cuda")),
        ),
    ],
)
def test_index_errors_come_late(name, call):
    """Raised with the op's name, at the latest when the device is synchronised; then everything works again."""
    x = pynn.ones(3, 2, device="cuda")
    with raises((IndexError, RuntimeError), name, "out of (bounds|range)"):
        call(x)
        cuda.synchronize()
    cuda.synchronize()
    assert x.sum().item() == 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_says_what_to_do():
    code = """
import os, pynn
x = pynn.ones(3, device="cuda")
assert x.sum().item() == 3
pid = os.fork()
if pid == 0:
    try:
        pynn.ones(3, device="cuda").sum().item()
    except RuntimeError as e:
        os._exit(0 if "spawn" in str(e) else 2)
    os._exit(1)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 0, status
print(x.sum().item())
"""
    status, output = run_python(code)
    assert status == 0, output


def test_workers_of_a_data_loader_may_fork():
    code = """
import pynn
data = pynn.utils.data.TensorDataset(pynn.arange(8.0))
pynn.zeros(1, device="cuda")
if __name__ == "__main__":
    loader = pynn.utils.data.DataLoader(data, batch_size=2, num_workers=2, pin_memory=True)
    assert sum((x.to("cuda").sum().item() for (x,) in loader)) == 28
"""
    status, output = run_python(code)
    assert status == 0, output


def test_import_starts_nothing():
    """A process that only imports may fork and use CUDA in the child."""
    code = """
import os, pynn
pid = os.fork()
if pid == 0:
    os._exit(0 if pynn.ones(3, device="cuda").sum().item() == 3 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
    if hasattr(os, "fork"):
        status, output = run_python(code)
        assert status == 0, output


def test_no_device_is_no_crash():
    code = """
import pynn
assert not pynn.cuda.is_available() and pynn.cuda.device_count() == 0
try:
    pynn.zeros(1, device="cuda")
except (RuntimeError, AssertionError) as e:
    print(e)
assert pynn.ones(3).sum().item() == 3
pynn.manual_seed(0)
"""
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "PYNN_EMULATED_CUDA_DEVICES": "0"}
    status, output = run_python(code, env=hidden)
    assert status == 0 and "CUDA" in output and "Traceback" not in output, output
    status, output = run_python("import pynn", env=hidden)
    assert (status, output) == (0, "")


def test_threads_have_their_own_stream():
    import threading

    seen = []

    def work():
        assert cuda.current_stream() == cuda.default_stream()
        stream = cuda.Stream()
        with cuda.stream(stream):
            x = pynn.ones(1000, device="cuda", requires_grad=True)
            (x * 2).sum().backward()
            seen.append(x.grad.sum().item())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [2000.0] * 4


def test_info_tells_of_the_device():
    status, output = run_python(
        f"import subprocess; subprocess.run([{sys.executable!r}, '-P', '-m', 'pynn', 'info'])"
    )
    assert status == 0 and cuda.get_device_name() in output, output


def test_accelerator_is_cuda():
    assert pynn.accelerator.is_available() and pynn.accelerator.device_count() == pynn.cuda.device_count()
    assert pynn.accelerator.current_accelerator() == pynn.device("cuda")
    assert pynn.accelerator.current_device_index() == pynn.cuda.current_device()
    pynn.accelerator.synchronize()
    assert pynn.accelerator.memory_allocated() == pynn.cuda.memory_allocated()
    assert not hasattr(pynn.accelerator, "nonsense")


def test_names_that_programs_ask_for():
    assert cuda.get_allocator_backend() == "native" and cuda.has_half and not cuda.has_magma
    assert cuda.get_gencode_flags().startswith("-gencode compute=compute_")
    assert cuda.is_tf32_supported() == (cuda.get_device_capability()[0] >= 8)
    (generator, *_) = cuda.default_generators
    assert generator.initial_seed() == cuda.initial_seed()
    stream = cuda.Stream()
    assert cuda.get_stream_from_external(stream.cuda_stream) == stream
    nested = cuda.memory_stats_as_nested_dict()
    assert nested["allocated_bytes"]["all"]["current"] == cuda.memory_allocated()
    cuda.reset_accumulated_memory_stats()
    x = pynn.zeros(4, device="cuda")
    assert cuda.memory_stats()["allocation.all.allocated"] == 1 and len(x) == 4
    before = cuda.memory_allocated()
    address = cuda.caching_allocator_alloc(5000)
    assert address and cuda.memory_allocated() > before
    cuda.caching_allocator_delete(address)
    assert cuda.memory_allocated() == before
    with raises(ValueError, "caching_allocator_delete"):
        cuda.caching_allocator_delete(address)
    with raises(TypeError, "caching_allocator_alloc"):
        cuda.caching_allocator_alloc(8, stream="x")


def test_what_profilers_are_told():
    from pynn.cuda import nvtx, profiler

    nvtx.range_push("outer")
    with nvtx.range("step {}", 3):
        nvtx.mark("here")
    nvtx.range_pop()
    nvtx.range_end(nvtx.range_start("across threads"))

    @nvtx.range("decorated")
    def f():
        return 7

    assert f() == 7
    with profiler.profile():
        pynn.zeros(3, device="cuda").add_(1)


def test_monitoring_needs_its_package():
    try:
        import pynvml  # noqa: F401
    except ModuleNotFoundError:
        with raises(ModuleNotFoundError, "nvidia-ml-py"):
            cuda.utilization()
        assert "nvidia-ml-py" in cuda.list_gpu_processes()
    else:
        assert cuda.temperature() > 0 and 0 <= cuda.utilization() <= 100
        assert (
            cuda.device_memory_used() > 0 and cuda.clock_rate() > 0 and "GPU:0" in cuda.list_gpu_processes()
        )


def test_freeing_leaves_neighbours_alone():
    kept = []
    for i in range(20):
        kept.append(pynn.full((64 * i + 1,), 3.0, device="cuda"))  # moves where the next one lies
        large = pynn.zeros(160000, dtype=pynn.float64, device="cuda")
        kept.append(pynn.full((4,), 3.0, device="cuda"))
        del large
    assert all((x == 3).all() for x in kept)
