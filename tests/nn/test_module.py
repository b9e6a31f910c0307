"""Module: its members, how they are found, walked, converted, copied and printed, and what errors say."""

import copy
import dataclasses
import gc
import pickle
import sys
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import pynn
from pynn import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.register_buffer("count", pynn.zeros(2, dtype=pynn.int64))
        self.register_buffer("mean", pynn.zeros(2))
        self.register_buffer("scratch", pynn.ones(1), persistent=False)

    def forward(self, x):
        return self.second(self.first(x))


class Wrapper(nn.Module):
    """Hands attributes on to the module inside, the way wrappers do."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


class Stubborn(nn.Module):
    """Keeps its state without asking Module."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(pynn.ones(2))

    def __getstate__(self):
        return self.__dict__.copy()

    def __setstate__(self, state):
        self.__dict__.update(state)


def names(pairs):
    return [name for name, _ in pairs]


# -- members -------------------------------------------------------------------------------------------------


def test_members_are_registered_in_order():
    net = Net()
    assert list(net._modules) == ["first", "second"]
    assert list(net._buffers) == ["count", "mean", "scratch"]
    assert names(net.named_parameters()) == ["first.weight", "first.bias", "second.0.weight", "second.0.bias"]
    assert names(net.named_buffers()) == ["count", "mean", "scratch"]
    assert names(net.named_modules()) == ["", "first", "second", "second.0", "second.1"]
    assert net.first is net._modules["first"]
    assert isinstance(net._modules, dict)


def test_writing_to_the_mappings_is_writing_to_the_module():
    layer = nn.Linear(2, 2)
    new = nn.Parameter(pynn.ones(2, 2))
    layer._parameters["weight"] = new
    assert layer.weight is new
    del layer._parameters["weight"]
    assert not hasattr(layer, "weight")
    layer._parameters.update(weight=new, extra=None)
    assert layer.weight is new
    assert layer.extra is None
    assert layer._parameters.pop("extra") is None
    assert layer._parameters.pop("extra", 7) == 7
    assert not hasattr(layer, "extra")
    with pytest.raises(KeyError):
        layer._parameters.pop("extra")
    assert layer._parameters.setdefault("weight", None) is new
    assert layer._parameters.popitem() == ("weight", new)
    layer._parameters |= {"weight": new}
    assert layer.weight is new
    layer._parameters.clear()
    assert not hasattr(layer, "weight")
    assert not hasattr(layer, "bias")


def test_a_mapping_can_be_replaced():
    net = nn.Sequential(nn.ReLU(), nn.Tanh())
    first, second = net
    net._modules = OrderedDict([("1", first), ("2", second)])
    assert list(net) == [first, second]
    assert getattr(net, "2") is second
    assert not hasattr(net, "0")
    net._modules["3"] = first
    assert getattr(net, "3") is first


def test_a_member_moves_between_the_kinds():
    module = nn.Module()
    module.x = 1
    module.x = nn.Parameter(pynn.ones(1))
    assert list(module._parameters) == ["x"]
    module.x = nn.ReLU()
    assert (list(module._parameters), list(module._modules)) == ([], ["x"])
    module.x = nn.Parameter(pynn.ones(1))
    assert (list(module._parameters), list(module._modules)) == (["x"], [])
    del module.x
    module.x = nn.Buffer(pynn.ones(1), persistent=False)
    assert list(module._buffers) == ["x"]
    assert list(module.state_dict()) == []
    module.x = pynn.zeros(1)
    assert isinstance(module.x, pynn.Tensor)
    assert list(module.state_dict()) == []
    del module.x
    assert not hasattr(module, "x")


def test_none_keeps_the_name():
    layer = nn.Linear(2, 2)
    layer.bias = None
    assert layer.bias is None
    assert list(layer._parameters) == ["weight", "bias"]
    assert layer(pynn.zeros(1, 2)).abs().sum() == 0
    layer.bias = nn.Parameter(pynn.ones(2))
    assert layer(pynn.zeros(1, 2)).sum() == 2


