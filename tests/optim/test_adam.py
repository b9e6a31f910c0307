"""Adam and AdamW against their formulas in NumPy."""

import numpy as np
import pytest

import pynn
import pynn.optim.adam
from pynn.optim import Adam, AdamW


def leaf(values, dtype=None):
    return pynn.tensor(values, dtype=dtype or pynn.float64, requires_grad=True)


def set_grad(p, values):
    p.grad = pynn.tensor(values, dtype=p.dtype)


def reference(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, decay=0.0, amsgrad=False, decoupled=False, sign=1):
    p = np.array(p)
    m, v, top = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        g = sign * g
        if decoupled:
            p = p * (1 - lr * decay)
        else:
            g = g + decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        top = np.maximum(top, v)
        second = (top if amsgrad else v) / (1 - b2**t)
        p = p - lr * m / (1 - b1**t) / (np.sqrt(second) + eps)
    return p


CASES = [
    (Adam, {}, {}),
    (Adam, {"weight_decay": 0.1}, {"decay": 0.1}),
    (Adam, {"betas": (0.5, 0.7), "eps": 1e-3}, {"b1": 0.5, "b2": 0.7, "eps": 1e-3}),
    (Adam, {"amsgrad": True, "betas": (0.9, 0.5)}, {"amsgrad": True, "b2": 0.5}),
    (Adam, {"maximize": True}, {"sign": -1}),
    (Adam, {"weight_decay": 0.1, "decoupled_weight_decay": True}, {"decay": 0.1, "decoupled": True}),
    (Adam, {"foreach": True}, {}),
    (Adam, {"fused": True}, {}),
    (AdamW, {}, {"decay": 0.01, "decoupled": True}),
    (AdamW, {"weight_decay": 0.3, "amsgrad": True}, {"decay": 0.3, "decoupled": True, "amsgrad": True}),
]


@pytest.mark.parametrize("cls, options, changes", CASES)
def test_formula(cls, options, changes):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(3, 4)), rng.normal(size=(8, 3, 4))
    p = leaf(start.tolist())
    opt = cls([p], lr=0.1, **options)
    for g in grads:
        set_grad(p, g.tolist())
        assert opt.step() is None
    np.testing.assert_allclose(p.detach().numpy(), reference(start, grads, 0.1, **changes), rtol=1e-11)


@pytest.mark.parametrize("cls", [Adam, AdamW])
def test_trains_through_autograd(cls):
    p = leaf([3.0, -2.0])
    opt = cls([p], lr=0.1)
    for _ in range(300):
        opt.zero_grad()
        ((p - pynn.tensor([1.0, 2.0], dtype=pynn.float64)) ** 2).sum().backward()
        opt.step()
    np.testing.assert_allclose(p.detach().numpy(), [1.0, 2.0], atol=0.02)
    assert p.requires_grad and p.is_leaf


def test_state():
    p = leaf([[1.0, 2.0]], pynn.float32)
    opt = Adam([p], amsgrad=True)
    set_grad(p, [[1.0, -1.0]])
    opt.step()
    opt.step()
    state = opt.state[p]
    assert list(state) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert state["step"].item() == 2.0
    assert state["step"].dtype == pynn.float32 and tuple(state["step"].shape) == ()
    for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        assert state[key].shape == p.shape and state[key].dtype == p.dtype
        assert not state[key].requires_grad


def test_step_is_one_native_call_per_group(monkeypatch):
    calls = []
    monkeypatch.setattr(pynn.optim.adam, "_optim_step", lambda *args: calls.append(args))
    params = [leaf([1.0]) for _ in range(7)]
    opt = Adam([{"params": params[:4]}, {"params": params[4:], "amsgrad": True}], lr=0.1)
    for p in params:
        set_grad(p, [1.0])
    opt.step()
    assert [len(call[1]) for call in calls] == [4, 3]
    assert [call[3][2] for call in calls] == [None, "max_exp_avg_sq"]


def test_parameters_without_gradient_stay_and_count_no_step():
    a, b = leaf([1.0]), leaf([1.0])
    opt = Adam([a, b], lr=0.1)
    set_grad(a, [1.0])
    opt.step()
    assert b.item() == 1.0 and list(opt.state_dict()["state"]) == [0]
    set_grad(b, [1.0])
    opt.step()
    assert opt.state[a]["step"].item() == 2.0 and opt.state[b]["step"].item() == 1.0
    np.testing.assert_allclose(b.item(), 0.9, rtol=1e-6)


