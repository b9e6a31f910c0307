"""Names that no other file here calls: settings, attributes, lazy and unpooling modules, ...with_indices, conv_tbc."""

import warnings

import numpy as np
import pytest
from parity_helpers import both, floats, integers, table

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

LIBS = pytest.mark.parametrize("lib", [pynn, torch], ids=["pynn", "torch"])


# -- settings -------------------------------------------------------------------------------------------------------

SETTINGS = [  # (getter, setter, a value, and back)
    ("get_default_dtype", "set_default_dtype", "float64", "float32"),
    ("get_deterministic_debug_mode", "set_deterministic_debug_mode", 1, 0),
    ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms", True, False),
    ("get_float32_matmul_precision", "set_float32_matmul_precision", "high", "highest"),
    ("is_warn_always_enabled", "set_warn_always", True, False),
    ("get_num_threads", "set_num_threads", 1, None),
    ("get_default_device", "set_default_device", "cpu", None),
]


@pytest.mark.parametrize("getter, setter, value, back", SETTINGS, ids=[s[1] for s in SETTINGS])
def test_settings(getter, setter, value, back):
    seen = {}
    for lib in (pynn, torch):
        typed = [
            getattr(lib, v) if isinstance(v, str) and v.startswith("float") else v for v in (value, back)
        ]
        before = getattr(lib, getter)()
        getattr(lib, setter)(typed[0])
        after = getattr(lib, getter)()
        getattr(lib, setter)(typed[1] if getter != "get_num_threads" else before)
        seen[lib] = [str(v) for v in (before, after, getattr(lib, getter)())]
    if getter == "get_num_threads":
        assert seen[pynn][1] == seen[torch][1] == "1"
    else:
        assert seen[pynn] == seen[torch]


def test_default_tensor_type():
    for lib in (pynn, torch):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lib.set_default_tensor_type(lib.DoubleTensor)
            made = lib.ones(2)
            lib.set_default_tensor_type("torch.FloatTensor" if lib is torch else lib.FloatTensor)
        assert str(made.dtype) == "torch.float64" and str(lib.ones(1).dtype) == "torch.float32"


def test_flags():
    for name in (
        "is_deterministic_algorithms_warn_only_enabled",
        "is_inference_mode_enabled",
        "compiled_with_cxx11_abi",
    ):
        assert getattr(pynn, name)() == getattr(torch, name)(), name
    assert isinstance(pynn.set_flush_denormal(False), bool) and torch.set_flush_denormal(False)
    assert pynn.get_num_interop_threads() >= 1 and callable(pynn.set_num_interop_threads)
    assert pynn.legacy_contiguous_format is pynn.contiguous_format
    assert pynn.typename(pynn.ones(1)) == torch.typename(torch.ones(1)) and pynn.typename(
        3
    ) == torch.typename(3)
    with pynn.set_grad_enabled(False), torch.set_grad_enabled(False):
        assert not pynn.is_grad_enabled() and not torch.is_grad_enabled()
    assert pynn.thread_safe_generator() is torch.thread_safe_generator() is None
    assert pynn.get_device_module("cpu").__name__.endswith("cpu")


@LIBS
def test_the_default_generator(lib):
    lib.manual_seed(5)
    state, seed = lib.get_rng_state(), lib.initial_seed()
    first = lib.rand(3)
    lib.set_rng_state(state)
    assert lib.equal(lib.rand(3), first) and seed == 5 == lib.default_generator.initial_seed()


@LIBS
def test_errors_are_classes(lib):
    assert issubclass(lib.OutOfMemoryError, RuntimeError)
    assert issubclass(lib.linalg.LinAlgError, RuntimeError)
    with pytest.raises(lib.linalg.LinAlgError):
        lib.linalg.inv(lib.zeros(2, 2))


