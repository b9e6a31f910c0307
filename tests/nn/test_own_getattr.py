"""Modules whose class has a __getattr__ of its own: it is asked for members, as PyTorch asks it."""

import copy
import pickle

import pytest

import pynn
from pynn import nn


class Asked(nn.Module):
    def __init__(self):
        self.asked = []
        super().__init__()
        self.w = nn.Parameter(pynn.ones(2))
        self.register_buffer("b", pynn.zeros(2))
        self.sub = nn.Linear(2, 2)
        self.plain = 3

    def __getattr__(self, name):
        if name != "asked":
            self.asked.append(name)
        return super().__getattr__(name)


class Wrapper(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)

    def forward(self, x):
        return self.module(x)


def test_it_is_asked_for_members_alone():
    net = Asked()
    net.asked.clear()
    assert (
        net.w.tolist() == [1, 1] and net.b.tolist() == [0, 0] and net.sub.in_features == 2 and net.plain == 3
    )
    assert net.asked == ["w", "b", "sub"]
    with pytest.raises(AttributeError, match="nothing"):
        net.nothing
    assert "w" in dir(net) and "sub" in dir(net) and not hasattr(net, "other")


def test_members_can_be_replaced():
    class Doubled(nn.Linear):
        def __getattr__(self, name):
            value = super().__getattr__(name)
            return 2 * value if name == "weight" else value

    net = Doubled(2, 2, bias=False)
    x = pynn.randn(3, 2)
    assert pynn.equal(net(x), x @ (2 * net._parameters["weight"]).t())
    net(x).sum().backward()
    assert net._parameters["weight"].grad is not None


def test_changes_copies_and_state():
    net = Asked()
    net.w = nn.Parameter(pynn.full((2,), 5.0))
    assert net.w.tolist() == [5, 5] and len(list(net.parameters())) == 3
    del net.w
    with pytest.raises(AttributeError):
        net.w
    net.w = nn.Parameter(pynn.zeros(2))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.w.tolist() == [0, 0] and twin.w is not net.w and twin.sub.weight is not net.sub.weight
    net.double()
    assert net.w.dtype is net.sub.weight.dtype is pynn.float64
    net.load_state_dict({k: v + 1 for k, v in net.state_dict().items()})
    assert net.w.tolist() == [1, 1] and net.b.tolist() == [1, 1]


def test_a_wrapper_passes_the_rest_on():
    net = Wrapper(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    assert net.module[0].out_features == 3
    net.module.note = "kept"
    assert net.note == "kept" and len(list(net.parameters())) == 2
    assert pynn.equal(net(pynn.ones(1, 2)), net.module(pynn.ones(1, 2)))
    with pytest.raises(AttributeError):
        net.missing


def test_a_class_that_keeps_parameters_in_a_mapping_of_its_own():
    class Patched(nn.Linear):
        def __init__(self):
            super().__init__(2, 1, bias=False)
            object.__setattr__(self, "_parameters", {"weight": None, "bias": None})

        def __setattr__(self, name, value):
            if name in self.__dict__.get("_parameters", ()):
                self._parameters[name] = value
            else:
                super().__setattr__(name, value)

    net = Patched()
    w = pynn.ones(1, 2).requires_grad_()
    net.weight = w * 2
    assert net.bias is None and net(pynn.ones(1, 2)).item() == 4
    net(pynn.ones(1, 2)).sum().backward()
    assert w.grad.tolist() == [[2, 2]]