def test_parameter_and_state_may_be_replaced_by_hand():
    """As programs do that grow or prune a parameter while they train."""
    old = leaf([1.0, 2.0])
    opt = Adam([old], lr=0.1)
    set_grad(old, [1.0, 1.0])
    opt.step()
    stored = opt.state.pop(old)
    stored["exp_avg"] = pynn.zeros(3, dtype=pynn.float64)
    stored["exp_avg_sq"] = pynn.zeros(3, dtype=pynn.float64)
    new = leaf([1.0, 2.0, 3.0])
    opt.param_groups[0]["params"][0] = new
    opt.state[new] = stored
    set_grad(new, [1.0, 1.0, 1.0])
    opt.step()
    assert stored["step"].item() == 2.0
    np.testing.assert_allclose(stored["exp_avg"].numpy(), [0.1, 0.1, 0.1])
    assert (new.detach().numpy() < [1.0, 2.0, 3.0]).all()
    assert len(opt.state) == 1


def test_tensor_hyperparameters():
    results = []
    for kind in (float, lambda x: pynn.tensor(x, dtype=pynn.float64)):
        p = leaf([1.0])
        opt = Adam([p], lr=kind(0.1), betas=(kind(0.8), kind(0.9)))
        for _ in range(3):
            set_grad(p, [1.0])
            opt.step()
        results.append(p.item())
    assert results[0] == results[1]


def test_numbers_as_steps_of_old_checkpoints():
    p = leaf([1.0])
    opt = Adam([p], lr=0.1)
    set_grad(p, [1.0])
    opt.step()
    saved = opt.state_dict()
    saved["state"][0] = {**saved["state"][0], "step": 1}
    other = Adam([leaf([1.0])], lr=0.1)
    other.load_state_dict(saved)
    (state,) = other.state.values()
    assert isinstance(state["step"], pynn.Tensor) and state["step"].item() == 1.0


def test_adamw_stays_decoupled_after_loading_adam():
    a, b = leaf([1.0]), leaf([1.0])
    opt = AdamW([a])
    opt.load_state_dict(Adam([b]).state_dict())
    assert opt.param_groups[0]["decoupled_weight_decay"] is True
    assert isinstance(opt, Adam)


def test_amsgrad_cannot_begin_later():
    p = leaf([1.0])
    opt = Adam([p])
    set_grad(p, [1.0])
    opt.step()
    opt.param_groups[0]["amsgrad"] = True
    with pytest.raises(KeyError, match="max_exp_avg_sq"):
        opt.step()


@pytest.mark.parametrize("cls", [Adam, AdamW])
@pytest.mark.parametrize(
    "options, message",
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0"),
        ({"eps": -1.0}, "Invalid epsilon value: -1.0"),
        ({"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
        ({"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
        ({"betas": (0, 0.9)}, "betas must be either both floats or both Tensors"),
        ({"weight_decay": -0.5}, "Invalid weight_decay value: -0.5"),
    ],
)
def test_bad_options(cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls([leaf([1.0])], **options)


def test_bad_tensor_options():
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        Adam([leaf([1.0])], lr=pynn.ones(2))
    with pytest.raises(ValueError, match="lr as a Tensor is not supported"):
        Adam([leaf([1.0])], lr=pynn.tensor(0.1), foreach=True)
    with pytest.raises(ValueError, match=r"Tensor betas\[1\] must be 1-element"):
        Adam([leaf([1.0])], betas=(pynn.tensor(0.9), pynn.ones(2)))


@pytest.mark.parametrize("cls", [Adam, AdamW])
def test_refused_modes(cls):
    with pytest.raises(RuntimeError, match=f"{cls.__name__}: differentiable must be False"):
        cls([leaf([1.0])], differentiable=True)
    p = leaf([1.0])
    optimizer = cls([p], capturable=True)
    p.grad = pynn.ones(1, dtype=p.dtype)
    with pytest.raises(AssertionError, match="capturable=True is for parameters on CUDA"):
        optimizer.step()
