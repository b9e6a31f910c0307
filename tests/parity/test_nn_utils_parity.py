"""parametrize, weight_norm, spectral_norm, functional_call, fusion, lazy modules, skip_init beside PyTorch."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS, assert_same, compare_module  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Lazy modules are")
rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def utils(lib, name):
    import importlib

    return importlib.import_module(f"{lib.__name__}.nn.utils.{name}")


def both(fn):
    """fn(lib) with both: equal results, or errors of PyTorch's class."""
    found = []
    for lib in LIBS:
        lib.manual_seed(3)
        try:
            found.append(fn(lib))
        except Exception as error:
            found.append(error)
    if isinstance(found[1], Exception):
        assert isinstance(found[0], type(found[1])), f"{found[0]!r} where PyTorch raises {found[1]!r}"
    else:
        assert not isinstance(found[0], Exception), repr(found[0])
        assert_same(*found, 1e-5)
    return found[0]


def symmetric(lib):
    class Symmetric(lib.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).T

        def right_inverse(self, a):
            return a.triu()

    return Symmetric()


def doubled(lib):
    class Doubled(lib.nn.Module):
        def forward(self, x):
            return 2 * x

    return Doubled()


def product(lib):
    class Product(lib.nn.Module):
        def forward(self, a, b):
            return a * b

        def right_inverse(self, x):
            return x.abs(), x.sign()

    return Product()


def test_parametrize():
    def run(lib):
        P = utils(lib, "parametrize")
        m = lib.nn.Linear(3, 3)
        assert P.register_parametrization(m, "weight", symmetric(lib)) is m
        assert P.is_parametrized(m) and P.is_parametrized(m, "weight") and not P.is_parametrized(m, "bias")
        assert P.type_before_parametrizations(m) is lib.nn.Linear and isinstance(m, lib.nn.Linear)
        out = [repr(m), list(m.state_dict()), [n for n, _ in m.named_parameters()], m.weight]
        x = lib.ones(2, 3)
        m(x).sin().sum().backward()
        out += [m(x), m.parametrizations.weight.original.grad, type(m).__name__]
        with P.cached():
            assert m.weight is m.weight
        assert m.weight is not m.weight
        m.weight = lib.arange(9.0).reshape(3, 3)
        out += [m.weight, m.parametrizations.weight.original]
        P.register_parametrization(m, "weight", doubled(lib))
        out += [m.weight, repr(m)]
        try:
            m.weight = lib.zeros(3, 3)
        except RuntimeError:
            out.append("no inverse")
        other = copy.deepcopy(m)
        P.register_parametrization(other, "bias", doubled(lib))
        out += [other.weight, other.bias, P.is_parametrized(m, "bias"), list(other.state_dict())]
        P.remove_parametrizations(m, "weight")
        out += [repr(m), m.weight, type(m) is lib.nn.Linear, isinstance(m.weight, lib.nn.Parameter), m(x)]
        return out

    both(run)


@pytest.mark.parametrize("leave", [True, False])
def test_remove_parametrizations(leave):
    def run(lib, make, name="weight"):
        P = utils(lib, "parametrize")
        m = lib.nn.Linear(3, 3)
        P.register_parametrization(m, name, make(lib))
        out = [list(m.state_dict())]
        P.remove_parametrizations(m, name, leave)
        return [*out, getattr(m, name), getattr(m, name).requires_grad, list(m.state_dict())]

    both(lambda lib: run(lib, symmetric))
    both(lambda lib: run(lib, product))
    both(lambda lib: run(lib, doubled, "bias"))


def test_parametrize_errors():
    def wrong(lib, forward):
        return type("Wrong", (lib.nn.Module,), {"forward": lambda self, x: forward(x)})()

    for change in (lambda x: x.double(), lambda x: x[0], lambda x: 3):
        for chained in (False, True):

            def run(lib, change=change, chained=chained):
                P = utils(lib, "parametrize")
                m = lib.nn.Linear(3, 3)
                if chained:
                    P.register_parametrization(m, "weight", doubled(lib))
                P.register_parametrization(m, "weight", wrong(lib, change))

            assert isinstance(both(run), ValueError)

        def unsafe(lib, change=change):
            m = lib.nn.Linear(3, 3)
            utils(lib, "parametrize").register_parametrization(m, "weight", wrong(lib, change), unsafe=True)
            return m.weight

        both(unsafe)
    both(
        lambda lib: utils(lib, "parametrize").register_parametrization(lib.nn.Linear(3, 3), "x", doubled(lib))
    )
    both(lambda lib: utils(lib, "parametrize").remove_parametrizations(lib.nn.Linear(3, 3), "weight"))

    def pickled(lib):
        m = lib.nn.Linear(3, 3)
        utils(lib, "parametrize").register_parametrization(m, "weight", lib.nn.Identity())
        pickle.dumps(m)

    assert isinstance(both(pickled), RuntimeError)


