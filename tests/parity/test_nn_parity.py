"""pynn.nn beside torch.nn: weights from one seed, outputs, gradients, printing, keys and messages."""

import copy
import warnings

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

LIBS = (pynn, torch)
rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def tensor(lib, array, grad=False):
    made = lib.from_numpy(np.array(array))
    return made.requires_grad_() if grad and made.is_floating_point() else made


def close(a, b, tolerance=2e-6):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance)


def both(fn):
    """Run fn(nn, lib) with each library; return the results, an error as (class, message)."""
    results = []
    for lib in LIBS:
        try:
            results.append(fn(lib.nn, lib))
        except Exception as error:
            results.append((type(error).__name__, str(error)))
    return results


ACTIVATIONS = {
    "ReLU": [(), (True,)],
    "ReLU6": [(), (True,)],
    "Sigmoid": [()],
    "Tanh": [()],
    "GELU": [(), ("tanh",)],
    "SiLU": [(), (True,)],
    "LeakyReLU": [(), (0.2,), (0.3, True)],
    "ELU": [(), (0.5,), (1.5, True)],
    "Softplus": [(), (2.0, 5.0)],
    "Softmax": [(1,), (-1,)],
    "LogSoftmax": [(0,), (-1,)],
    "Softmin": [(1,)],
    "LogSigmoid": [()],
    "Hardtanh": [(), (-0.5, 2.0), (-1.0, 1.0, True)],
    "Hardsigmoid": [(), (True,)],
    "Hardswish": [(), (True,)],
    "Mish": [(), (True,)],
    "SELU": [(), (True,)],
    "CELU": [(), (0.5,), (1.5, True)],
    "PReLU": [(), (3,), (1, 0.1)],
    "Threshold": [(0.1, 20.0), (-0.5, 1.0, True)],
    "Tanhshrink": [()],
    "Softsign": [()],
    "GLU": [(), (0,)],
    "Identity": [()],
    "Flatten": [(), (0, 1)],
    "Dropout": [(0.0,), (0.0, True)],
}
# Points where a derivative jumps, and large numbers, beside random ones.
EDGES = np.array([0, 1, -1, 3, -3, 6, -0.5, 2, 20, -20, 60, -60], np.float32)
INPUTS = [floats(4, 3, 6) * 3, np.resize(EDGES, (4, 3, 2))]


@pytest.mark.parametrize(
    "name,args", [(name, args) for name, all_args in ACTIVATIONS.items() for args in all_args]
)
def test_activation(name, args):
    modules = [getattr(lib.nn, name)(*args) for lib in LIBS]
    assert repr(modules[0]) == repr(modules[1])
    for values in INPUTS:
        leaves, outputs = [], []
        for lib, module in zip(LIBS, modules, strict=True):
            leaf = tensor(lib, values, grad=True)
            out = module(leaf * 1)  # not a leaf, so that in-place modules may write to it
            (
                out * tensor(lib, np.cos(np.arange(out.numel(), dtype=np.float32)).reshape(out.shape))
            ).sum().backward()
            leaves.append(leaf)
            outputs.append(out)
        close(*outputs)
        close(leaves[0].grad, leaves[1].grad, 1e-5)


