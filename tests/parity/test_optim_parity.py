"""Optimisers and schedules beside PyTorch: the same parameters, rates and saved states."""

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05, "maximize": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.2, "amsgrad": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "foreach": True}),
    ("Adam", {"fused": True}),
    ("AdamW", {"foreach": True, "maximize": True}),
    ("RMSprop", {"momentum": 0.5}),
    ("RMSprop", {"alpha": 0.4, "centered": True, "maximize": True, "foreach": True}),
    ("Adagrad", {"maximize": True, "foreach": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.05, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
]
IDS = [f"{name}-{'-'.join(options) or 'defaults'}" for name, options in OPTIMIZERS]


def start_values():
    rng = np.random.default_rng(1)
    shapes = ((5, 8), (8,), (8, 3), (3,), (4,))  # the last is never used: it gets no gradient
    return [(rng.normal(size=shape) / 2).astype(np.float32) for shape in shapes]


def batch(step):
    rng = np.random.default_rng(100 + step)
    return rng.normal(size=(16, 5)).astype(np.float32), rng.normal(size=(16, 3)).astype(np.float32)


class Run:
    """A two-layer net in `lib` (pynn or torch), written with operators alone; two parameter groups."""

    def __init__(self, lib, name, options, dtype="float32"):
        self.lib = lib
        self.dtype = getattr(lib, dtype)
        self.params = [self.tensor(value).requires_grad_() for value in start_values()]
        groups = [{"params": self.params[:2]}, {"params": self.params[2:], "lr": 0.02}]
        self.opt = getattr(lib.optim, name)(groups, **options)

    def tensor(self, array):
        return self.lib.tensor(array.tolist(), dtype=self.dtype)

    def step(self, number):
        x, y = (self.tensor(array) for array in batch(number))
        w1, b1, w2, b2, _ = self.params
        self.opt.zero_grad()
        loss = (((x @ w1 + b1).tanh() @ w2 + b2 - y) ** 2).mean()
        loss.backward()
        self.opt.step()
        return loss.item()

    def values(self):
        return [p.detach().numpy() for p in self.params]


def plain(value):
    """A state dict of either library in NumPy and Python values."""
    if isinstance(value, (pynn.Tensor, torch.Tensor)):
        return ("tensor", str(value.dtype).split(".")[-1], value.detach().numpy())
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


def assert_same(mine, theirs, rtol=1e-5, atol=1e-6):
    assert type(mine) is type(theirs)
    if isinstance(mine, dict):
        assert list(mine) == list(theirs)
        for key in mine:
            assert_same(mine[key], theirs[key], rtol, atol)
    elif isinstance(mine, (list, tuple)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            assert_same(a, b, rtol, atol)
    elif isinstance(mine, (float, np.ndarray)):
        assert np.shape(mine) == np.shape(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol)
    else:
        assert mine == theirs


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
@pytest.mark.parametrize("dtype, rtol, atol", [("float32", 1e-4, 1e-5), ("float64", 1e-10, 1e-12)])
def test_training(name, options, dtype, rtol, atol):
    mine, theirs = Run(pynn, name, options, dtype), Run(torch, name, options, dtype)
    for i in range(20):
        np.testing.assert_allclose(mine.step(i), theirs.step(i), rtol=rtol, atol=atol)
        for a, b in zip(mine.values(), theirs.values(), strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    assert_same(plain(mine.opt.state_dict()), plain(theirs.opt.state_dict()), rtol, atol)


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
def test_repr_and_defaults(name, options):
    mine, theirs = Run(pynn, name, options), Run(torch, name, options)
    assert repr(mine.opt) == repr(theirs.opt)
    assert mine.opt.defaults == theirs.opt.defaults
    assert_same(plain(mine.opt.state_dict()), plain(theirs.opt.state_dict()))


@pytest.mark.parametrize("name, options", OPTIMIZERS, ids=IDS)
def test_training_goes_on_from_the_other_library(name, options):
    mine, theirs = Run(pynn, name, options), Run(torch, name, options)
    for i in range(4):
        theirs.step(i)
    saved = theirs.opt.state_dict()
    for state in saved["state"].values():
        for key, value in state.items():
            state[key] = pynn.tensor(value.tolist(), dtype=pynn.float32)
    mine.opt.load_state_dict(saved)
    with pynn.no_grad():
        for p, value in zip(mine.params, theirs.values(), strict=True):
            p.copy_(pynn.tensor(value.tolist()))
    theirs = Run(torch, name, options)
    for i in range(8):
        expected = theirs.step(i)
        if i >= 4:
            np.testing.assert_allclose(mine.step(i), expected, rtol=1e-4, atol=1e-5)
    assert_same(plain(mine.opt.state_dict()), plain(theirs.opt.state_dict()), 1e-4, 1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda o, p: o.SGD(p),
        lambda o, p: o.SGD([]),
        lambda o, p: o.SGD([3]),
        lambda o, p: o.SGD([p * 2]),
        lambda o, p: o.SGD([p, ("a", p)]),
        lambda o, p: o.SGD([{"params": [p]}, {"params": [p]}]),
        lambda o, p: o.SGD([{"params": [p]}, 3]),
        lambda o, p: o.SGD([{"params": {p}}]),
        lambda o, p: o.SGD([p], lr=-1),
        lambda o, p: o.SGD([p], nesterov=True),
        lambda o, p: o.SGD([p], fused=True, foreach=True),
        lambda o, p: o.Adam([p], betas=(1, 0.9)),
        lambda o, p: o.Adam([p], betas=(0, 0.9)),
        lambda o, p: o.Adam([p], eps=-1),
        lambda o, p: o.AdamW([p], weight_decay=-1),
        lambda o, p: o.Adam([p], lr=[1, 2]),
        lambda o, p: o.RMSprop([p], alpha=-1),
        lambda o, p: o.Adagrad([p], lr_decay=-1),
        lambda o, p: o.SGD([p], lr=1).load_state_dict({"state": {}, "param_groups": []}),
        lambda o, p: o.SGD([p], lr=1).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
        lambda o, p: o.SGD([p], unknown=1),
    ],
)
def test_error_classes(make):
    raised = []
    for lib in (pynn, torch):
        with pytest.raises(Exception) as info:
            make(lib.optim, lib.ones(2, requires_grad=True))
        raised.append(info.type)
    assert raised[0] is raised[1]


SCHEDULES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda e: 0.95**e, lambda e: 1 / (1 + e)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.9),
    "StepLR": lambda s, o: s.StepLR(o, 4, 0.3),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 9, 9, 20], 0.5),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.3, 7),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.1, 0.7, 11),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.93),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 13, 1.7),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 8, 0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "OneCycleLR-cos": lambda s, o: s.OneCycleLR(o, 1.5, 31),
    "OneCycleLR-linear": lambda s, o: s.OneCycleLR(
        o, [1.5, 2.0], epochs=8, steps_per_epoch=4, anneal_strategy="linear", three_phase=True
    ),
    "CyclicLR-triangular": lambda s, o: s.CyclicLR(o, 0.1, 0.7, 4, 6),
    "CyclicLR-triangular2": lambda s, o: s.CyclicLR(o, [0.1, 0.2], 0.7, 4, mode="triangular2"),
    "CyclicLR-exp_range": lambda s, o: s.CyclicLR(o, 0.1, 0.7, 5, mode="exp_range", gamma=0.97),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 5), s.CosineAnnealingLR(o, 10), s.StepLR(o, 3, 0.5)], [5, 18]
    ),
    "SequentialLR-from-0": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1), s.ExponentialLR(o, 0.9)], [0]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.StepLR(o, 5)]
    ),
}


