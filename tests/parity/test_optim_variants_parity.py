"""Adadelta, Adamax, NAdam, RAdam, Rprop, ASGD, Adafactor, Muon, LBFGS and swa_utils beside PyTorch."""

import copy

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS, assert_same, numbers  # noqa: E402

CASES = [
    ("Adadelta", [{}, {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}, {"maximize": True}]),
    ("Adamax", [{}, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}, {"maximize": True, "eps": 1e-3}]),
    (
        "NAdam",
        [
            {},
            {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1, "momentum_decay": 0.1},
            {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        ],
    ),
    (
        "RAdam",
        [
            {},
            {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1},
            {"betas": (0.9, 0.6), "eps": 1e-3},
            {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        ],
    ),
    ("Rprop", [{}, {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2)}, {"maximize": True}]),
    (
        "ASGD",
        [
            {},
            {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 2.0, "weight_decay": 0.1},
            {"maximize": True, "t0": 0.0},
        ],
    ),
    (
        "Adafactor",
        [{}, {"lr": 0.1, "beta2_decay": -0.5, "weight_decay": 0.1, "d": 2.0}, {"eps": (1e-3, 0.1)}],
    ),
]
RUNS = [(name, kw) for name, every in CASES for kw in every]
SHAPES = [(4, 3), (5,), (2, 3, 4), (), (1, 17)]


def arrays(shapes, seed):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s), np.float64) for s in shapes]


def train(lib, make, steps=6, dtype="float32", shapes=SHAPES, halt=None):
    """Steps with made-up gradients; the parameters and the state after each."""
    params = [lib.from_numpy(a.copy()).to(getattr(lib, dtype)).requires_grad_() for a in arrays(shapes, 0)]
    optimizer = make(lib, params)
    history = []
    for i in range(steps):
        for p, g in zip(params, arrays(shapes, i + 1), strict=True):
            p.grad = lib.from_numpy(g.copy()).to(p.dtype)
        if i % 3 == 1:
            params[1].grad = None
        optimizer.step()
        history.append([p.detach().clone() for p in params])
        if halt == i:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = make(lib, params)
            optimizer.load_state_dict(saved)
    return history, optimizer


@pytest.mark.parametrize("name,kwargs", RUNS)
@pytest.mark.parametrize(
    "dtype,tol", [("float32", 2e-6), ("float64", 1e-11), ("bfloat16", 2e-2), ("float16", 2e-3)]
)
def test_steps(name, kwargs, dtype, tol):
    if name == "Adafactor" and "float" not in dtype[:5]:
        tol *= 2

    def make(lib, params):
        return getattr(lib.optim, name)(params, **kwargs)

    (ours, mine), (theirs, yours) = (train(lib, make, dtype=dtype) for lib in LIBS)
    if name == "Rprop" and dtype == "float16":
        tol = 4e-3
    assert_same(ours, theirs, tol, name)
    assert repr(mine) == repr(yours)
    a, b = mine.state_dict(), yours.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert [list(v) for v in a["state"].values()] == [list(v) for v in b["state"].values()]
    assert_same(a["state"], b["state"], tol * 4, "state")


@pytest.mark.parametrize("name,kwargs", RUNS)
def test_state_survives(name, kwargs):
    def make(lib, params):
        return getattr(lib.optim, name)(params, **kwargs)

    straight, _ = train(pynn, make)
    halted, _ = train(pynn, make, halt=2)
    for a, b in zip(straight[-1], halted[-1], strict=True):
        assert pynn.equal(a, b)
    # PyTorch's state dict goes on here.
    theirs, yours = train(torch, make, steps=3)
    params = [pynn.from_numpy(numbers(p).astype(np.float32)).requires_grad_() for p in theirs[-1]]
    ours = make(pynn, params)
    state = yours.state_dict()
    state["state"] = {
        k: {n: pynn.from_numpy(np.array(t.numpy())) for n, t in v.items()} for k, v in state["state"].items()
    }
    ours.load_state_dict(state)
    for lib, opt, leaves in ((pynn, ours, params), (torch, yours, yours.param_groups[0]["params"])):
        for p, g in zip(leaves, arrays(SHAPES, 9), strict=True):
            p.grad = lib.from_numpy(g.copy()).to(p.dtype)
        opt.step()
    assert_same(params, yours.param_groups[0]["params"], 2e-6)


def test_layouts_and_closures():
    for name in ("Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"):
        results = []
        for lib in LIBS:
            p = lib.arange(12.0).reshape(3, 4).t().requires_grad_()
            optimizer = getattr(lib.optim, name)([p], lr=lib.tensor(0.1))
            for _ in range(3):

                def closure(p=p, optimizer=optimizer):
                    optimizer.zero_grad()
                    loss = (p * p).sum()
                    loss.backward()
                    return loss

                loss = optimizer.step(closure)
            results.append([p, loss])
        assert_same(*results, 1e-5, name)