LAYERS = [
    ("Linear", (5, 3), {}, [floats(4, 5)]),
    ("Linear", (5, 3), {"bias": False}, [floats(2, 4, 5)]),
    ("Linear", (5, 1), {}, [floats(5)]),
    ("Bilinear", (4, 5, 3), {}, [floats(2, 4), floats(2, 5)]),
    ("Bilinear", (4, 5, 3), {"bias": False}, [floats(2, 4), floats(2, 5)]),
    ("Embedding", (7, 3), {}, [np.array([[1, 2], [6, 1]])]),
    ("Embedding", (7, 3), {"padding_idx": 2}, [np.array([[1, 2], [6, 2]])]),
    ("Embedding", (7, 3), {"padding_idx": -1, "scale_grad_by_freq": True}, [np.array([[1, 1], [6, 2]])]),
    ("Embedding", (7, 3), {"max_norm": 1.0}, [np.array([0, 1, 3, 1])]),
    ("Embedding", (7, 3), {"max_norm": 0.5, "norm_type": 1.0}, [np.array([[0, 1], [3, 1]])]),
    ("LayerNorm", (6,), {}, [floats(4, 6)]),
    ("LayerNorm", ((3, 6),), {"eps": 1e-3}, [floats(4, 3, 6)]),
    ("LayerNorm", ([6],), {"bias": False}, [floats(4, 6)]),
    ("LayerNorm", (6,), {"elementwise_affine": False}, [floats(4, 6)]),
    ("PReLU", (3,), {}, [floats(2, 3, 4)]),
    ("Unflatten", (1, (2, 3)), {}, [floats(4, 6)]),
]


@pytest.mark.parametrize("name,args,kwargs,inputs", LAYERS)
def test_layer(name, args, kwargs, inputs):
    modules, outputs, leaves = [], [], []
    for lib in LIBS:
        lib.manual_seed(3)
        module = getattr(lib.nn, name)(*args, **kwargs)
        given = [tensor(lib, values, grad=True) for values in inputs]
        out = module(*given)
        out.square().sum().backward()
        modules.append(module)
        outputs.append(out)
        leaves.append([x for x in given if x.requires_grad] + list(module.parameters()))
    assert repr(modules[0]) == repr(modules[1])
    states = [module.state_dict() for module in modules]
    assert list(states[0]) == list(states[1])
    assert states[0]._metadata == states[1]._metadata
    for key in states[0]:
        close(states[0][key], states[1][key])
    close(*outputs, 1e-5)
    for ours, theirs in zip(*leaves, strict=True):
        close(ours.grad, theirs.grad, 2e-5)


