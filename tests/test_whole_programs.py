"""What programs import from around the ops: jit, compile, hub, parallel, backends, distributed, tensorboard."""

import sys
import types
import warnings

import pytest

import pynn
from pynn import nn


def test_compile_is_the_identity():
    net = nn.Linear(2, 2)
    assert pynn.compile(net) is net and pynn.compile(net, mode="max-autotune", fullgraph=True) is net

    @pynn.compile(dynamic=True)
    def f(x):
        return x + 1

    @pynn.compile
    def g(x):
        return x + 1

    assert f(1) == g(1) == 2 and not pynn.compiler.is_compiling()
    with pytest.raises(TypeError):
        pynn.compile(3)


def test_script_and_trace_warn_once():
    pynn.jit._warn.cache_clear()
    net = nn.Linear(2, 2)
    with pytest.warns(UserWarning, match="state_dict"):
        assert pynn.jit.script(net) is net
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        @pynn.jit.script
        def f(x):
            return x * 2

    assert f(2) == 4
    with pytest.warns(UserWarning):
        assert pynn.jit.trace(net, pynn.ones(1, 2)) is net

    @pynn.jit.ignore
    def g():
        return 1

    @pynn.jit.ignore(drop=True)
    def h():
        return 2

    assert g() + h() == 3 and not pynn.jit.is_scripting() and pynn.jit.isinstance([1], list[int])
    for call in (lambda: pynn.jit.load("x.pt"), lambda: pynn.jit.save(net, "x.pt")):
        with pytest.raises(RuntimeError, match="state_dict"):
            call()


def test_parallel_wrappers():
    net = nn.Linear(2, 2)
    wrapped = nn.DataParallel(net)
    x = pynn.rand(3, 2)
    assert (wrapped(x) == net(x)).all() and list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    assert wrapped.module is net and nn.parallel.data_parallel(net, x).shape == (3, 2)
    dist = pynn.distributed
    with pytest.raises(ValueError, match="init_process_group"):
        nn.parallel.DistributedDataParallel(net)
    with pytest.raises(RuntimeError, match="world size of 4"):
        dist.init_process_group("nccl", world_size=4, rank=0)
    dist.init_process_group("gloo", world_size=1, rank=0)
    try:
        ddp = nn.parallel.DistributedDataParallel(net, device_ids=None, find_unused_parameters=True)
        with ddp.no_sync():
            ddp(x).sum().backward()
        assert net.weight.grad is not None and dist.get_rank() == 0 and dist.get_world_size() == 1
        t = pynn.ones(2)
        assert dist.all_reduce(t) is None and t.tolist() == [1, 1]
        assert dist.all_reduce(t, async_op=True).wait()
        gathered = [pynn.zeros(2)]
        dist.all_gather(gathered, t)
        dist.barrier()
        out = pynn.zeros(2)
        dist.all_gather_into_tensor(out, t * 2)
        assert out.tolist() == [2, 2]
        dist.reduce_scatter(out, [t * 3])
        dist.scatter(out, [t * 4])
        assert (
            out.tolist() == [4, 4] and dist.get_process_group_ranks() == [0] and dist.group.WORLD.size() == 1
        )
        dist.gather(t * 5, gathered)
        objects = [None]
        dist.gather_object({"a": 1}, objects)
        assert gathered[0].tolist() == [5, 5] and objects == [{"a": 1}]
        with pytest.raises(RuntimeError, match="another process"):
            dist.send(t, 1)
        dist.all_gather(gathered, t)
        assert gathered[0].tolist() == [1, 1] and dist.get_backend() == "gloo"
    finally:
        dist.destroy_process_group()
    assert not dist.is_initialized()
    with pytest.raises(ValueError, match="not been initialized"):
        dist.get_rank()


