"""state_dict and load_state_dict: keys, sharing, strictness, messages, versions, hooks."""

import copy
import pickle
from collections import OrderedDict

import pytest

import pynn
from pynn import nn


class Counter(nn.Module):
    _version = 3

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("steps", pynn.tensor(0.0))
        self.register_buffer("scratch", pynn.zeros(1), persistent=False)
        self.note = "none"

    def get_extra_state(self):
        return self.note

    def set_extra_state(self, state):
        self.note = state


def test_keys_metadata_and_shared_memory():
    module = Counter()
    state = module.state_dict()
    assert isinstance(state, OrderedDict)
    assert list(state) == ["steps", "_extra_state", "layer.weight", "layer.bias"]
    assert state._metadata == {"": {"version": 3}, "layer": {"version": 1}}
    assert not state["layer.weight"].requires_grad
    assert type(state["layer.weight"]) is pynn.Tensor
    state["layer.weight"].zero_()
    assert not module.layer.weight.any()
    assert module.state_dict(keep_vars=True)["layer.weight"] is module.layer.weight


def test_destination_and_prefix():
    target = {"kept": 1}
    assert nn.Linear(1, 1).state_dict(destination=target, prefix="a.") is target
    assert list(target) == ["kept", "a.weight", "a.bias"]
    with pytest.warns(FutureWarning, match="Positional args are being deprecated"):
        assert list(nn.Linear(1, 1).state_dict(OrderedDict(), "b.")) == ["b.weight", "b.bias"]


@pytest.mark.parametrize(
    "through", [lambda s: s, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), dict]
)
def test_loading_copies_values(through):
    source, target = Counter(), Counter()
    source.note, source.steps = "five", pynn.tensor(5.0)
    weight = target.layer.weight
    result = target.load_state_dict(through(source.state_dict()))
    assert repr(result) == str(result) == "<All keys matched successfully>"
    assert target.layer.weight is weight
    assert weight.tolist() == source.layer.weight.tolist()
    assert (target.note, target.steps.item()) == ("five", 5.0)
    source.layer.weight.data.zero_()
    assert weight.any()


def test_assign_takes_the_tensors():
    source, target = Counter().double(), Counter()
    target.layer.weight.requires_grad_(False)
    state = source.state_dict()
    target.load_state_dict(state, assign=True)
    assert target.layer.weight.dtype == pynn.float64
    assert isinstance(target.layer.weight, nn.Parameter)
    assert not target.layer.weight.requires_grad
    assert target.layer.bias.requires_grad
    assert target.steps is state["steps"]
    other = Counter()
    other.load_state_dict(state)  # the choice to assign was that of one call
    assert other.layer.weight.dtype == pynn.float32


def test_all_problems_are_listed_at_once():
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = module[0].bias.tolist()
    state = module.state_dict()
    del state["1.bias"]
    state["0.weight"] = pynn.zeros(5, 2)
    state["0.bias"] = "text"
    state["2.weight"] = state["extra"] = pynn.zeros(1)
    with pytest.raises(RuntimeError) as caught:
        module.load_state_dict(state)
    lines = str(caught.value).split("\n\t")
    assert lines[0] == "Error(s) in loading state_dict for Sequential:"
    assert lines[1] == 'Missing key(s) in state_dict: "1.bias". '
    assert lines[2] == 'Unexpected key(s) in state_dict: "2.weight", "extra". '
    assert lines[3] == (
        "size mismatch for 0.weight: copying a param with shape torch.Size([5, 2]) from checkpoint, "
        "the shape in current model is torch.Size([3, 2])."
    )
    assert '"0.bias"' in lines[4]
    assert "<class 'str'>" in lines[4]
    assert len(lines) == 5
    assert module[0].bias.tolist() == before


def test_without_strict_only_shapes_count():
    module = nn.Linear(2, 3)
    result = module.load_state_dict({"bias": pynn.ones(3), "other": pynn.ones(1)}, strict=False)
    assert result == (["weight"], ["other"])
    assert (result.missing_keys, result.unexpected_keys) == (["weight"], ["other"])
    assert repr(result) == "_IncompatibleKeys(missing_keys=['weight'], unexpected_keys=['other'])"
    assert module.bias.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="size mismatch for bias"):
        module.load_state_dict({"bias": pynn.ones(4)}, strict=False)


def test_not_a_dict():
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        nn.Linear(1, 1).load_state_dict([])


def test_a_scalar_may_come_with_one_dimension():
    module = Counter()
    state = module.state_dict()
    state["steps"] = pynn.ones(1)
    module.load_state_dict(state)
    assert module.steps.item() == 1
    assert module.steps.dim() == 0


def test_missing_and_unexpected_extra_state():
    module = Counter()
    state = module.state_dict()
    del state["_extra_state"]
    with pytest.raises(RuntimeError, match='Missing key\\(s\\) in state_dict: "_extra_state"'):
        module.load_state_dict(state)
    plain = nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match='Unexpected key\\(s\\) in state_dict: "_extra_state"'):
        plain.load_state_dict({**plain.state_dict(), "_extra_state": 1})


def test_a_subclass_may_read_older_versions():
    class Renamed(nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(pynn.zeros(2))

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
            if local_metadata.get("version", 1) < 2:
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    net = nn.Sequential(Renamed())
    old = {"0.w": pynn.ones(2)}
    net.load_state_dict(OrderedDict(old), strict=False)
    assert net[0].weight.tolist() == [1, 1]
    assert list(old) == ["0.w"]


def test_hooks_of_saving():
    net, log = nn.Sequential(nn.Linear(1, 1)), []
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep: log.append((prefix, keep)))
    net[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.pop(prefix + "bias") and None)
    handle = net._register_state_dict_hook(lambda m, state, prefix, meta: {"all": state})
    state = net.state_dict(keep_vars=True)
    assert log == [("0.", True)]
    assert list(state["all"]) == ["0.weight"]
    handle.remove()
    assert list(net.state_dict()) == ["0.weight"]
    net.register_state_dict_post_hook(lambda m, state, prefix, meta: state)
    with pytest.raises(RuntimeError, match="state_dict post-hook must return None"):
        net.state_dict()


def test_hooks_of_loading():
    net, seen = nn.Sequential(nn.Linear(1, 1)), []

    def rename(module, state, prefix, *rest):
        seen.append((module, prefix))
        state[prefix + "weight"] = state.pop(prefix + "w")

    net[0].register_load_state_dict_pre_hook(rename)
    net[0]._register_load_state_dict_pre_hook(lambda state, prefix, *rest: seen.append(prefix))
    net.register_load_state_dict_post_hook(lambda m, keys: keys.unexpected_keys.clear())
    result = net.load_state_dict({"0.w": pynn.ones(1, 1), "0.bias": pynn.zeros(1), "other": pynn.zeros(1)})
    assert seen == [(net[0], "0."), "0."]
    assert result == ([], [])
    assert net[0].weight.item() == 1
    net.register_load_state_dict_post_hook(lambda m, keys: keys)
    with pytest.raises(AssertionError, match="not expected to return new values"):
        net.load_state_dict({"0.w": pynn.ones(1, 1), "0.bias": pynn.zeros(1)})
