"""What all optimisers share: groups, saved state, hooks, printing."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import pynn
from pynn.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from pynn.optim.optimizer import required

ALL = [SGD, Adam, AdamW, RMSprop, Adagrad]


def leaf(*values, dtype=None):
    return pynn.tensor(values, dtype=dtype or pynn.float32, requires_grad=True)


def train(opt, steps=1):
    for _ in range(steps):
        for group in opt.param_groups:
            for p in group["params"]:
                p.grad = p.detach().clone() + 1.0
        opt.step()


class Halve(Optimizer):
    """What a program's own optimiser looks like."""

    def __init__(self, params, factor=required):
        super().__init__(params, {"factor": factor})

    def step(self, closure=None):
        with pynn.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    p.mul_(group["factor"])
        return "halved"


def test_groups_take_defaults_for_what_they_leave_out():
    a, b = leaf(1.0), leaf(2.0)
    opt = SGD([{"params": [a], "lr": 0.5}, {"params": b, "extra": "x"}], lr=0.1, momentum=0.9)
    first, second = opt.param_groups
    assert first["lr"] == 0.5 and second["lr"] == 0.1
    assert first["momentum"] == second["momentum"] == 0.9
    assert second["params"] == [b] and second["extra"] == "x"


def test_generators_are_read():
    opt = SGD((p for p in [leaf(1.0), leaf(2.0)]), lr=0.1)
    assert len(opt.param_groups[0]["params"]) == 2


def test_named_parameters():
    a, b = leaf(1.0), leaf(2.0)
    opt = SGD([("a", a), ("b", b)], lr=0.1)
    assert opt.param_groups[0]["param_names"] == ["a", "b"]
    assert opt.param_groups[0]["params"][1] is b
    assert opt.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ValueError, match="cannot add param group without names"):
        opt.add_param_group({"params": [leaf(3.0)]})
    opt.add_param_group({"params": [("c", leaf(3.0))]})
    assert opt.param_groups[1]["param_names"] == ["c"]
    with pytest.raises(ValueError, match="Some param names are missing"):
        SGD([("a", a), b], lr=0.1)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda p: p, TypeError, "should be an iterable of Tensors or dicts"),
        (lambda p: [], ValueError, "optimizer got an empty parameter list"),
        (lambda p: [3], TypeError, "optimizer can only optimize Tensors, but one of the params is int"),
        (lambda p: [{"params": [p]}, 3], TypeError, "param_group must be a dict"),
        (lambda p: [{"params": {p}}], TypeError, "ordered collections"),
        (lambda p: [p * 2], ValueError, "can't optimize a non-leaf Tensor"),
        (lambda p: [{"params": [p]}, {"params": [p]}], ValueError, "more than one parameter group"),
    ],
)
def test_bad_parameters(make, error, message):
    with pytest.raises(error, match=message):
        SGD(make(leaf(1.0)), lr=0.1)


def test_duplicates_warn():
    p = leaf(1.0)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SGD([p, p], lr=0.1)


def test_own_optimizer_and_required_options():
    p = leaf(1.0)
    with pytest.raises(ValueError, match="required optimization parameter factor"):
        Halve([p])
    opt = Halve([{"params": [p], "factor": 0.5}])
    assert opt.step() == "halved" and p.item() == 0.5
    with pytest.raises(NotImplementedError):
        Optimizer([p], {}).step()


@pytest.mark.parametrize("cls", ALL)
def test_added_group_is_trained(cls):
    a, b = leaf(1.0), leaf(1.0)
    opt = cls([a], lr=0.1)
    train(opt)
    opt.add_param_group({"params": [b], "lr": 0.2})
    before = b.item()
    train(opt)
    assert b.item() < before and len(opt.param_groups) == 2


@pytest.mark.parametrize("cls", ALL)
def test_closure_runs_with_gradients_and_its_loss_returns(cls):
    p = leaf(1.0, 2.0)
    opt = cls([p], lr=0.1)

    def closure():
        opt.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with pynn.no_grad():
        loss = opt.step(closure)
    assert loss.item() == 5.0
    assert (p.detach().numpy() < [1.0, 2.0]).all()


@pytest.mark.parametrize("cls", ALL)
def test_step_without_any_gradient_does_nothing(cls):
    p = leaf(1.0)
    opt = cls([p], lr=0.1)
    opt.step()
    assert p.item() == 1.0


def test_zero_grad():
    a, b = leaf(1.0), leaf(1.0)
    opt = SGD([a, b], lr=0.1)
    (a * 3).sum().backward()
    grad = a.grad
    opt.zero_grad(set_to_none=False)
    assert a.grad is grad and grad.item() == 0.0 and b.grad is None
    opt.zero_grad()
    assert a.grad is None


def test_zero_grad_cuts_the_history_of_gradients():
    a = leaf(2.0)
    opt = SGD([a], lr=0.1)
    (a * a * a).sum().backward(create_graph=True)
    assert a.grad.grad_fn is not None
    opt.zero_grad(set_to_none=False)
    assert a.grad.grad_fn is None and not a.grad.requires_grad


def test_repr():
    assert repr(SGD([leaf(1.0)], lr=0.5)) == (
        "SGD (\n"
        "Parameter Group 0\n"
        "    dampening: 0\n"
        "    differentiable: False\n"
        "    foreach: None\n"
        "    fused: None\n"
        "    lr: 0.5\n"
        "    maximize: False\n"
        "    momentum: 0\n"
        "    nesterov: False\n"
        "    weight_decay: 0\n"
        ")"
    )