def test_back_ends():
    cudnn = pynn.backends.cudnn
    assert cudnn.enabled and not cudnn.benchmark and cudnn.is_available() is (cudnn.version() is not None)
    with cudnn.flags(enabled=False, benchmark=True):
        assert not cudnn.enabled and cudnn.benchmark
    assert cudnn.enabled and not cudnn.benchmark
    assert not pynn.backends.mps.is_available()
    assert pynn.backends.cuda.is_built() is pynn._C._build_info()["cuda"]
    matmul = pynn.backends.cuda.matmul
    for precision, allowed in (("high", True), ("highest", False)):
        pynn.set_float32_matmul_precision(precision)
        assert matmul.allow_tf32 is allowed and pynn.get_float32_matmul_precision() == precision
    matmul.fp32_precision = "tf32"
    assert matmul.allow_tf32 and pynn.get_float32_matmul_precision() == "high"
    matmul.allow_tf32 = False
    assert matmul.fp32_precision == "none" and pynn.get_float32_matmul_precision() == "highest"
    with pynn.backends.cuda.sdp_kernel(enable_flash=False):
        assert not pynn.backends.cuda.flash_sdp_enabled()
    assert pynn.backends.cuda.flash_sdp_enabled() and pynn.backends.cpu.get_cpu_capability()
    assert not pynn.mps.is_available() and not pynn.xpu.is_available() and pynn.cpu.is_available()
    if pynn.cuda.is_available():
        return
    assert pynn.cuda.memory_allocated() == 0 and pynn.cuda.get_rng_state_all() == []
    for call in (pynn.cuda.current_stream, pynn.cuda.Stream, pynn.cuda.get_device_properties):
        with pytest.raises(RuntimeError, match="no CUDA (support|device can be used)"):
            call()


def test_hub(tmp_path, capsys):
    net = nn.Linear(2, 2)
    pynn.save(net.state_dict(), tmp_path / "weights-0123abcd.pt")
    url = (tmp_path / "weights-0123abcd.pt").as_uri()
    state = pynn.hub.load_state_dict_from_url(url, str(tmp_path / "cache"))
    assert (state["weight"] == net.weight).all()
    (tmp_path / "weights-0123abcd.pt").unlink()
    assert "weight" in pynn.hub.load_state_dict_from_url(url, str(tmp_path / "cache"))  # kept
    (tmp_path / "other-0123abcd.pt").write_bytes(b"x")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        pynn.hub.load_state_dict_from_url(
            (tmp_path / "other-0123abcd.pt").as_uri(), str(tmp_path / "cache"), check_hash=True
        )
    (tmp_path / "hubconf.py").write_text("def model(n=1):\n    'doc'\n    return n + 1\n")
    assert pynn.hub.load(str(tmp_path), "model", n=3, source="local") == 4
    assert pynn.hub.list(str(tmp_path), source="local") == ["model"]
    assert pynn.hub.help(str(tmp_path), "model", source="local") == "doc"
    with pytest.raises(RuntimeError, match="Cannot find callable"):
        pynn.hub.load(str(tmp_path), "nope", source="local")
    with pytest.raises(RuntimeError, match="local folder is required"):
        pynn.hub.load("pytorch/vision", "resnet18")