# -- dtypes and old constructors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor HalfTensor IntTensor ShortTensor".split(),
)
def test_typed_constructors(name):
    for made in ([1, 0, 3], (2, 3)):
        ours, theirs = (
            getattr(lib, name)(*made if isinstance(made, tuple) else [made]) for lib in (pynn, torch)
        )
        assert str(ours.dtype) == str(theirs.dtype) and tuple(ours.shape) == tuple(theirs.shape)
    assert ours.dim() == 2


@pytest.mark.parametrize(
    "name",
    "complex32 float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu qint32 qint8 "
    "quint4x2 quint8 uint16 uint32 uint64".split(),
)
def test_names_of_other_dtypes(name):
    ours, theirs = getattr(pynn, name), getattr(torch, name)
    assert str(ours) == str(theirs) and ours.itemsize == theirs.itemsize
    assert ours.is_floating_point == theirs.is_floating_point and ours.is_complex == theirs.is_complex


# -- memory ----------------------------------------------------------------------------------------------------------


def test_frombuffer_and_from_file(tmp_path):
    raw = np.arange(6, dtype=np.float32)
    path = tmp_path / "numbers"
    path.write_bytes(raw.tobytes())
    for lib in (pynn, torch):
        assert lib.frombuffer(bytearray(raw.tobytes()), dtype=lib.float32, count=3, offset=8).tolist() == [
            2,
            3,
            4,
        ]
        private = lib.from_file(str(path), size=4)
        private[0] = 9
        assert private.tolist() == [9, 1, 2, 3] and np.fromfile(path, np.float32)[0] == 0
        shared = lib.from_file(str(path), shared=True, size=6, dtype=lib.float32)
        shared[5] = 7
        assert shared.tolist() == [0, 1, 2, 3, 4, 7] and np.fromfile(path, np.float32)[5] == 7
        grown = lib.from_file(str(path.with_name(f"new{lib.__name__}")), shared=True, size=3, dtype=lib.int64)
        assert grown.tolist() == [0, 0, 0]
        with pytest.raises(RuntimeError):
            lib.from_file(str(path), size=1000)


ATTRIBUTES = (
    "is_cpu is_ipu is_maia is_mps is_mtia is_nested is_vulkan is_xpu ndim output_nr retains_grad is_cuda is_leaf "
    "itemsize nbytes layout"
).split()
METHODS = "ndimension nelement is_pinned is_shared element_size is_contiguous".split()


def test_attributes():
    for shape in ((2, 3), (), (0, 4)):
        x, y = pynn.ones(shape), torch.ones(shape)
        for name in ATTRIBUTES:
            assert str(getattr(x, name)) == str(getattr(y, name)), name
        for name in METHODS:
            assert getattr(x, name)() == getattr(y, name)(), name


@LIBS
def test_small_methods(lib):
    x = lib.ones(2, 3, requires_grad=True)
    y = (x * 2).detach_()
    assert not y.requires_grad and y.is_leaf and y.const_data_ptr() == y.data_ptr()
    assert type(x.as_subclass(lib.nn.Parameter)) is lib.nn.Parameter
    z = x * 1
    z.retain_grad()
    assert z.retains_grad and not (x * 1).retains_grad
    assert lib.equal(y.clone().module_load(lib.zeros(2, 3)), lib.zeros(2, 3))
    assert y.share_memory_() is y
    assert callable(y.pin_memory) and callable(y.record_stream)  # what they do asks for a device


@LIBS
def test_dlpack_capsule(lib):
    x = lib.arange(4)
    assert lib.equal(lib.from_dlpack(x), x) and "dltensor" in repr(lib.to_dlpack(x))


# -- functions -------------------------------------------------------------------------------------------------------