def test_a_property_of_the_class_hides_a_member():
    class Odd(nn.Module):
        @property
        def weight(self):
            return "property"

    module = Odd()
    module._parameters["weight"] = nn.Parameter(pynn.ones(1))
    assert module.weight == "property"
    assert len(list(module.parameters())) == 1
    with pytest.raises(KeyError, match="attribute 'weight' already exists"):
        Odd().register_parameter("weight", None)


def test_a_second_init_begins_anew():
    class Left(nn.Module):
        def __init__(self):
            nn.Module.__init__(self)
            self.left = nn.ReLU()

    class Right(nn.Module):
        def __init__(self):
            nn.Module.__init__(self)
            self.right = nn.ReLU()

    class Both(Left, Right):
        def __init__(self):
            Left.__init__(self)
            Right.__init__(self)

    assert list(Both()._modules) == ["right"]
    assert not hasattr(Both(), "left")


def test_getattr_of_subclasses_and_explicit_calls():
    net = Net()
    wrapped = Wrapper(net)
    assert wrapped.first is net.first
    assert wrapped.module is net
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        wrapped.nothing
    assert net.__getattr__("first") is net.first
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        net.__getattr__("nothing")


def test_an_unused_module_is_freed_at_once():
    gc.disable()
    try:
        net = Net()
        watched = [weakref.ref(net), weakref.ref(net.first), weakref.ref(net.first.weight)]
        del net
        assert [ref() for ref in watched] == [None, None, None]
    finally:
        gc.enable()


def test_mappings_outlive_their_module():
    params = Net().first._parameters
    params["weight"] = None
    assert list(params) == ["weight", "bias"]


def test_set_and_get_by_path():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("second.0") is net.second[0]
    assert net.get_parameter("second.0.bias") is net.second[0].bias
    assert net.get_buffer("mean") is net.mean
    net.set_submodule("second.1", nn.Tanh())
    assert isinstance(net.second[1], nn.Tanh)
    net.set_submodule("third", nn.Tanh())
    assert list(net._modules) == ["first", "second", "third"]


def test_dir_lists_members_but_no_numbers():
    assert {"first", "mean", "forward"} <= set(dir(Net()))
    assert "0" not in dir(Net().second)


# -- walks ---------------------------------------------------------------------------------------------------


def test_shared_members_are_listed_once_unless_asked_for():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    shared = nn.Sequential(net, net)
    assert names(shared.named_parameters()) == ["0.0.weight", "0.0.bias", "0.1.bias"]
    assert len(names(shared.named_parameters(remove_duplicate=False))) == 8
    assert len(list(shared.modules())) == 4
    assert len(list(shared.children())) == 1


def test_walks_take_a_prefix_and_may_stay_at_the_top():
    net = Net()
    assert names(net.named_parameters(prefix="n", recurse=False)) == []
    assert names(net.named_buffers(prefix="n", recurse=False)) == ["n.count", "n.mean", "n.scratch"]
    assert names(net.named_modules(prefix="n"))[:2] == ["n", "n.first"]


def test_apply_visits_children_first():
    seen = []
    net = Net()
    assert net.apply(seen.append) is net
    assert seen == [net.first, net.second[0], net.second[1], net.second, net]


def test_train_and_eval():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train(1)


def test_requires_grad_and_zero_grad():
    net = Net().requires_grad_(False)
    assert not any(param.requires_grad for param in net.parameters())
    net.requires_grad_()
    net(pynn.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(float(param.grad.abs().sum()) == 0 for param in net.parameters())
    net.zero_grad()
    assert all(param.grad is None for param in net.parameters())


# -- conversion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        lambda net: net.double(),
        lambda net: net.to(pynn.float64),
        lambda net: net.to("cpu", pynn.float64),
        lambda net: net.to(device=pynn.device("cpu"), dtype=pynn.float64, non_blocking=True),
        lambda net: net.to(pynn.float64, True),
        lambda net: net.to(pynn.zeros(1, dtype=pynn.float64)),
        lambda net: net.to(tensor=pynn.zeros(1, dtype=pynn.float64)),
    ],
)
def test_floating_members_change_dtype_in_place(convert):
    net = Net()
    net(pynn.ones(1, 3)).sum().backward()
    weight, value = net.first.weight, net.first.weight.tolist()
    assert convert(net) is net
    assert net.first.weight is weight
    assert weight.dtype == weight.grad.dtype == net.mean.dtype == pynn.float64
    assert net.count.dtype == pynn.int64
    assert weight.tolist() == value
    assert weight.is_leaf
    assert weight.requires_grad