def test_tensorboard(monkeypatch):
    monkeypatch.delitem(sys.modules, "pynn.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        pynn.utils.tensorboard
    fake = types.ModuleType("tensorboardX")
    calls = []

    class Writer:
        def add_scalars(self, tag, values, step=None):
            calls.append((tag, values, step))

    fake.SummaryWriter, fake.FileWriter = Writer, object
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    monkeypatch.delitem(sys.modules, "pynn.utils.tensorboard", raising=False)
    from pynn.utils.tensorboard import SummaryWriter

    loss = pynn.ones(2, requires_grad=True).sum()
    SummaryWriter().add_scalars("losses", {"a": loss, "b": 3.0}, step=1)
    (tag, values, step), *_ = calls
    assert tag == "losses" and step == 1 and values["b"] == 3.0
    assert type(values["a"]).__module__ == "numpy" and values["a"] == 2  # as tensorboardX expects
    monkeypatch.delitem(sys.modules, "pynn.utils.tensorboard", raising=False)


def test_fork_rng():
    pynn.manual_seed(3)
    with pynn.random.fork_rng():
        pynn.manual_seed(9)
        pynn.rand(3)
    a = pynn.rand(1)
    pynn.manual_seed(3)
    assert (pynn.rand(1) == a).all()


def test_lazy_names():
    for name in (
        "jit",
        "hub",
        "func",
        "profiler",
        "testing",
        "compiler",
        "amp",
        "backends",
        "version",
        "optim",
    ):
        assert getattr(pynn, name).__name__ == f"pynn.{name}" and name in dir(pynn)
    with pytest.raises(AttributeError, match="module 'pynn' has no attribute 'nope'"):
        pynn.nope
    with pytest.raises(AttributeError, match="module 'pynn.utils' has no attribute 'nope'"):
        pynn.utils.nope


def test_make_tensor():
    for dtype in (pynn.float32, pynn.float64, pynn.int64, pynn.uint8, pynn.bool, pynn.float16):
        t = pynn.testing.make_tensor(3, 4, dtype=dtype, device="cpu")
        assert t.shape == (3, 4) and t.dtype == dtype
    t = pynn.testing.make_tensor(
        (5, 6), dtype=pynn.float64, low=2, high=3, requires_grad=True, noncontiguous=True
    )
    assert t.shape == (5, 6) and not t.is_contiguous() and t.min() >= 2 and t.max() < 3


def test_settings():
    pynn.use_deterministic_algorithms(True, warn_only=True)
    assert pynn.are_deterministic_algorithms_enabled() and pynn.get_deterministic_debug_mode() == 1
    pynn.set_deterministic_debug_mode("default")
    assert not pynn.are_deterministic_algorithms_enabled()
    pynn.set_float32_matmul_precision("high")
    assert pynn.get_float32_matmul_precision() == "high"
    with pytest.warns(UserWarning, match="ignored"):
        pynn.set_float32_matmul_precision("x")
    pynn.set_float32_matmul_precision("highest")
    pynn.set_default_device("cpu")
    assert pynn.get_default_device().type == "cpu" and pynn.get_device_module() is pynn.cpu
    with pytest.raises(RuntimeError, match="set_default_device"):
        pynn.set_default_device("meta")
    pynn.set_default_tensor_type(pynn.DoubleTensor)
    assert pynn.ones(1).dtype == pynn.float64
    pynn.set_default_tensor_type("torch.FloatTensor")
    assert pynn.ones(1).dtype == pynn.float32
    with pytest.raises(TypeError, match="floating-point"):
        pynn.set_default_tensor_type(pynn.LongTensor)
    assert pynn.typename(pynn.ones(1)) == "torch.FloatTensor" and pynn.typename(3) == "int"
    assert pynn.typename(nn.Linear(1, 1)) == "pynn.nn.modules.linear.Linear"
    pynn.set_num_interop_threads(2)
    assert pynn.get_num_interop_threads() == 2 and pynn.set_flush_denormal(True) is False
    assert not pynn.accelerator.is_available() and pynn.accelerator.current_accelerator(True) is None
    with pytest.raises(RuntimeError, match="none is available"):
        pynn.accelerator.synchronize()
    assert pynn.types.Number is not None


@pytest.mark.parametrize(
    "place",
    [
        "nn.parallel.data_parallel.DataParallel",
        "nn.parallel.distributed.DistributedDataParallel",
        "nn.utils.stateless.functional_call",
        "optim.adamw.AdamW",
        "overrides.has_torch_function",
        "storage.UntypedStorage",
        "utils.data._utils.collate.default_collate",
        "utils.data.distributed.DistributedSampler",
        "utils.dlpack.to_dlpack",
        "utils.model_zoo.load_url",
        "cuda.amp.GradScaler",
        "autograd.profiler.record_function",
    ],
)
def test_places_that_programs_import_from(place):
    import importlib

    module, name = place.rsplit(".", 1)
    assert callable(getattr(importlib.import_module(f"pynn.{module}"), name))


def test_dlpack_and_the_name_of_a_function_stay():
    import pynn.nn.parallel.data_parallel

    assert callable(pynn.nn.parallel.data_parallel)
    x = pynn.arange(3)
    assert pynn.utils.dlpack.from_dlpack(pynn.utils.dlpack.to_dlpack(x)).data_ptr() == x.data_ptr()
    assert not pynn.overrides.has_torch_function((x,)) and pynn.overrides.is_tensor_like(x)
    with pytest.raises(TypeError, match="__torch_function__"):
        pynn.overrides.handle_torch_function(len, (x,))
    assert type(x.untyped_storage()) is pynn.UntypedStorage
