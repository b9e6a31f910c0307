"""Parameter and Buffer."""

import copy
import pickle

import pytest

import pynn
from pynn import nn


def test_a_parameter_shares_memory_and_requires_grad():
    data = pynn.zeros(2, 3)
    param = nn.Parameter(data)
    assert isinstance(param, pynn.Tensor)
    assert type(param) is nn.Parameter
    assert param.requires_grad
    assert param.is_leaf
    data.fill_(2)
    assert param.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert not nn.Parameter(pynn.ones(1, dtype=pynn.int64), requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)
    assert not isinstance(data, nn.Parameter)
    assert type(param * 1) is pynn.Tensor
    assert type(param.detach()) is pynn.Tensor


def test_a_parameter_of_a_result_is_a_leaf():
    param = nn.Parameter(pynn.ones(2, requires_grad=True) * 3)
    assert param.is_leaf
    assert param.tolist() == [3, 3]


def test_only_tensors():
    with pytest.raises(TypeError, match="Parameter: data must be a Tensor, got list"):
        nn.Parameter([1.0])


def test_repr():
    assert repr(nn.Parameter(pynn.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


class Scaled(nn.Parameter):
    pass


@pytest.mark.parametrize("kind", [nn.Parameter, Scaled])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies(kind, duplicate):
    param = kind(pynn.ones(2), requires_grad=False)
    first, second = duplicate([param, param])
    assert first is second
    assert type(first) is kind
    assert not first.requires_grad
    first.fill_(5)
    assert param.tolist() == [1, 1]


def test_pickle_keeps_attributes():
    param = nn.Parameter(pynn.ones(2))
    param.group = "decay"
    assert pickle.loads(pickle.dumps(param)).group == "decay"


def test_a_subclass_of_tensor_keeps_its_type():
    class Tagged(pynn.Tensor):
        pass

    tagged = pynn._C._make_subclass(Tagged, pynn.ones(2), False)
    param = nn.Parameter(tagged)
    assert type(param) is Tagged
    assert isinstance(param, nn.Parameter)
    assert not isinstance(tagged, nn.Parameter)
    assert not isinstance(param, Scaled)
    module = nn.Module()
    module.p = param
    assert list(module._parameters) == ["p"]


def test_buffer():
    data = pynn.ones(2)
    buffer = nn.Buffer(data, persistent=False)
    assert isinstance(buffer, nn.Buffer)
    assert not isinstance(data, nn.Buffer)
    assert not buffer.persistent
    data.zero_()
    assert buffer.tolist() == [0, 0]
    assert nn.Buffer().shape == (0,)