LOGITS, CLASSES = floats(5, 4), np.array([0, 3, 1, -100, 2])
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
WEIGHTS = np.array([0.5, 1, 2, 0.1], np.float32)
X, T = floats(5, 4), floats(5, 4)
UNIT = 1 / (1 + np.exp(-X))
LOSSES = [
    ("MSELoss", {}, X, T),
    ("L1Loss", {}, X, T),
    ("SmoothL1Loss", {}, X, T),
    ("SmoothL1Loss", {"beta": 0.3}, X, T),
    ("SmoothL1Loss", {"beta": 0.0}, X, T),
    ("HuberLoss", {"delta": 0.7}, X, T),
    ("BCELoss", {}, UNIT, PROBABILITIES),
    ("BCELoss", {"weight": WEIGHTS}, UNIT, PROBABILITIES),
    ("BCEWithLogitsLoss", {}, X * 30, PROBABILITIES),
    ("BCEWithLogitsLoss", {"weight": WEIGHTS, "pos_weight": WEIGHTS[::-1]}, X, PROBABILITIES),
    ("CrossEntropyLoss", {}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {"weight": WEIGHTS, "ignore_index": 1}, LOGITS, np.abs(CLASSES) % 4),
    ("CrossEntropyLoss", {"weight": WEIGHTS, "label_smoothing": 0.1}, LOGITS, CLASSES),
    ("CrossEntropyLoss", {}, LOGITS, PROBABILITIES),
    ("CrossEntropyLoss", {"weight": WEIGHTS, "label_smoothing": 0.2}, LOGITS, PROBABILITIES),
    ("CrossEntropyLoss", {}, floats(2, 4, 3), np.array([[0, 1, 3], [2, 2, 0]])),
    ("NLLLoss", {"weight": WEIGHTS}, np.log(PROBABILITIES), CLASSES),
    ("KLDivLoss", {}, np.log(PROBABILITIES), np.roll(PROBABILITIES, 1, 0)),
    ("KLDivLoss", {"log_target": True}, np.log(PROBABILITIES), np.roll(np.log(PROBABILITIES), 1, 0)),
]


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name,kwargs,values,target", LOSSES)
def test_loss(name, kwargs, values, target, reduction):
    outputs, leaves, modules = [], [], []
    for lib in LIBS:
        arguments = {k: tensor(lib, v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        module = getattr(lib.nn, name)(**arguments, reduction=reduction)
        leaf = tensor(lib, values, grad=True)
        out = module(leaf, tensor(lib, target))
        out.sum().backward()
        outputs.append(out)
        leaves.append(leaf)
        modules.append(module)
    assert repr(modules[0]) == repr(modules[1])
    assert list(modules[0].state_dict()) == list(modules[1].state_dict())
    close(*outputs, 1e-5)
    close(leaves[0].grad, leaves[1].grad, 1e-5)


def test_kl_div_batchmean():
    close(
        *both(lambda nn, lib: nn.KLDivLoss(reduction="batchmean")(tensor(lib, X), tensor(lib, PROBABILITIES)))
    )


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weight_of_a_loss(name, reduction):
    close(
        *both(
            lambda nn, lib: getattr(nn.functional, name)(
                tensor(lib, X),
                tensor(lib, T),
                reduction=reduction,
                weight=tensor(lib, np.abs(floats(5, 4)) * 0 + UNIT),
            )
        )
    )


@pytest.mark.parametrize(
    "old", [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}]
)
@pytest.mark.parametrize("name", ["MSELoss", "CrossEntropyLoss", "KLDivLoss", "BCEWithLogitsLoss"])
def test_old_arguments_of_losses(name, old):
    def run(nn, lib):
        with pytest.warns(UserWarning) as caught:
            reduction = getattr(nn, name)(**old).reduction
        return reduction, str(caught[0].message)

    ours, theirs = both(run)
    assert ours == theirs


def test_sizes_that_broadcast_warn():
    def run(nn, lib):
        with pytest.warns(UserWarning) as caught:
            nn.functional.mse_loss(lib.zeros(3, 1), lib.zeros(3))
        return str(caught[0].message)

    ours, theirs = both(run)
    assert ours == theirs


FUNCTIONS = [
    ("normalize", lambda F, t: F.normalize(t(X))),
    ("normalize", lambda F, t: F.normalize(t(X), p=1, dim=0)),
    ("cosine", lambda F, t: F.cosine_similarity(t(X), t(T))),
    ("cosine", lambda F, t: F.cosine_similarity(t(X), t(T[:1]), dim=0)),
    ("distance", lambda F, t: F.pairwise_distance(t(X), t(T))),
    ("distance", lambda F, t: F.pairwise_distance(t(X), t(T), 1.0, 1e-3, True)),
    ("one_hot", lambda F, t: F.one_hot(t(np.array([[1, 0], [3, 2]])))),
    ("one_hot", lambda F, t: F.one_hot(t(np.array([1, 0])), 5)),
    ("softmax dtype", lambda F, t: F.softmax(t(X), 1, dtype=None)),
    ("pad", lambda F, t: F.pad(t(X), (1, 2))),
    ("pad", lambda F, t: F.pad(t(X), (1, -2, -1, 3), value=1.5)),
    ("reflect", lambda F, t: F.pad(t(X), (1, 2), mode="reflect")),
    ("reflect", lambda F, t: F.pad(t(X[None]), (3, 2, 1, 4), mode="reflect")),
    ("replicate", lambda F, t: F.pad(t(X[None, None]), (1, 2, 0, 3), mode="replicate")),
    ("circular", lambda F, t: F.pad(t(X), (2, 1), mode="circular")),
    ("circular", lambda F, t: F.pad(t(X[None, None]), (4, 1, 0, 5), mode="circular")),
    ("hardtanh_", lambda F, t: F.hardtanh(t(X), inplace=True)),
    ("eval dropout", lambda F, t: F.dropout(t(X), 0.9, False)),
    ("full dropout", lambda F, t: F.dropout(t(X), 1.0)),
    ("eval dropout2d", lambda F, t: F.dropout2d(t(X[None, None]), 0.9, False)),
    ("full dropout1d", lambda F, t: F.dropout1d(t(X), 1.0)),
]


@pytest.mark.parametrize("name,call", FUNCTIONS)
def test_function(name, call):
    ours, theirs = both(lambda nn, lib: call(nn.functional, lambda array: tensor(lib, array)))
    assert tuple(ours.shape) == tuple(theirs.shape)
    close(ours, theirs)


INITS = [
    ("uniform_", (-2.0, 3.0)),
    ("normal_", (1.0, 2.0)),
    ("trunc_normal_", ()),
    ("trunc_normal_", (0.0, 0.02)),
    ("trunc_normal_", (0.0, 1.0, 1.0, 2.0)),
    ("trunc_normal_", (0.0, 1.0, 0.1, 0.2)),
    ("constant_", (0.3,)),
    ("ones_", ()),
    ("zeros_", ()),
    ("xavier_uniform_", (2.0,)),
    ("xavier_normal_", ()),
    ("kaiming_uniform_", (0.2,)),
    ("kaiming_uniform_", (0, "fan_out", "relu")),
    ("kaiming_normal_", ()),
    ("kaiming_normal_", (0, "fan_out", "tanh")),
    ("orthogonal_", ()),
    ("orthogonal_", (0.5,)),
    ("eye_", ()),
    ("sparse_", (0.4,)),
    ("dirac_", ()),
    ("dirac_", (2,)),
]


@pytest.mark.parametrize("name,args", INITS)
def test_init(name, args):
    shapes = [(6, 4, 3), (4, 3, 3, 5)] if name == "dirac_" else [(6, 9), (9, 6), (3, 2)]
    if name not in ("eye_", "sparse_", "dirac_"):
        shapes.append((4, 3, 2, 2))
    for shape in shapes:

        def run(nn, lib, shape=shape):
            lib.manual_seed(11)
            weight = nn.Parameter(lib.empty(shape))
            assert getattr(nn.init, name)(weight, *args) is weight
            return weight

        close(*both(run), 1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda init, t: init.eye_(t(3)),
        lambda init, t: init.dirac_(t(3, 3)),
        lambda init, t: init.dirac_(t(3, 3, 3), groups=2),
        lambda init, t: init.xavier_uniform_(t(3)),
        lambda init, t: init.kaiming_normal_(t(3, 3), mode="fan"),
        lambda init, t: init.kaiming_normal_(t(3, 3), nonlinearity="step"),
        lambda init, t: init.calculate_gain("leaky_relu", "a"),
        lambda init, t: init.orthogonal_(t(3)),
        lambda init, t: init.sparse_(t(3), 0.1),
    ],
)
def test_init_errors(call):
    ours, theirs = both(lambda nn, lib: call(nn.init, lib.empty))
    assert ours[0] == "ValueError"
    assert ours == theirs