def test_bad_options():
    bad = {
        "Adadelta": [{"lr": -1}, {"rho": 1.5}, {"eps": -1}, {"weight_decay": -1}],
        "Adamax": [
            {"lr": -1},
            {"betas": (1.0, 0.5)},
            {"betas": (0.5, -1)},
            {"eps": -1},
            {"weight_decay": -1},
        ],
        "NAdam": [{"lr": -1}, {"betas": (1.0, 0.5)}, {"momentum_decay": -1}, {"weight_decay": -1}],
        "RAdam": [{"lr": -1}, {"betas": (1.0, 0.5)}, {"eps": -1}, {"weight_decay": -1}],
        "Rprop": [{"lr": -1}, {"etas": (1.5, 2.0)}, {"etas": (0.5, 0.9)}],
        "ASGD": [{"lr": -1}, {"weight_decay": -1}],
        "Adafactor": [
            {"lr": -1},
            {"beta2_decay": 1},
            {"eps": (-1, 1)},
            {"eps": (None, -1)},
            {"d": 0.5},
            {"weight_decay": -1},
        ],
        "Muon": [{"lr": -1}, {"momentum": -1}, {"weight_decay": -1}, {"adjust_lr_fn": "x"}],
        "LBFGS": [{"lr": -1}],
    }
    for name, every in bad.items():
        for kwargs in every:
            messages = []
            for lib in LIBS:
                with pytest.raises(ValueError) as error:
                    getattr(lib.optim, name)([lib.zeros(2, 2, requires_grad=True)], **kwargs)
                messages.append(str(error.value))
            assert messages[0] == messages[1]
    for lib in LIBS:
        with pytest.raises(ValueError, match="only supports 2D parameters"):
            lib.optim.Muon([lib.zeros(3, requires_grad=True)])
        with pytest.raises(ValueError, match="per-parameter options"):
            ps = [lib.zeros(3, requires_grad=True) for _ in range(2)]
            lib.optim.LBFGS([{"params": [p]} for p in ps])


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"nesterov": False},
        {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
        {"ns_steps": 3, "lr": 0.1},
    ],
)
def test_muon(kwargs):
    def make(lib, params):
        return lib.optim.Muon(params, **kwargs)

    shapes = [(4, 3), (3, 5), (6, 6), (1, 4)]
    (ours, mine), (theirs, yours) = (train(lib, make, shapes=shapes) for lib in LIBS)
    assert_same(ours, theirs, 3e-3)  # the iteration runs in bfloat16
    assert repr(mine) == repr(yours)
    assert_same(mine.state_dict()["state"], yours.state_dict()["state"], 1e-6)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"line_search_fn": "strong_wolfe"},
        {"lr": 0.5, "max_iter": 5, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "max_iter": 8, "history_size": 3, "lr": 0.7},
        {"max_eval": 3},
    ],
)
def test_lbfgs(kwargs):
    results = []
    for lib in LIBS:
        x = lib.tensor([-1.2, 1.0], dtype=lib.float64, requires_grad=True)
        y = lib.tensor([[0.5]], dtype=lib.float64, requires_grad=True)
        optimizer = lib.optim.LBFGS([x, y], **kwargs)
        history = []

        def closure(x=x, y=y, optimizer=optimizer):
            optimizer.zero_grad()
            loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + (y - 3).square().sum()
            loss.backward()
            return loss

        for _ in range(4):
            loss = optimizer.step(closure)
            history += [loss.detach().clone(), x.detach().clone(), y.detach().clone()]
        state = optimizer.state_dict()["state"][0]
        results.append([*history, state["func_evals"], state["n_iter"]])
    assert_same(*results, 1e-6)


# -- swa_utils


def model(lib):
    lib.manual_seed(0)
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.ReLU(), lib.nn.Linear(4, 2))


@pytest.mark.parametrize("how", ["default", "ema", "ema_multi", "swa", "swa_multi", "own"])
def test_averaged_model(how):
    results = []
    for lib in LIBS:
        u = lib.optim.swa_utils
        kwargs = {
            "default": {},
            "ema": {"avg_fn": u.get_ema_avg_fn(0.9)},
            "ema_multi": {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9), "use_buffers": True},
            "swa": {"avg_fn": u.get_swa_avg_fn()},
            "swa_multi": {"multi_avg_fn": u.get_swa_multi_avg_fn()},
            "own": {"avg_fn": lambda a, b, n: 0.3 * a + 0.7 * b},
        }[how]
        m = model(lib)
        averaged = u.AveragedModel(m, **kwargs)
        for i in range(4):
            with lib.no_grad():
                for p in m.parameters():
                    p.mul_(0.5 + i)
            averaged.update_parameters(m)
        results.append([dict(averaged.state_dict()), averaged(lib.ones(2, 3)), list(averaged.state_dict())])
        with pytest.raises(AssertionError):
            u.AveragedModel(m, avg_fn=u.get_swa_avg_fn(), multi_avg_fn=u.get_swa_multi_avg_fn())
        for f in (u.get_ema_avg_fn, u.get_ema_multi_avg_fn):
            with pytest.raises(ValueError, match="Invalid decay value"):
                f(1.5)
        u.update_bn([lib.ones(2, 3)], m)  # nothing to do
    assert_same(*results, 1e-6)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_swalr(strategy, epochs):
    results = []
    for lib in LIBS:
        optimizer = lib.optim.SGD(
            [{"params": model(lib).parameters()}, {"params": model(lib).parameters(), "lr": 2.0}], lr=0.5
        )
        scheduler = lib.optim.swa_utils.SWALR(optimizer, [0.05, 0.1], epochs, strategy)
        rates = []
        for _ in range(7):
            optimizer.step()
            scheduler.step()
            rates.append([scheduler.get_last_lr(), [g["lr"] for g in optimizer.param_groups]])
        results.append(np.array(rates))
        state = scheduler.state_dict()
        assert state["anneal_epochs"] == epochs and "optimizer" not in state
        for args in ((0.1, 3, "x"), (0.1, -1), ([0.1], 3), (0.1, 2.5)):
            with pytest.raises(ValueError):
                lib.optim.swa_utils.SWALR(optimizer, *args)
    np.testing.assert_allclose(*results, rtol=1e-9)