def test_transfer():
    def run(lib):
        P = utils(lib, "parametrize")
        a, b = lib.nn.Linear(3, 3), lib.nn.Linear(3, 3)
        P.register_parametrization(a, "weight", symmetric(lib))
        P.transfer_parametrizations_and_params(a, b)
        return [repr(b), b.weight, list(b.state_dict())]

    both(run)


@pytest.mark.parametrize("kind", ["Linear", "Embedding", "Bilinear"])
@pytest.mark.parametrize("dim", [0, 1, -1, None])
def test_weight_norm(kind, dim):
    args = {"Linear": (4, 3), "Embedding": (7, 3), "Bilinear": (2, 3, 4)}[kind]
    inputs = {
        "Linear": [floats(2, 4)],
        "Embedding": [np.array([0, 3])],
        "Bilinear": [floats(5, 2), floats(5, 3)],
    }[kind]

    def new(lib):
        return utils(lib, "parametrizations").weight_norm(getattr(lib.nn, kind)(*args), dim=dim)

    def old(lib):
        return lib.nn.utils.weight_norm(getattr(lib.nn, kind)(*args), dim=dim)

    compare_module(new, *inputs, gradgrad=True)
    compare_module(old, *inputs)
    compare_module(lambda lib: lib.nn.utils.remove_weight_norm(old(lib)), *inputs)
    compare_module(lambda lib: utils(lib, "parametrize").remove_parametrizations(new(lib), "weight"), *inputs)
    pynn.manual_seed(1)
    source, target = old(pynn), new(pynn)
    target.load_state_dict(source.state_dict())
    assert_same(target.weight.detach(), torch.from_numpy(source.weight.detach().numpy()))