def test_gains():
    names = ["linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
    ours, theirs = both(lambda nn, lib: [nn.init.calculate_gain(name) for name in names])
    assert ours == theirs


def build(nn, lib):
    """A model with every kind of member: containers, tied and missing parameters, buffers, extra state."""

    class Extra(nn.Module):
        def get_extra_state(self):
            return {"steps": 3}

        def set_extra_state(self, state):
            self.state = state

    class Net(nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 4, padding_idx=0)
            self.layers = nn.ModuleList(
                [nn.Linear(4, 4) for _ in range(3)] + [nn.ReLU(), nn.Linear(4, 4, bias=False)]
            )
            self.heads = nn.ModuleDict(
                {"a": nn.Linear(4, 2), "b": nn.Sequential(nn.LayerNorm(4), nn.Dropout(0.1))}
            )
            self.tied = self.heads["a"]
            self.scale = nn.Parameter(lib.ones(4))
            self.list = nn.ParameterList([lib.zeros(2), nn.Parameter(lib.ones(3))])
            self.dict = nn.ParameterDict({"x": lib.zeros(1), "n": None})
            self.register_parameter("missing", None)
            self.register_buffer("mean", lib.zeros(4))
            self.register_buffer("scratch", lib.zeros(2), persistent=False)
            self.register_buffer("none", None)
            self.counter = nn.Buffer(lib.zeros(()))
            self.extra = Extra()
            self.empty = nn.ModuleList()
            self.absent = None

    lib.manual_seed(5)
    return Net()


def test_a_whole_model():
    ours, theirs = both(build)
    assert repr(ours) == repr(theirs)
    for prefix in ("", "net"):
        for method in ("named_parameters", "named_buffers", "named_modules"):
            for remove_duplicate in (True, False):
                names = [
                    [
                        name
                        for name, _ in getattr(net, method)(prefix=prefix, remove_duplicate=remove_duplicate)
                    ]
                    for net in (ours, theirs)
                ]
                assert names[0] == names[1]
    assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
    assert len(list(ours.parameters(recurse=False))) == len(list(theirs.parameters(recurse=False))) == 1
    states = ours.state_dict(), theirs.state_dict()
    assert list(states[0]) == list(states[1])
    assert states[0]._metadata == states[1]._metadata
    for key in states[0]:
        if not key.endswith("_extra_state"):
            close(states[0][key], states[1][key])
    assert list(ours.state_dict(prefix="p.")) == list(theirs.state_dict(prefix="p."))
    assert sorted(n for n in dir(ours) if not n.startswith("_")) == sorted(
        n
        for n in dir(theirs)
        if not n.startswith("_") and n not in ("T_destination", "compile", "ipu", "xpu", "mtia")
    )


def tampered(state, lib):
    state = copy.copy(state)
    del state["scale"], state["layers.1.bias"]
    state["layers.0.weight"] = lib.zeros(2, 2)
    state["layers.0.other"] = lib.zeros(1)
    state["nowhere.x"] = lib.zeros(1)
    state["mean"] = [1, 2]
    return state


@pytest.mark.parametrize("strict", [True, False])
def test_messages_of_load_state_dict(strict):
    def run(nn, lib):
        net = build(nn, lib)
        return net.load_state_dict(tampered(net.state_dict(), lib), strict=strict)

    ours, theirs = both(run)
    assert ours[0] == "RuntimeError"
    assert ours[1].replace("pynn", "torch") == theirs[1]


def test_results_of_load_state_dict():
    def run(nn, lib):
        net = build(nn, lib)
        state = net.state_dict()
        full = repr(net.load_state_dict(state))
        del state["scale"]
        state["other"] = lib.zeros(1)
        part = net.load_state_dict(state, strict=False)
        return full, repr(part), part.missing_keys, part.unexpected_keys, list(part)

    ours, theirs = both(run)
    assert ours == theirs


MISTAKES = [
    lambda nn, lib: nn.Module().register_parameter("a.b", None),
    lambda nn, lib: nn.Module().register_parameter("", None),
    lambda nn, lib: nn.Module().register_parameter(1, None),
    lambda nn, lib: nn.Module().register_parameter("forward", None),
    lambda nn, lib: nn.Module().register_parameter("p", 3),
    lambda nn, lib: nn.Module().register_parameter("p", lib.zeros(2)),
    lambda nn, lib: nn.Module().register_buffer("a.b", None),
    lambda nn, lib: nn.Module().register_buffer("", None),
    lambda nn, lib: nn.Module().register_buffer("b", "text"),
    lambda nn, lib: nn.Module().register_buffer("training", None),
    lambda nn, lib: nn.Module().add_module("a.b", nn.ReLU()),
    lambda nn, lib: nn.Module().add_module("", nn.ReLU()),
    lambda nn, lib: nn.Module().add_module("m", 5),
    lambda nn, lib: nn.Module().add_module(None, nn.ReLU()),
    lambda nn, lib: nn.Module().add_module("train", nn.ReLU()),
    lambda nn, lib: setattr(nn.Linear(2, 2), "weight", lib.zeros(2, 2)),
    lambda nn, lib: setattr(nn.Linear(2, 2), "bias", 3),
    lambda nn, lib: setattr(nn.Sequential(nn.ReLU()), "0", 3),
    lambda nn, lib: setattr(nn.BCELoss(), "weight", 3),
    lambda nn, lib: nn.Linear(2, 2).nothing,
    lambda nn, lib: delattr(nn.Linear(2, 2), "nothing"),
    lambda nn, lib: nn.Linear(2, 2).get_submodule("a"),
    lambda nn, lib: nn.Linear(2, 2).get_submodule("weight"),
    lambda nn, lib: nn.Linear(2, 2).get_parameter("in_features"),
    lambda nn, lib: nn.Linear(2, 2).get_parameter("nothing"),
    lambda nn, lib: nn.Linear(2, 2).get_buffer("weight"),
    lambda nn, lib: nn.Linear(2, 2).set_submodule("", nn.ReLU()),
    lambda nn, lib: nn.Linear(2, 2).set_submodule("weight", nn.ReLU()),
    lambda nn, lib: nn.Linear(2, 2).set_submodule("a", nn.ReLU(), strict=True),
    lambda nn, lib: nn.Linear(2, 2).to(lib.int64),
    lambda nn, lib: nn.Linear(2, 2).train("yes"),
    lambda nn, lib: nn.Linear(2, 2).load_state_dict([1]),
    lambda nn, lib: nn.Module()(1),
    lambda nn, lib: nn.Module(1),
    lambda nn, lib: nn.Module(a=1),
    lambda nn, lib: nn.Dropout(1.5),
    lambda nn, lib: nn.functional.dropout(lib.zeros(2), -0.1),
    lambda nn, lib: nn.HuberLoss(delta="a"),
    lambda nn, lib: nn.Hardtanh(1.0, 0.0),
    lambda nn, lib: nn.Embedding(3, 2, padding_idx=3),
    lambda nn, lib: nn.Embedding.from_pretrained(lib.zeros(3)),
    lambda nn, lib: nn.Bilinear(0, 2, 2),
    lambda nn, lib: nn.Unflatten(1, 3),
    lambda nn, lib: nn.Unflatten(1, (2, "a")),
    lambda nn, lib: nn.Sequential(nn.ReLU())[1],
    lambda nn, lib: nn.Sequential(nn.ReLU()) + 1,
    lambda nn, lib: nn.Sequential(nn.ReLU()) * 0,
    lambda nn, lib: nn.Sequential(nn.ReLU()) * 1.5,
    lambda nn, lib: nn.Sequential(nn.ReLU()).insert(3, nn.ReLU()),
    lambda nn, lib: nn.ModuleList([nn.ReLU()])[-2],
    lambda nn, lib: nn.ModuleList().extend(1),
    lambda nn, lib: nn.ModuleDict(3),
    lambda nn, lib: nn.ModuleDict([(1, 2, 3)]),
    lambda nn, lib: nn.ModuleDict({"a": 1}),
    lambda nn, lib: nn.ModuleDict()["a"],
    lambda nn, lib: nn.ParameterList()(1),
    lambda nn, lib: nn.ParameterList([1])[1],
    lambda nn, lib: nn.functional.one_hot(lib.tensor([-1])),
    lambda nn, lib: nn.functional.one_hot(lib.tensor([3]), 2),
    lambda nn, lib: nn.functional.one_hot(lib.tensor([], dtype=lib.int64)),
    lambda nn, lib: nn.functional.glu(lib.zeros(())),
    lambda nn, lib: nn.utils.vector_to_parameters([1], []).shape,
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_the_same_error(mistake):
    ours, theirs = both(mistake)
    assert isinstance(theirs, tuple) and isinstance(theirs[0], str), "PyTorch raised nothing"
    assert ours[0] == theirs[0]
    assert ours[1].replace("pynn.", "torch.") == theirs[1]


def test_assignment_before_init():
    def attempt(nn, value):
        class Late(nn.Module):
            def __init__(self):
                self.member = value
                super().__init__()

        return Late()

    for value in (lambda nn, lib: nn.Parameter(lib.zeros(1)), lambda nn, lib: nn.ReLU()):
        ours, theirs = both(lambda nn, lib, value=value: attempt(nn, value(nn, lib)))
        assert ours == theirs
        assert ours[0] == "AttributeError"


def test_containers_print_alike():
    def run(nn, lib):
        from collections import OrderedDict

        block = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        made = [
            nn.Sequential(),
            nn.Sequential(OrderedDict([("first", nn.Linear(1, 2)), ("second", nn.Tanh())])),
            nn.ModuleList([block, block, nn.ReLU(), block]),
            nn.ModuleList([nn.ModuleList([nn.ReLU()] * 2)] * 2),
            nn.ModuleDict({"a": block}),
            nn.ParameterList([lib.zeros(2, 3), lib.zeros(1, dtype=lib.float64), 5]),
            nn.ParameterList([lib.zeros(2)]),
            nn.ParameterDict({"b": lib.zeros(2), "a": "text"}),
            nn.Parameter(lib.ones(2)),
            nn.Parameter(lib.ones(2), requires_grad=False),
        ]
        return [repr(module) for module in made]

    ours, theirs = both(run)
    assert ours == theirs


def test_training_runs_alike():
    """Ten steps of plain gradient descent from one seed, clipped, with the losses side by side."""

    def run(nn, lib):
        lib.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))
        inputs = tensor(lib, np.sin(np.arange(64, dtype=np.float32)).reshape(8, 8))
        target = tensor(lib, np.arange(8) % 3)
        losses = []
        for _ in range(10):
            net.zero_grad()
            loss = nn.CrossEntropyLoss()(net(inputs), target)
            loss.backward()
            losses.append(loss.item())
            losses.append(float(nn.utils.clip_grad_norm_(net.parameters(), 0.5)))
            with lib.no_grad():
                for param in net.parameters():
                    param -= 0.5 * param.grad
        return losses

    ours, theirs = both(run)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