def schedule(lib, name, cls="SGD", tensor_lr=False, **options):
    params = [lib.zeros(1, requires_grad=True) for _ in range(2)]
    lr = lib.tensor(0.2, dtype=lib.float64) if tensor_lr else 0.2
    opt = getattr(lib.optim, cls)(
        [{"params": params[:1]}, {"params": params[1:], "lr": 0.9}], lr=lr, **options
    )
    return opt, SCHEDULES[name](lib.optim.lr_scheduler, opt)


def group_options(opt):
    return [
        plain({k: v for k, v in group.items() if k not in ("params", "fused")}) for group in opt.param_groups
    ]


def scheduler_state(scheduler):
    state = scheduler.state_dict()
    for part in [state, *state.get("_schedulers", [])]:
        part.pop("_scale_fn_ref", None)
    return {key: plain(state[key]) for key in sorted(state)}


@pytest.mark.parametrize("cls, options", [("SGD", {"momentum": 0.5}), ("Adam", {})])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name, cls, options):
    (a, mine), (b, theirs) = schedule(pynn, name, cls, **options), schedule(torch, name, cls, **options)
    for _ in range(30):
        assert_same(group_options(a), group_options(b), 1e-12, 0)
        assert_same(mine.get_last_lr(), theirs.get_last_lr(), 1e-12, 0)
        for opt, scheduler in ((a, mine), (b, theirs)):
            opt.step()
            scheduler.step()
    for key, value in scheduler_state(theirs).items():
        assert key in mine.state_dict()
        if key not in ("milestones", "_schedulers"):
            assert_same(scheduler_state(mine)[key], value, 1e-12, 0)
    assert sorted(mine.state_dict()) == sorted(k for k in theirs.state_dict() if k != "_scale_fn_ref")


