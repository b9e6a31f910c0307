"""Hooks that run for every module."""

import pytest

import pynn
from pynn import nn
from pynn.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


def test_order_with_a_modules_own_hooks_and_removal():
    calls = []
    model = net()
    model[0].register_forward_pre_hook(lambda m, args: calls.append("own pre"))
    model[0].register_forward_hook(lambda m, args, out: calls.append("own"))
    with (
        register_module_forward_pre_hook(lambda m, args: calls.append(f"pre {type(m).__name__}")),
        register_module_forward_hook(lambda m, args, out: calls.append(f"after {type(m).__name__}")),
    ):
        model(pynn.ones(1, 2))
    assert calls == [
        "pre Sequential",
        "pre Linear",
        "own pre",
        "after Linear",
        "own",
        "pre ReLU",
        "after ReLU",
        "pre Linear",
        "after Linear",
        "after Sequential",
    ]
    calls.clear()
    model(pynn.ones(1, 2))
    assert calls == ["own pre", "own"]


def test_they_replace_inputs_and_outputs():
    model = nn.Linear(2, 2)
    x = pynn.ones(1, 2)
    plain = model(x)
    with register_module_forward_pre_hook(lambda m, args: (args[0] * 2,)):
        assert pynn.equal(model(x), model.forward(2 * x))
    with register_module_forward_hook(lambda m, args, kwargs, out: out + len(kwargs), with_kwargs=True):
        assert pynn.equal(model(input=x), plain + 1)
    assert pynn.equal(model(x), plain)


def test_always_called():
    seen = []
    with register_module_forward_hook(lambda m, args, out: seen.append(out), always_call=True):
        with pytest.raises(Exception, match="Linear|inner sizes"):
            nn.Linear(2, 2)(pynn.ones(1, 3))
    assert seen == [None]


def test_backward_hooks():
    calls = []
    model = net()
    model[2].register_full_backward_hook(lambda m, gi, go: calls.append("own"))
    with (
        register_module_full_backward_pre_hook(lambda m, go: calls.append(f"pre {type(m).__name__}")),
        register_module_full_backward_hook(lambda m, gi, go: calls.append(f"after {type(m).__name__}")),
    ):
        model(pynn.ones(1, 2).requires_grad_()).sum().backward()
    assert (
        calls[:2] == ["pre Sequential", "pre Linear"] and calls.count("after Linear") == 2 and "own" in calls
    )
    calls.clear()
    model(pynn.ones(1, 2)).sum().backward()
    assert calls == ["own"]


def test_modules_with_a_second_init_and_copies():
    import copy

    class Twice(nn.Linear):
        def __init__(self):
            super().__init__(1, 1)
            self.register_forward_hook(lambda m, args, out: out + 1)
            super().__init__(1, 1)

    model = Twice()
    x = pynn.ones(1, 1)
    assert pynn.equal(model(x), model.forward(x))
    model.register_forward_hook(lambda m, args, out: out + 1)
    assert pynn.equal(copy.deepcopy(model)(x), model.forward(x) + 1)
