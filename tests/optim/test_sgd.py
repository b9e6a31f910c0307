"""SGD against its formula in NumPy, and what its state looks like."""

import numpy as np
import pytest

import pynn
import pynn.optim.sgd
from pynn.optim import SGD


def leaf(values):
    return pynn.tensor(values, dtype=pynn.float64, requires_grad=True)


def set_grad(p, values):
    p.grad = pynn.tensor(values, dtype=p.dtype)


def reference(p, grads, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    p, buf = np.array(p), None
    for g in grads:
        g = -g if maximize else g
        g = g + weight_decay * p
        if momentum:
            buf = g if buf is None else momentum * buf + (1 - dampening) * g
            g = g + momentum * buf if nesterov else buf
        p = p - lr * g
    return p


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_decay": 0.1},
        {"maximize": True},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True, "maximize": True},
        {"foreach": True},
        {"fused": True},
    ],
)
def test_formula(options):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 4))
    p = leaf(start.tolist())
    opt = SGD([p], lr=0.1, **options)
    for g in grads:
        set_grad(p, g.tolist())
        assert opt.step() is None
    options = {key: value for key, value in options.items() if key not in ("foreach", "fused")}
    np.testing.assert_allclose(p.detach().numpy(), reference(start, grads, 0.1, **options), rtol=1e-12)


def test_trains_through_autograd():
    p = leaf([3.0, -2.0])
    opt = SGD([p], lr=0.1, momentum=0.5)
    for _ in range(100):
        opt.zero_grad()
        ((p - pynn.tensor([1.0, 2.0], dtype=pynn.float64)) ** 2).sum().backward()
        opt.step()
    np.testing.assert_allclose(p.detach().numpy(), [1.0, 2.0], atol=1e-6)
    assert p.requires_grad and p.is_leaf


def test_step_is_one_native_call_per_group(monkeypatch):
    calls = []
    monkeypatch.setattr(pynn.optim.sgd, "_optim_step", lambda *args: calls.append(args))
    params = [leaf([1.0]) for _ in range(7)]
    opt = SGD([{"params": params[:4]}, {"params": params[4:], "momentum": 0.9}], lr=0.1)
    for p in params:
        set_grad(p, [1.0])
    opt.step()
    assert [len(call[1]) for call in calls] == [4, 3]
    assert [call[3] for call in calls] == [(None,), ("momentum_buffer",)]


def test_parameters_without_gradient_stay_and_get_no_state():
    a, b = leaf([1.0]), leaf([1.0])
    opt = SGD([a, b], lr=0.5, momentum=0.9)
    set_grad(a, [1.0])
    opt.step()
    assert a.item() == 0.5 and b.item() == 1.0
    assert list(opt.state_dict()["state"]) == [0]
    # b starts later: its first buffer is its gradient, while a goes on with momentum
    set_grad(b, [1.0])
    opt.step()
    assert b.item() == 0.5
    np.testing.assert_allclose(a.item(), 0.5 - 0.5 * 1.9)


def test_no_state_without_momentum():
    p = leaf([1.0])
    opt = SGD([p], lr=0.5)
    set_grad(p, [1.0])
    opt.step()
    assert opt.state_dict()["state"] == {}


@pytest.mark.parametrize("reset", ["none", "pop", "clear", "new"])
def test_state_may_be_reset_by_hand(reset):
    p = leaf([1.0])
    opt = SGD([p], lr=1.0, momentum=0.5)
    set_grad(p, [1.0])
    opt.step()
    if reset == "none":
        opt.state[p]["momentum_buffer"] = None
    elif reset == "pop":
        del opt.state[p]
    elif reset == "clear":
        opt.state.clear()
    else:
        opt.state = type(opt.state)(dict)
    opt.step()
    assert p.item() == -1.0  # without the reset it is -1.5


def test_buffer_may_be_replaced_by_hand():
    p = leaf([1.0])
    opt = SGD([p], lr=1.0, momentum=0.5)
    set_grad(p, [1.0])
    opt.step()
    opt.state[p]["momentum_buffer"] = pynn.tensor([10.0], dtype=pynn.float64)
    opt.step()
    assert p.item() == 0.0 - (5.0 + 1.0)


def test_failed_first_step_leaves_no_buffer():
    p, q = leaf([1.0]), leaf([1.0])
    opt = SGD([p, q], lr=1.0, momentum=0.5, dampening=0.5)
    set_grad(p, [1.0])
    set_grad(q, [1.0])
    opt.state[q]["momentum_buffer"] = pynn.zeros(2)
    with pytest.raises(RuntimeError, match="state must match its parameter"):
        opt.step()
    assert opt.state.get(p) is None and p.item() == 1.0
    del opt.state[q]
    opt.step()
    assert p.item() == 0.0 and q.item() == 0.0


def test_options_of_a_group_may_change_between_steps():
    p = leaf([1.0])
    opt = SGD([p], lr=1.0)
    set_grad(p, [1.0])
    opt.param_groups[0]["lr"] = 0.25
    opt.step()
    assert p.item() == 0.75
    opt.param_groups[0]["lr"] = pynn.tensor(0.5)
    opt.step()
    assert p.item() == 0.25


def test_step_counts_as_in_place_write():
    p = leaf([1.0])
    opt = SGD([p], lr=1.0)
    set_grad(p, [1.0])
    before = p._version
    opt.step()
    assert p._version > before


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0"),
        ({"lr": float("nan")}, "Invalid learning rate: nan"),
        ({"momentum": -0.5}, "Invalid momentum value: -0.5"),
        ({"weight_decay": -0.5}, "Invalid weight_decay value: -0.5"),
        ({"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SGD([leaf([1.0])], **options)


def test_bad_tensor_lr():
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        SGD([leaf([1.0])], lr=pynn.ones(2))


def test_refused_modes():
    with pytest.raises(RuntimeError, match="SGD: differentiable must be False"):
        SGD([leaf([1.0])], differentiable=True)
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        SGD([leaf([1.0])], fused=True, foreach=True)
