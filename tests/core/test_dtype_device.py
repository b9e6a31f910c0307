"""dtypes, devices, sizes: the small value types."""

import copy
import pickle

import pytest
from helpers import ALL_DTYPES, FLOATS, raises

import pynn

ALIASES = {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
}  # fmt: skip


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_dtype_properties(dtype):
    name = str(dtype).split(".")[1]
    assert getattr(pynn, name) is dtype and str(dtype) == repr(dtype) == f"torch.{name}"  # PyTorch's spelling
    assert dtype.is_floating_point == (dtype in FLOATS) and not dtype.is_complex
    size = {"bool": 1, "uint8": 1, "bfloat16": 2}.get(name) or int(
        "".join(c for c in name if c.isdigit())
    ) // 8
    assert (
        dtype.itemsize
        == size
        == pynn.empty(1, dtype=dtype).element_size()
        == pynn.empty(1, dtype=dtype).itemsize
    )
    assert dtype.is_signed == (name not in ("bool", "uint8"))
    assert hash(dtype) == hash(getattr(pynn, name)) and dtype == dtype and dtype != "float32"
    assert pickle.loads(pickle.dumps(dtype)) is dtype and copy.deepcopy(dtype) is dtype
    x = pynn.zeros(3, dtype=dtype)
    assert (
        x.is_floating_point() == dtype.is_floating_point
        and pynn.is_floating_point(x) == x.is_floating_point()
    )
    assert x.nbytes == 3 * size and x.is_signed() == dtype.is_signed


def test_dtype_names():
    for alias, name in ALIASES.items():
        assert getattr(pynn, alias) is getattr(pynn, name)
    assert isinstance(pynn.float32, pynn.dtype) and not isinstance("float32", pynn.dtype)
    assert pynn.bool is pynn.zeros(1).bool().dtype
    with pytest.raises(TypeError):
        pynn.dtype()


def test_default_dtype():
    assert pynn.get_default_dtype() is pynn.float32
    pynn.set_default_dtype(pynn.float64)
    assert pynn.zeros(1).dtype is pynn.float64 and pynn.rand(1).dtype is pynn.float64
    assert pynn.arange(0.0, 1.0, 0.5).dtype is pynn.float64 and pynn.full((1,), 0.5).dtype is pynn.float64
    pynn.set_default_dtype(pynn.float32)
    for bad in (pynn.int64, pynn.bool):
        with raises(TypeError, "(?i)float"):
            pynn.set_default_dtype(bad)
    with pytest.raises((TypeError, RuntimeError)):
        pynn.set_default_dtype(3)
    assert pynn.zeros(1).dtype is pynn.float32


def test_cpu_has_one_device():
    x = pynn.ones(2, device="cpu:0")
    assert x.device == pynn.device("cpu")
    assert (x + pynn.ones(2)).tolist() == [2, 2] and pynn.ones(2).to("cpu:0").tolist() == [1, 1]
    assert pynn.scalar_tensor(2.0, device="cpu:0").item() == 2
    assert pynn.triu_indices(2, 2, device="cpu:0").shape == (2, 3)
    assert pynn.linspace(0, 1, 3, device="cpu:0").tolist() == [0, 0.5, 1]


def test_device():
    d = pynn.device("cpu")
    assert d.type == "cpu" and d.index is None and str(d) == "cpu" and repr(d) == "device(type='cpu')"
    assert pynn.device("cpu:0").index == 0 and repr(pynn.device("cpu", 0)) == "device(type='cpu', index=0)"
    assert d == pynn.device("cpu") and d != pynn.device("meta") and hash(d) == hash(pynn.device("cpu"))
    assert (
        pynn.device(d) == d
        and pynn.device(type="cuda", index=1).index == 1
        and str(pynn.device("cuda:1")) == "cuda:1"
    )
    assert pickle.loads(pickle.dumps(d)) == d and copy.deepcopy(d) == d
    x = pynn.zeros(2)
    assert x.device == d and x.device.type == "cpu" and not x.is_cuda and x.is_cpu and not x.is_meta
    for bad in ("nonsense", "cpu:x", "", "cuda:-1", "cpu:", "cuda:99999999999"):
        with raises(RuntimeError, "(?i)device|index"):
            pynn.device(bad)
    for bad in (None, 1.5, ["cpu"]):
        with pytest.raises((TypeError, RuntimeError)):
            pynn.device(bad)