@pytest.mark.parametrize("kwargs", [{}, {"n_power_iterations": 3}, {"dim": 1}, {"eps": 1e-3}])
@pytest.mark.parametrize("train", [True, False])
def test_spectral_norm(kwargs, train):
    def new(lib):
        return utils(lib, "parametrizations").spectral_norm(lib.nn.Linear(4, 3), **kwargs)

    def old(lib):
        return lib.nn.utils.spectral_norm(lib.nn.Linear(4, 3), **kwargs)

    def thrice(m, x):
        return m(m(m(x)[:, :1].expand(2, 4))[:, :1].expand(2, 4))

    for make in (new, old):
        compare_module(make, floats(2, 4), train=train)
        compare_module(make, floats(2, 4), train=train, call=thrice)
    compare_module(lambda lib: lib.nn.utils.remove_spectral_norm(old(lib)), floats(2, 4))
    compare_module(
        lambda lib: utils(lib, "parametrize").remove_parametrizations(new(lib), "weight"), floats(2, 4)
    )
    compare_module(
        lambda lib: utils(lib, "parametrizations").spectral_norm(lib.nn.LayerNorm(4)), floats(2, 4)
    )


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("how", [None, "matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(shape, how, trivial):
    def make(lib):
        linear = lib.nn.Linear(*shape)
        return utils(lib, "parametrizations").orthogonal(linear, "weight", how, use_trivialization=trivial)

    m = compare_module(make, floats(2, shape[0]), tol=5e-5)
    w = m.weight.detach()
    w = w if w.shape[0] < w.shape[1] else w.T
    np.testing.assert_allclose((w @ w.T).numpy(), np.eye(len(w)), atol=1e-5)

    def assigned(lib):
        made = make(lib)
        with lib.no_grad():
            made.weight = lib.eye(shape[1], shape[0])
        return made.weight

    both(assigned)


def test_orthogonal_errors():
    for args in (("bias",), ("x",), ("weight", "polar")):
        both(lambda lib, a=args: utils(lib, "parametrizations").orthogonal(lib.nn.Linear(3, 3), *a))


def test_norm_errors():
    for fn in (
        lambda lib: lib.nn.utils.remove_weight_norm(lib.nn.Linear(2, 2)),
        lambda lib: lib.nn.utils.remove_spectral_norm(lib.nn.Linear(2, 2)),
        lambda lib: lib.nn.utils.weight_norm(lib.nn.utils.weight_norm(lib.nn.Linear(2, 2))),
        lambda lib: lib.nn.utils.spectral_norm(lib.nn.utils.spectral_norm(lib.nn.Linear(2, 2))),
        lambda lib: lib.nn.utils.spectral_norm(lib.nn.Linear(2, 2, bias=False), "bias"),
        lambda lib: lib.nn.utils.spectral_norm(lib.nn.Linear(2, 2), n_power_iterations=0),
        lambda lib: utils(lib, "parametrizations").spectral_norm(lib.nn.Linear(2, 2), n_power_iterations=0),
        lambda lib: utils(lib, "parametrizations").spectral_norm(lib.nn.Linear(2, 2), dim=2),
        lambda lib: utils(lib, "parametrizations").spectral_norm(lib.nn.Linear(2, 2), "x"),
        lambda lib: utils(lib, "parametrizations").weight_norm(lib.nn.Linear(2, 2), "x"),
    ):
        assert isinstance(both(fn), Exception)


def test_functional_call():
    def run(lib, tensors, args=None, kwargs=None, **options):
        m = lib.nn.Sequential(lib.nn.Linear(3, 3), lib.nn.Tanh(), lib.nn.Linear(3, 2))
        before = dict(m.state_dict())
        call = utils(lib, "stateless").functional_call
        given = tensors(lib)
        out = call(m, given, lib.ones(2, 3) if args is None else args(lib), kwargs, **options)
        assert all(lib.equal(before[k], v) for k, v in m.state_dict().items())
        return out

    both(lambda lib: run(lib, lambda lib: {"0.weight": lib.zeros(3, 3)}))
    both(lambda lib: run(lib, lambda lib: {"0.weight": lib.zeros(3, 3)}, lambda lib: (lib.ones(1, 3),)))
    both(lambda lib: run(lib, lambda lib: {"0.weight": lib.zeros(3, 3)}, lambda lib: (), {"input": 1}))
    both(lambda lib: run(lib, lambda lib: {"0.x": lib.zeros(3, 3)}))
    both(lambda lib: run(lib, lambda lib: {"9.weight": lib.zeros(3, 3)}))
    both(lambda lib: run(lib, lambda lib: {"0.weight": 3}))
    both(lambda lib: run(lib, lambda lib: {"0.weight": lib.zeros(3, 3)}, strict=True))
    both(lambda lib: run(lib, lambda lib: {"0.weight": lib.zeros(5, 5)}))

    def gradients(lib):
        m = lib.nn.LSTM(3, 4)
        w = lib.ones(16, 3).mul(0.1).requires_grad_()
        out, _ = utils(lib, "stateless").functional_call(m, {"weight_ih_l0": w}, (lib.ones(2, 1, 3),))
        return [out, lib.autograd.grad(out.sum(), w)]

    both(gradients)

    def tied(lib, **kwargs):
        m = lib.nn.Module()
        m.a, m.b = lib.nn.Linear(2, 2, bias=False), lib.nn.Linear(2, 2, bias=False)
        m.b.weight = m.a.weight
        m.forward = lambda x: m.b(m.a(x))
        return utils(lib, "stateless").functional_call(
            m, {"a.weight": lib.ones(2, 2)}, lib.ones(1, 2), **kwargs
        )

    both(tied)
    both(lambda lib: tied(lib, tie_weights=False))


def test_fusion():
    def run(lib, bias=True):
        linear = lib.nn.Linear(3, 4, bias=bias).eval()
        stats = [lib.arange(4.0), lib.arange(4.0) + 1, 1e-3, lib.ones(4) * 2, lib.ones(4)]
        fusion = utils(lib, "fusion")
        return [
            *fusion.fuse_linear_bn_weights(linear.weight, linear.bias, *stats),
            *fusion.fuse_conv_bn_weights(lib.ones(4, 2, 3, 3), linear.bias, *stats),
            *fusion.fuse_conv_bn_weights(lib.ones(2, 4, 3, 3), None, *stats, transpose=True),
        ]

    both(run)
    both(lambda lib: run(lib, False))
    if hasattr(pynn.nn, "BatchNorm1d"):

        def whole(lib):
            linear, bn = lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4)
            bn(lib.arange(8.0).reshape(2, 4))
            x = lib.ones(2, 3)
            fused = lib.nn.utils.fuse_linear_bn_eval(linear.eval(), bn.eval())
            assert lib.allclose(fused(x), bn(linear(x)), atol=1e-5)
            return fused(x)

        both(whole)


def test_lazy_linear():
    def run(lib, **kwargs):
        m = lib.nn.Sequential(lib.nn.LazyLinear(3, **kwargs), lib.nn.ReLU(), lib.nn.LazyLinear(2))
        out = [repr(m), list(m.state_dict()), repr(m[0].weight), m[0].has_uninitialized_params()]
        out += [repr(copy.deepcopy(m)), isinstance(m[0].weight, lib.nn.Parameter)]
        lib.manual_seed(0)
        out += [
            m(lib.ones(4, 5)),
            repr(m),
            type(m[0]) is lib.nn.Linear,
            type(m[0].weight) is lib.nn.Parameter,
        ]
        m(lib.ones(4, 5)).sum().backward()
        return [*out, dict(m.state_dict()), m[0].weight.grad]

    both(run)
    both(lambda lib: run(lib, bias=False))
    both(lambda lib: lib.nn.LazyLinear(3).weight.shape)
    both(lambda lib: lib.nn.LazyLinear(3).weight + 1)
    both(lambda lib: lib.nn.Linear(2, 3).load_state_dict(lib.nn.LazyLinear(3).state_dict()))

    def loaded(lib):
        m = lib.nn.LazyLinear(3)
        m.load_state_dict(lib.nn.Linear(5, 3).state_dict())
        out = [repr(m), m.weight, m.has_uninitialized_params()]
        m(lib.ones(2, 5))
        return [*out, repr(m)]

    both(loaded)
    both(lambda lib: str(lib.nn.LazyLinear(3).double()(lib.ones(2, 4).double()).dtype))
    both(lambda lib: repr(lib.nn.LazyLinear(3, dtype=lib.float64).weight.dtype))
    both(lambda lib: [repr(lib.nn.UninitializedParameter()), repr(lib.nn.UninitializedBuffer())])


LAZY = [
    *[(f"LazyConv{d}d", (4, 2), {}, (2, 6, *[5] * d)) for d in (1, 2, 3)],
    *[(f"LazyConvTranspose{d}d", (4, 2), {}, (2, 6, *[5] * d)) for d in (1, 2, 3)],
    ("LazyConv2d", (4, 3), {"padding": 1, "stride": 2, "groups": 2, "bias": False}, (2, 6, 5, 5)),
    ("LazyConv2d", (4, 3), {}, (6, 5, 5)),
    ("LazyConv2d", (4, 3), {"groups": 4}, (2, 6, 5, 5)),
    ("LazyConv2d", (4, 3), {}, (5, 5)),
    ("LazyConvTranspose2d", (4, 3), {"output_padding": 1, "stride": 2, "groups": 2}, (2, 6, 5, 5)),
    *[(f"Lazy{kind}Norm{d}d", (), {}, (2, 6, *[5] * d)) for d in (1, 2, 3) for kind in ("Batch", "Instance")],
    ("LazyBatchNorm1d", (), {"affine": False}, (4, 6)),
    ("LazyBatchNorm2d", (), {"track_running_stats": False, "eps": 1e-3}, (2, 6, 5, 5)),
    ("LazyBatchNorm2d", (), {"bias": False, "momentum": None}, (2, 6, 5, 5)),
    ("LazyBatchNorm2d", (), {}, (2, 6)),
]


@pytest.mark.parametrize("name,args,kwargs,shape", LAZY)
def test_lazy_modules(name, args, kwargs, shape):
    x = floats(*shape)

    def run(lib):
        m = getattr(lib.nn, name)(*args, **kwargs)
        out = [repr(m), list(m.state_dict()), m.has_uninitialized_params()]
        if "Conv" in name:  # PyTorch does not copy lazy buffers
            out.append(repr(copy.deepcopy(m)))
        lib.manual_seed(0)
        y = m(lib.from_numpy(x))
        return [*out, y, repr(m), type(m).__name__, dict(m.state_dict())]

    both(run)

    def loaded(lib):
        full = getattr(lib.nn, name.removeprefix("Lazy"))(6, *args, **kwargs)
        m = getattr(lib.nn, name)(*args, **kwargs)
        m.load_state_dict(full.state_dict())
        return [dict(m.state_dict()), m.has_uninitialized_params()]

    both(loaded)


def test_lazy_instance_norm_of_one_sample():
    """PyTorch takes the wrong dim for the channels of (C, H, W) and fails."""
    m = pynn.nn.LazyInstanceNorm2d()
    assert m(pynn.from_numpy(floats(6, 5, 4))).shape == (6, 5, 4) and m.num_features == 6


def test_skip_init():
    def run(lib, cls, *args, **kwargs):
        m = lib.nn.utils.skip_init(getattr(lib.nn, cls), *args, **kwargs)
        return [repr(m), str(m.weight.device), list(m.weight.shape)]

    both(lambda lib: run(lib, "Linear", 2, 3))
    both(lambda lib: run(lib, "Linear", 2, 3, bias=False))
    both(lambda lib: run(lib, "ReLU"))
    both(lambda lib: lib.nn.utils.skip_init(int, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(pynn, "Embedding", 3, 4)