def test_half_types():
    assert Net().half().mean.dtype == pynn.float16
    assert Net().bfloat16().mean.dtype == pynn.bfloat16
    assert Net().double().float().mean.dtype == pynn.float32
    assert Net().type(pynn.float64).count.dtype == pynn.float64


def test_to_refuses_integers_and_nonsense():
    with pytest.raises(TypeError, match="only accepts floating point or complex dtypes"):
        Net().to(pynn.int64)
    with pytest.raises(TypeError):
        Net().to("cpu", "float32")
    with pytest.raises(TypeError):
        Net().to(pynn.float32, colour="red")


def test_meta_and_back():
    net = Net().to("meta")
    assert all(param.is_meta for param in net.parameters())
    net.to_empty(device="cpu")
    assert not any(param.is_meta for param in net.parameters())
    assert isinstance(net.first.weight, nn.Parameter)
    assert net.first.weight.shape == (4, 3)


# -- copies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_separate_and_complete(duplicate):
    net = Net().eval()
    net.second.add_module("tied", net.first)
    again = duplicate(net)
    assert not again.training
    assert again.first is again.second.tied
    assert again.first is not net.first
    assert again.first.weight is again.first._parameters["weight"]
    assert isinstance(again.first.weight, nn.Parameter)
    assert again.first.weight.tolist() == net.first.weight.tolist()
    assert list(again.state_dict()) == list(net.state_dict())
    again.first.weight = nn.Parameter(pynn.zeros(4, 3))
    assert not again.first._parameters["weight"].any()
    assert net.first.weight.any()
    again._buffers["mean"] = None
    assert again.mean is None
    assert net.mean is not None


def test_a_shallow_copy_has_its_own_mappings():
    net = Net()
    again = copy.copy(net)
    assert again.first is net.first
    again.first = nn.Linear(1, 1)
    assert net.first.in_features == 3


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_subclass_may_keep_its_own_state(duplicate):
    module = Stubborn()
    again = duplicate(module)
    assert again.weight.tolist() == [1, 1]
    again.weight = nn.Parameter(pynn.zeros(2))
    assert [p.tolist() for p in again.parameters()] == [[0, 0]]
    assert again.weight is again._parameters["weight"]
    assert module.weight.tolist() == [1, 1]


def test_the_mappings_copy_as_plain_dicts():
    net = Net()
    assert type(copy.deepcopy(net._buffers)) is dict
    assert type(net._modules.copy()) is dict


# -- printing ------------------------------------------------------------------------------------------------


def test_repr():
    class Noted(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.ReLU()])
            self.absent = None
            self.gone = nn.ReLU()
            self.gone = None

        def extra_repr(self):
            return "one\ntwo"

    assert repr(Noted()) == (
        "Noted(\n"
        "  one\n"
        "  two\n"
        "  (layers): ModuleList(\n"
        "    (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)\n"
        "    (3): ReLU()\n"
        "  )\n"
        "  (gone): None\n"
        ")"
    )
    assert repr(nn.Module()) == "Module()"
    assert repr(nn.Linear(1, 2, bias=False)) == "Linear(in_features=1, out_features=2, bias=False)"


# -- calls and errors ----------------------------------------------------------------------------------------


