"""Small names that public programs and libraries import: each exists, and does what it says."""

import pickle

import pytest

import pynn
from pynn import nn


def test_dtypes_without_tensors():
    for name, size in (
        ("uint16", 2),
        ("float8_e4m3fn", 1),
        ("float8_e5m2", 1),
        ("complex32", 4),
        ("qint8", 1),
    ):
        dtype = getattr(pynn, name)
        assert repr(dtype) == f"torch.{name}" and dtype.itemsize == size and dtype != pynn.float32
        assert dtype.is_floating_point == name.startswith("float") and dtype.is_complex == (
            name == "complex32"
        )
        assert pickle.loads(pickle.dumps(dtype)) is dtype
        for call in (
            lambda d=dtype: pynn.zeros(2, dtype=d),
            lambda d=dtype: pynn.ones(2).to(d),
            lambda d=dtype: pynn.tensor([1], dtype=d),
            lambda d=dtype: pynn.promote_types(d, pynn.float32),
            lambda d=dtype: pynn.set_default_dtype(d),
        ):
            with pytest.raises(TypeError, match=f"tensors of {name} are not supported"):
                call()
    assert not pynn.uint32.is_signed and pynn.float8_e5m2.is_signed


def test_functions_take_attributes():
    pynn.tanh.gain = 2.0
    try:
        assert nn.functional.tanh.gain == 2.0 and vars(pynn.tanh) == {"gain": 2.0}
    finally:
        del pynn.tanh.gain
    assert not hasattr(pynn.tanh, "gain")


def test_conditions():
    pynn._assert(True, "")
    pynn._check(True)
    pynn._check_is_size(3)
    for check, error in (
        (pynn._check, RuntimeError),
        (pynn._check_value, ValueError),
        (pynn._check_index, IndexError),
        (pynn._check_type, TypeError),
        (pynn._check_not_implemented, NotImplementedError),
    ):
        with pytest.raises(error, match="why"):
            check(False, lambda: "why")
    with pytest.raises(AssertionError, match="why"):
        pynn._assert(False, "why")
    with pytest.raises(RuntimeError):
        pynn._check_is_size(-1)


def test_sync_batch_norm_is_batch_norm_in_one_process():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4)), nn.BatchNorm1d(2)).eval()
    net = nn.SyncBatchNorm.convert_sync_batchnorm(plain)
    assert (
        isinstance(net[1][0], nn.SyncBatchNorm)
        and isinstance(net[2], nn.SyncBatchNorm)
        and not net[2].training
    )
    assert list(net.state_dict()) == list(plain.state_dict())
    pynn.manual_seed(0)
    x, a, b = pynn.randn(5, 4, 3, 3), nn.SyncBatchNorm(4), nn.BatchNorm2d(4)
    assert pynn.equal(a(x), b(x)) and pynn.equal(a.running_var, b.running_var)
    assert a(pynn.randn(5, 4)).shape == (5, 4)


def test_types_of_cuda():
    assert not isinstance(pynn.ones(2), pynn.cuda.FloatTensor)
    if pynn.cuda.is_available():
        assert isinstance(pynn.cuda.FloatTensor([1, 2]), pynn.cuda.FloatTensor)
        assert pynn.ones(2).type("torch.cuda.LongTensor").type() == "torch.cuda.LongTensor"
        return
    for call in (
        lambda: pynn.cuda.FloatTensor(2),
        lambda: pynn.ones(2).type(pynn.cuda.LongTensor),
        lambda: pynn.ones(2).type("torch.cuda.LongTensor"),
    ):
        with pytest.raises(TypeError, match=r"torch\.cuda\.\w+Tensor not available"):
            call()


def test_attention_kernels():
    from pynn.backends import cuda
    from pynn.nn.attention import SDPBackend, sdpa_kernel

    before = cuda.flash_sdp_enabled(), cuda.math_sdp_enabled()
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.CUDNN_ATTENTION]):
        assert cuda.math_sdp_enabled() and cuda.cudnn_sdp_enabled() and not cuda.flash_sdp_enabled()
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert cuda.flash_sdp_enabled() and not cuda.math_sdp_enabled()
    assert (cuda.flash_sdp_enabled(), cuda.math_sdp_enabled()) == before
    with pytest.raises(AssertionError), sdpa_kernel("math"):
        pass