@pytest.mark.parametrize("name", ["LambdaLR", "StepLR", "LinearLR", "CosineAnnealingLR", "SequentialLR"])
def test_schedules_of_tensor_rates(name):
    (a, mine), (b, theirs) = schedule(pynn, name, tensor_lr=True), schedule(torch, name, tensor_lr=True)
    for _ in range(20):
        assert_same(group_options(a), group_options(b), 1e-12, 0)
        for opt, scheduler in ((a, mine), (b, theirs)):
            opt.step()
            scheduler.step()


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_goes_on_from_the_other_library(name):
    (a, mine), (b, theirs) = schedule(pynn, name, momentum=0.5), schedule(torch, name, momentum=0.5)
    for _ in range(7):
        b.step()
        theirs.step()
    saved = theirs.state_dict()
    saved.pop("_scale_fn_ref", None)
    mine.load_state_dict(saved)
    a.load_state_dict({"state": {}, "param_groups": b.state_dict()["param_groups"]})
    for _ in range(20):
        for opt, scheduler in ((a, mine), (b, theirs)):
            opt.step()
            scheduler.step()
        assert_same(group_options(a), group_options(b), 1e-12, 0)


@pytest.mark.parametrize("name", ["StepLR", "MultiStepLR", "LinearLR", "CosineAnnealingLR", "ExponentialLR"])
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_step_to_an_epoch(name):
    (a, mine), (b, theirs) = schedule(pynn, name), schedule(torch, name)
    for epoch in (3, 12, 5):
        for opt, scheduler in ((a, mine), (b, theirs)):
            opt.step()
            scheduler.step(epoch)
        assert_same(group_options(a), group_options(b), 1e-12, 0)


def test_warm_restarts_at_fractions():
    (a, mine), (b, theirs) = (schedule(lib, "CosineAnnealingWarmRestarts") for lib in (pynn, torch))
    for epoch in (0.5, 2.75, 3.0, 8.9, 9.5, 30, 1.5):
        mine.step(epoch)
        theirs.step(epoch)
        assert_same(group_options(a), group_options(b), 1e-12, 0)
        assert (mine.T_cur, mine.T_i, mine.last_epoch) == (theirs.T_cur, theirs.T_i, theirs.last_epoch)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "max", "patience": 2},
        {"threshold": 0.3, "threshold_mode": "abs", "cooldown": 2, "patience": 0},
        {"threshold": 0.3, "patience": 0, "min_lr": [0.05, 0.1], "factor": 0.5},
    ],
)
def test_plateau(options):
    metrics = 1 + np.abs(np.random.default_rng(3).normal(size=40))
    pairs = []
    for lib in (pynn, torch):
        opt = lib.optim.SGD([{"params": [lib.zeros(1, requires_grad=True)]} for _ in range(2)], lr=0.4)
        pairs.append((opt, lib.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)))
    (a, mine), (b, theirs) = pairs
    for metric in metrics:
        mine.step(metric)
        theirs.step(metric)
        assert_same(group_options(a), group_options(b), 1e-12, 0)
    assert_same(scheduler_state(mine), scheduler_state(theirs), 1e-12, 0)