def test_state_dict_numbers_parameters_over_all_groups():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    opt = SGD([{"params": [a, b]}, {"params": [c], "lr": 0.5}], lr=0.1, momentum=0.9)
    train(opt)
    saved = opt.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert [g["params"] for g in saved["param_groups"]] == [[0, 1], [2]]
    assert saved["param_groups"][1]["lr"] == 0.5
    assert sorted(saved["state"]) == [0, 1, 2]
    assert saved["state"][2]["momentum_buffer"] is opt.state[c]["momentum_buffer"]


@pytest.mark.parametrize("cls", ALL)
def test_training_goes_on_from_a_saved_state(cls):
    options = {"lr": 0.1, "momentum": 0.9} if cls in (SGD, RMSprop) else {"lr": 0.1}
    a = leaf(1.0, -2.0, 3.0)
    opt = cls([a], **options)
    train(opt, 3)
    b = a.detach().clone().requires_grad_()
    other = cls([b], **{**options, "lr": 0.7})
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    assert other.param_groups[0]["lr"] == 0.1 and other.param_groups[0]["params"] == [b]
    train(opt, 3)
    train(other, 3)
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_loaded_state_is_cast_to_the_parameter_but_not_its_step():
    a, b = leaf(1.0, dtype=pynn.float64), leaf(1.0)
    opt, other = Adam([a]), Adam([b])
    train(opt)
    saved = opt.state_dict()
    saved["state"]["global"] = {"kept": 1}
    saved["state"][0]["note"] = ["as it is", (1, 2)]
    other.load_state_dict(saved)
    state = other.state[b]
    assert state["exp_avg"].dtype == pynn.float32
    assert state["step"] is opt.state[a]["step"]
    assert state["note"] == ["as it is", (1, 2)]
    assert other.state["global"] == {"kept": 1}


def test_loading_keeps_names_unless_new_ones_come():
    opt = SGD([("a", leaf(1.0))], lr=0.1)
    opt.load_state_dict(SGD([leaf(1.0)], lr=0.2).state_dict())
    assert opt.param_groups[0]["param_names"] == ["a"] and opt.param_groups[0]["lr"] == 0.2
    opt.load_state_dict(SGD([("b", leaf(1.0))], lr=0.2).state_dict())
    assert opt.param_groups[0]["param_names"] == ["b"]


def test_loading_does_not_change_the_argument():
    opt = SGD([leaf(1.0)], lr=0.1)
    saved = opt.state_dict()
    SGD([leaf(1.0)], lr=0.3).load_state_dict(saved)
    assert saved["param_groups"][0]["params"] == [0]


def test_loading_a_state_of_other_shape_fails_and_changes_nothing():
    opt = SGD([leaf(1.0), leaf(2.0)], lr=0.1)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        opt.load_state_dict(SGD([{"params": [leaf(1.0)]}, {"params": [leaf(1.0)]}], lr=0.5).state_dict())
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        opt.load_state_dict(SGD([leaf(1.0)], lr=0.5).state_dict())
    assert opt.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda opt: pickle.loads(pickle.dumps(opt))])
def test_copies_are_independent_and_whole(copied):
    p = leaf(1.0, 2.0)
    opt = Adam([p], lr=0.1)
    train(opt)
    other = copied(opt)
    (q,) = other.param_groups[0]["params"]
    assert q is not p and q in other.state and p not in other.state
    train(opt)
    assert other.state[q]["step"].item() == 1.0
    train(other)
    np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
    other.register_step_post_hook(lambda *args: None)  # usable in full


@pytest.mark.parametrize("cls", [SGD, Halve])
def test_step_hooks(cls):
    p = leaf(1.0)
    opt = cls([p], 0.5)
    log = []
    pre = opt.register_step_pre_hook(lambda o, args, kwargs: log.append(("pre", o, args, kwargs, p.item())))
    post = opt.register_step_post_hook(
        lambda o, args, kwargs: log.append(("post", o, args, kwargs, p.item()))
    )
    p.grad = pynn.ones(1)
    opt.step()
    assert log == [("pre", opt, (opt,), {}, 1.0), ("post", opt, (opt,), {}, 0.5)]
    pre.remove()
    opt.step()
    assert [entry[0] for entry in log] == ["pre", "post", "post"]
    post.remove()
    opt.step()
    assert len(log) == 3


def test_step_hook_replaces_arguments():
    p = leaf(1.0)
    opt = SGD([p], lr=0.1)
    opt.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 42), {}))
    assert opt.step() == 42
    opt.register_step_pre_hook(lambda o, args, kwargs: "nonsense")
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        opt.step()


def test_hooks_belong_to_one_optimizer():
    a, b = SGD([leaf(1.0)], lr=0.1), SGD([leaf(1.0)], lr=0.1)
    log = []
    a.register_step_post_hook(lambda *args: log.append(1))
    b.step()
    assert log == []


def test_hooked_optimizer_is_freed_at_once():
    p = leaf(1.0)
    opt = SGD([p], lr=0.1)
    opt.register_step_post_hook(lambda *args: None)
    opt.step()
    gone = weakref.ref(opt)
    gc.disable()
    try:
        del opt
        assert gone() is None
    finally:
        gc.enable()


def test_names_of_the_module():
    assert pynn.optim.lr_scheduler.StepLR.__module__.startswith("pynn.optim.lr_scheduler")
    with pytest.raises(AttributeError, match="has no attribute 'Missing'"):
        _ = pynn.optim.Missing