def test_words_for_compilers():
    import pynn.fx
    import pynn.onnx

    f = len
    assert pynn.jit.script_method(f) is f and pynn.jit._script_if_tracing(f) is f and pynn.fx.wrap(f) is f
    assert (
        pynn.fx.wrap("len") == "len" and pynn._dynamo.allow_in_graph(f) is f and pynn._dynamo.disable(f) is f
    )
    assert not pynn._dynamo.is_compiling() and not pynn.onnx.is_in_onnx_export()
    pynn._dynamo.mark_static_address(pynn.ones(2))
    pynn._dynamo.config.suppress_errors = True
    with pytest.raises(RuntimeError):
        pynn.fx.wrap(3)
    with pytest.raises(NotImplementedError, match="no exporter"):
        pynn.onnx.export(nn.Linear(2, 2), pynn.ones(1, 2), "x.onnx")
    assert pynn.legacy_contiguous_format is pynn.contiguous_format


def test_lists_as_one_vector():
    from pynn._utils import _flatten_dense_tensors, _unflatten_dense_tensors

    parts = [pynn.randn(2, 3), pynn.randn(4), pynn.tensor(1.0)]
    flat = _flatten_dense_tensors(parts)
    assert flat.shape == (11,)
    for a, b in zip(parts, _unflatten_dense_tensors(flat, parts), strict=True):
        assert pynn.equal(a, b)


def test_names_beside_others():
    from pynn.hub import HASH_REGEX, urlparse
    from pynn.jit.annotations import BroadcastingList2, List

    assert (
        HASH_REGEX.search("resnet18-f37072fd.pth").group(1) == "f37072fd"
        and urlparse("http://a/b").path == "/b"
    )
    assert BroadcastingList2[int] and List[int]
    x = pynn.arange(6.0)
    assert [part.tolist() for part in x.split(split_size=4)] == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0]]
    assert x.view(size=(2, 3)).shape == (2, 3) and x[:1].expand(size=(2, 1)).shape == (2, 1)


def test_distributed_nn_of_one_process():
    import pynn.distributed as dist
    from pynn.distributed import nn as dist_nn

    x = pynn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="init_process_group"):
        dist_nn.all_reduce(x)
    dist.init_process_group(world_size=1)
    try:
        y = dist_nn.all_reduce(x) * 3 + dist_nn.functional.all_gather(x)[0] + dist_nn.scatter([x])
    finally:
        dist.destroy_process_group()
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_old_home_of_vmap():
    from pynn._vmap_internals import _vmap

    assert _vmap(pynn.dot, (0, None))(pynn.eye(2), pynn.tensor([3.0, 4.0])).tolist() == [3.0, 4.0]


def test_what_compiled_programs_ask_for():
    from pynn._subclasses.fake_tensor import FakeTensor, is_fake
    from pynn.fx.experimental.proxy_tensor import get_proxy_mode

    assert not isinstance(3, (pynn.SymInt, pynn.SymFloat, pynn.SymBool, FakeTensor)) and not is_fake(
        pynn.ones(1)
    )
    assert get_proxy_mode() is None and pynn._C._get_tracing_state() is None
    assert not isinstance(nn.Linear(1, 1), pynn._dynamo.eval_frame.OptimizedModule)


def test_tensors_by_their_kind():
    from pynn.utils._foreach_utils import _group_tensors_by_device_and_dtype

    a, b, c = pynn.ones(1), pynn.ones(1).double(), pynn.zeros(2)
    groups = _group_tensors_by_device_and_dtype([[a, b, c], [1, 2, 3], []], with_indices=True)
    (single, places), (double, _) = groups[a.device, pynn.float32], groups[a.device, pynn.float64]
    assert single[0][0] is a and single[0][1] is c and single[1:] == [[1, 3], []] and places == [0, 2]
    assert double[0][0] is b and double[1] == [2]


def test_states_of_generators_of_devices():
    from pynn.utils.checkpoint import get_device_states, set_device_states

    devices, states = get_device_states(pynn.ones(1), 3)
    assert devices == [] and states == []
    set_device_states(devices, states)


def test_layers_of_vgg():
    from pynn.vision.models.vgg import VGG, make_layers

    net = VGG(make_layers([4, "M", 512, "M"], batch_norm=True), num_classes=3)
    assert net.eval()(pynn.ones(1, 3, 28, 28)).shape == (1, 3) and len(net.features) == 8