@table(
    [
        ("conv_tbc", lambda t, x, w, b: t.conv_tbc(x, w, b, 1), floats(5, 2, 3), floats(3, 3, 4), floats(4)),
        (
            "F.conv_tbc",
            lambda t, x, w, b: t.nn.functional.conv_tbc(x, w, b),
            floats(5, 2, 3),
            floats(3, 3, 4),
            floats(4),
        ),
        ("conv_tbc-dims", lambda t, x, w, b: t.conv_tbc(x, w, b), floats(5, 3), floats(3, 3, 4), floats(4)),
        ("native_channel_shuffle", lambda t, x: t.native_channel_shuffle(x.detach(), 2), floats(1, 4, 2, 2)),
        (
            "F.native_channel_shuffle",
            lambda t, x: t.nn.functional.native_channel_shuffle(x.detach(), 2),
            floats(1, 4, 2, 2),
        ),
        ("view_as_real_copy", lambda t, x: t.view_as_real_copy(t.complex(x, x * 2)), floats(3)),
        (
            "view_as_complex_copy",
            lambda t, x: t.view_as_real(t.view_as_complex_copy(x.detach())),
            floats(3, 2),
        ),
        ("elu_", lambda t, x: t.nn.functional.elu_(x * 1, 0.5), floats(2, 3)),
        ("leaky_relu_", lambda t, x: t.nn.functional.leaky_relu_(x * 1, 0.2), floats(2, 3)),
        ("lp_pool1d", lambda t, x: t.nn.functional.lp_pool1d(x, 2, 3, 2), floats(1, 2, 9)),
        (
            "lp_pool2d",
            lambda t, x: t.nn.functional.lp_pool2d(x, 3, (2, 3), ceil_mode=True),
            floats(1, 2, 5, 6, low=0.5),
        ),
        ("lp_pool3d", lambda t, x: t.nn.functional.lp_pool3d(x, 2, 2), floats(1, 2, 4, 4, 5)),
        ("norm-nuc", lambda t, x: t.norm(x, "nuc"), floats(3, 4)),
        ("norm-nuc-dims", lambda t, x: x.norm("nuc", (0, 2), True), floats(3, 4, 2)),
        ("norm-nuc-error", lambda t, x: t.norm(x, "nuc"), floats(3, 4, 2)),
        ("hardtanh-int", lambda t, x: t.nn.functional.hardtanh(x), integers(2, 3)),
        ("relu6-int", lambda t, x: t.nn.functional.relu6(x), integers(2, 3, high=12)),
        ("gelu-out", lambda t, x: t._C._nn.gelu(x, out=t.empty(0, dtype=x.dtype)), floats(3)),
        ("nextafter", lambda t, x, y: t.nextafter(x.bfloat16(), y.bfloat16()).float(), floats(9), -floats(9)),
        ("nextafter", lambda t, x: t.nextafter(x.half(), (x * 0).half()).float(), floats(9)),
        ("nextafter-0", lambda t, x: t.nextafter((x * 0).half(), x.half()).double(), floats(9)),
    ]
)
def test_functions(case):
    name, call, *arguments = case
    both(call, *arguments, where=name)


POOLS = (
    "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d_with_indices "
    "adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices"
).split()


@pytest.mark.parametrize("name", POOLS)
def test_pools_with_indices(name):
    d = int(name[name.index("pool") + 4])
    options = {"output_size": 2} if name.startswith("adaptive") else {"kernel_size": 2}
    both(lambda t, x: getattr(t.nn.functional, name)(x, **options), floats(2, 3, *[4] * d), where=name)


@pytest.mark.parametrize("name", ["fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices"])
def test_fractional_pools_with_indices(name):
    d = int(name[name.index("pool") + 4])

    def call(t, x, samples):
        f = getattr(t.nn.functional, name)
        return f(x, 2, output_size=3, _random_samples=samples.detach())

    both(call, floats(2, 3, *[7] * d), floats(2, 3, d, low=0.0, high=1.0), where=name)