def test_cuda_is_refused_clearly():
    if pynn.cuda.is_available():
        pytest.skip("this build and machine have CUDA")
    assert pynn.cuda.device_count() == 0
    for call in (
        lambda: pynn.zeros(2, device="cuda"),
        lambda: pynn.zeros(2).to("cuda"),
        lambda: pynn.zeros(2).cuda(),
        lambda: pynn.tensor([1.0], device="cuda:0"),
        lambda: pynn.rand(2).to(pynn.device("cuda", 0)),
        lambda: pynn.zeros(2).to("cuda:0", pynn.float64),
    ):
        with raises((RuntimeError, AssertionError), "(?i)cuda"):
            call()


def test_meta():
    """Shapes and dtypes without memory."""
    x = pynn.empty(1000, 2000, 3000, 4000, device="meta")
    assert x.is_meta and x.shape == (1000, 2000, 3000, 4000) and x.device.type == "meta"
    y = pynn.empty(3, 4, device="meta", requires_grad=True)
    z = (y @ pynn.empty(4, 5, device="meta") + 1).softmax(1).sum(0, keepdim=True).to(pynn.float64)
    assert z.shape == (1, 5) and z.dtype == pynn.float64 and z.is_meta and z.requires_grad
    assert y.t()[1:, 0].shape == (3,) and y[None].expand(7, 3, 4).shape == (7, 3, 4)
    assert pynn.zeros_like(y, device="cpu").sum() == 0
    assert pynn.ones(2, 3).to("meta").is_meta
    for call in (lambda: y.tolist(), lambda: y.sum().item(), lambda: y.detach().numpy(), lambda: y.to("cpu")):
        with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
            call()
    with raises(RuntimeError, "(?i)device|meta"):
        y + pynn.ones(3, 4)
    assert "meta" in repr(x)
    with pytest.raises((RuntimeError, IndexError)):
        y.sum(2)


def test_size():
    x = pynn.zeros(2, 3)
    s = x.shape
    assert (
        isinstance(s, pynn.Size) and isinstance(s, tuple) and s == (2, 3) and repr(s) == "torch.Size([2, 3])"
    )
    assert s.numel() == 6 and x.size() == s and x.size(0) == 2 and x.size(-1) == 3 and x.size(dim=1) == 3
    assert isinstance(s[:1], pynn.Size) and isinstance(s + (4,), pynn.Size) and s[0] == 2
    assert pynn.Size([1, 2]) == (1, 2) and pynn.Size(()) == () and pynn.Size([]).numel() == 1
    assert pickle.loads(pickle.dumps(s)) == s and isinstance(copy.copy(s), pynn.Size)
    assert (
        len(s) == x.dim() == x.ndim == x.ndimension() == 2 and x.numel() == x.nelement() == pynn.numel(x) == 6
    )
    with raises(IndexError, "(?i)size|dim"):
        x.size(2)
    with pytest.raises(TypeError):
        pynn.Size(["a"])
    with raises(TypeError, "item 1 is 'float'"):
        pynn.Size([1, 2.0])


def test_module_constants():
    import math

    assert pynn.pi == math.pi and pynn.e == math.e and pynn.inf == math.inf and pynn.nan != pynn.nan
    assert pynn.newaxis is None and isinstance(pynn.__version__, str)
    assert pynn.strided is pynn.zeros(1).layout


def test_dtypes_without_tensors_know_their_kind():
    for name in ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "uint16", "uint64", "qint8", "complex32"):
        dtype = getattr(pynn, name)
        assert dtype.to_real() is (pynn.float16 if name == "complex32" else dtype)
        with pytest.raises(TypeError, match="not supported"):
            dtype.to_complex()
        for limits in (pynn.finfo, pynn.iinfo):
            try:
                assert limits(dtype).bits in (8, 16, 64)
            except TypeError as e:
                assert "requires" in str(e)