def test_a_call_passes_all_arguments_on():
    class Echo(nn.Module):
        def forward(self, *args, **kwargs):
            return args, kwargs

    assert Echo()(1, 2, key=3) == ((1, 2), {"key": 3})
    module = Echo()
    module.forward = lambda x: x + 1
    assert module(1) == 2
    with pytest.raises(
        NotImplementedError, match='Module \\[Module\\] is missing the required "forward" function'
    ):
        nn.Module()(1)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList([Net() for _ in range(3)])
        self.hidden = [nn.Linear(3, 3)]  # no registered child

    def forward(self, x, where="layers"):
        if where == "hidden":
            return self.hidden[0](x)
        if where == "here":
            raise RuntimeError("broken")
        if where == "caught":
            try:
                self.encoder.layers[0](pynn.zeros(1, 9))
            except RuntimeError:
                pass
            return self.encoder.layers[1].second(x)
        return self.encoder.layers[2](x)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have notes from Python 3.11 on")
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(
    "where,notes",
    [
        ("layers", ["raised in submodule encoder.layers.2.first of Deep"]),
        ("caught", ["raised in submodule encoder.layers.1.second.0 of Deep"]),
        ("hidden", []),
        ("here", []),
    ],
)
def test_an_error_names_the_submodule(where, notes, hooked):
    net = Deep()
    if hooked:
        for module in net.modules():
            module.register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError) as caught:
        net(pynn.zeros(1, 5), where)
    assert getattr(caught.value, "__notes__", []) == notes


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have notes from Python 3.11 on")
def test_the_note_starts_at_the_outermost_module_called():
    with pytest.raises(RuntimeError) as caught:
        nn.Sequential(nn.ReLU(), nn.Sequential(Deep()))(pynn.zeros(1, 5))
    assert caught.value.__notes__ == ["raised in submodule 1.0.encoder.layers.2.first of Sequential"]


def test_members_need_init_first():
    class Late(nn.Module):
        def __init__(self, value):
            self.plain = 1
            self.member = value
            super().__init__()

    assert Late(3).plain == 1
    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module.__init__\(\) call"):
        Late(nn.Parameter(pynn.ones(1)))
    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Late(nn.ReLU())


def test_old_style_super_works():
    class SimpleNet(nn.Module):
        def __init__(self):
            super(SimpleNet, self).__init__()  # noqa: UP008
            self.fc1 = nn.Linear(784, 128)
            self.fc2 = nn.Linear(128, 10)

        def forward(self, x):
            x = pynn.flatten(x, 1)
            return pynn.softmax(self.fc2(pynn.relu(self.fc1(x))), dim=1)

    out = SimpleNet()(pynn.rand(2, 1, 28, 28))
    assert out.shape == (2, 10)
    np.testing.assert_allclose(out.sum(1).detach().numpy(), 1, rtol=1e-5)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have notes from Python 3.11 on")
def test_an_error_that_takes_no_note_goes_on():
    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    class Inner(nn.Module):
        def forward(self, x):
            raise Frozen(3)

    with pytest.raises(Frozen) as caught:
        nn.Sequential(nn.Sequential(Inner()))(pynn.zeros(1))
    assert caught.value.code == 3


def test_without_notes_an_error_goes_on_as_it_was():
    """Python 3.10: the error itself, nothing put on it."""

    class Old(RuntimeError):
        @property
        def add_note(self):
            raise AttributeError("add_note")

    class Inner(nn.Module):
        def forward(self, x):
            raise Old("broken")

    with pytest.raises(Old, match="broken") as caught:
        nn.Sequential(Inner())(pynn.zeros(1))
    assert vars(caught.value) == {}


def test_the_class_hides_members_of_its_names():
    class Net(nn.Module):
        encoder = None

        def __init__(self):
            super().__init__()
            self.parameters = [nn.Parameter(pynn.ones(2))]
            self.parameters = nn.ParameterList(self.parameters)
            self.encoder = nn.Linear(2, 2)

    net = Net()
    assert [p.shape for p in net.parameters()] == [(2,), (2, 2), (2,)] and net.encoder is None
    assert list(net.state_dict()) == ["parameters.0", "encoder.weight", "encoder.bias"]
    del net.encoder
    assert list(net._modules) == ["parameters"] and net.encoder is None