@pytest.mark.parametrize(
    "shapes", [((4, 8, 16), (4, 16, 8)), ((12, 16), (3, 16, 8)), ((3, 8, 16), (16, 12)), ((16, 12), (12, 8))]
)
def test_grouped_mm(shapes):
    a, b = (floats(*s, dtype="float32") for s in shapes)

    def call(t, a, b):
        offs = None if len(shapes[0]) == len(shapes[1]) == 3 else t.tensor([4, 8, 12], dtype=t.int32)
        return t.nn.functional.grouped_mm(a, b, offs=offs)

    both(call, a, b, grad=False)


@pytest.mark.parametrize("largest", [True, False])
def test_lobpcg(largest):
    spread = np.random.default_rng(1).normal(size=(30, 30))
    matrix = spread @ spread.T + np.diag(np.arange(30.0))
    mass = np.eye(30) + 0.1 * np.ones((30, 30))
    for B in (None, mass):
        found = {}
        for lib in (pynn, torch):
            lib.manual_seed(0)
            given = {} if B is None else {"B": lib.from_numpy(B)}
            E, X = lib.lobpcg(lib.from_numpy(matrix), k=3, largest=largest, niter=200, tol=1e-9, **given)
            assert tuple(X.shape) == (30, 3)
            right = X if B is None else given["B"] @ X
            assert float((lib.from_numpy(matrix) @ X - right * E).norm()) < 1e-5
            found[lib] = E.tolist()
        np.testing.assert_allclose(found[pynn], found[torch], rtol=1e-7)
    with pytest.raises(ValueError):
        pynn.lobpcg(pynn.eye(5), k=3)


# -- modules ---------------------------------------------------------------------------------------------------------


LAZY = (
    "LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d"
).split()


@pytest.mark.parametrize("name", LAZY)
def test_lazy_norms(name):
    d = int(name[-2])

    def call(t, x):
        module = getattr(t.nn, name)(dtype=t.float64)
        return module(x), [list(p.shape) for p in module.state_dict().values()], type(module).__name__

    both(call, floats(2, 3, *[4] * d), where=name)


@pytest.mark.parametrize("name", "MaxUnpool1d MaxUnpool2d MaxUnpool3d".split())
def test_unpooling_modules(name):
    d = int(name[-2])

    def call(t, x):
        pool = getattr(t.nn, f"MaxPool{d}d")(2, return_indices=True)
        unpool = getattr(t.nn, name)(2)
        y, at = pool(x)
        return unpool(y, at), unpool(y, at, output_size=x.shape), repr(unpool)

    both(call, floats(2, 3, *[5] * d), where=name)


@LIBS
def test_module_classes(lib):
    wrapped = lib.nn.DataParallel(lib.nn.Linear(2, 2))
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"] or lib is pynn
    assert issubclass(lib.nn.GRUCell, lib.nn.RNNCellBase) and issubclass(lib.optim.SGD, lib.optim.Optimizer)
    norm = lib.nn.SyncBatchNorm(3)
    assert list(norm.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


@LIBS
def test_grad_scaler_without_cuda(lib):
    scaler = lib.GradScaler("cpu", enabled=False)
    p = lib.ones(2, requires_grad=True)
    optimizer = lib.optim.SGD([p], lr=0.5)
    scaler.scale(p.sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert p.tolist() == [0.5, 0.5] and scaler.get_scale() == 1.0 and not scaler.is_enabled()


@LIBS
def test_factors_of_symmetric_matrices(lib):
    a = lib.tensor(
        [[0.0, 2.0, 1.0], [2.0, 0.0, 3.0], [1.0, 3.0, 0.0]], dtype=lib.float64
    )  # zeros ask for a block of two
    factors = lib.linalg.ldl_factor(a)
    assert factors.pivots.min() < 0 and factors.LD.shape == (3, 3)
    b = lib.arange(6.0, dtype=lib.float64).reshape(3, 2)
    assert lib.allclose(a @ lib.linalg.ldl_solve(factors.LD, factors.pivots, b), b)
    assert lib.linalg.ldl_factor_ex(lib.zeros(2, 2)).info.item() != 0