def test_clipping(norm):
    def run(nn, lib):
        params = [nn.Parameter(lib.zeros(3, 2)), nn.Parameter(lib.zeros(4)), nn.Parameter(lib.zeros(2))]
        for i, param in enumerate(params[:2]):
            param.grad = tensor(lib, X.ravel()[i : i + param.numel()].reshape(param.shape) * 10)
        total = nn.utils.clip_grad_norm_(params, 1.0, norm)
        nn.utils.clip_grad_value_(params, 0.2)
        return lib.cat([total.view(1), params[0].grad.view(-1), params[1].grad])

    close(*both(run))


def full_backward_log(nn, lib, needs_input, fn):
    """What backward hooks see of a module of two inputs and two outputs, and the gradients that come out."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(lib.ones(3))

        def forward(self, x, y):
            return x * y * self.weight, x + y + self.weight

    module, log = Two(), []

    def note(name):
        def hook(module, *grads):
            flat = [None if g is None else g.tolist() for group in grads for g in group]
            log.append((name, [len(group) for group in grads], flat))

        return hook

    def double(module, grads, *rest):
        return tuple(None if g is None else g * 2 for g in grads)

    module.register_full_backward_hook(note("grad"))
    module.register_full_backward_pre_hook(note("pre"))
    if fn == "change":
        module.register_full_backward_pre_hook(double)
        if needs_input:
            module.register_full_backward_hook(double, prepend=True)
    x = tensor(lib, floats(3) * 0 + 2, grad=needs_input)
    y = tensor(lib, np.arange(3, dtype=np.float32))
    a, b = module(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (a.sum() + (b * b).sum() if fn != "one" else b.sum()).backward()
    return log, module.weight.grad.tolist(), x.grad.tolist() if needs_input else None


@pytest.mark.parametrize("needs_input", [True, False])
@pytest.mark.parametrize("fn", ["look", "change", "one"])
def test_backward_hooks(needs_input, fn):
    ours, theirs = both(lambda nn, lib: full_backward_log(nn, lib, needs_input, fn))
    assert ours == theirs
