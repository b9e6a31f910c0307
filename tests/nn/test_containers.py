"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict: the list and dict interfaces."""

from collections import OrderedDict

import pytest

import pynn
from pynn import nn


def layers(n):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def keys(module):
    return list(module._modules)


def test_sequential_calls_in_order():
    net = nn.Sequential(*layers(3))
    assert net(pynn.zeros(2, 1)).shape == (2, 4)
    assert nn.Sequential()(5) == 5


@pytest.mark.parametrize("kind", [lambda items: nn.Sequential(*items), nn.ModuleList])
def test_what_sequential_and_list_share(kind):
    a, b, c, d = items = layers(4)
    net = kind(items)
    assert len(net) == 4
    assert list(net) == items
    assert a in net
    assert [net[0], net[-1], net[2]] == [a, d, c]
    assert list(net[1:3]) == [b, c]
    assert type(net[1:3]) is type(net)
    assert list(net[::-2]) == [d, b]
    with pytest.raises(IndexError, match="index 4 is out of range"):
        net[4]
    with pytest.raises(TypeError):
        net["0"]
    net[1] = d
    assert net[1] is d
    del net[1]
    assert list(net) == [a, c, d]
    assert keys(net) == ["0", "1", "2"]
    net.append(b).extend([a])
    assert list(net) == [a, c, d, b, a]
    del net[1:3]
    assert list(net) == [a, b, a]
    assert keys(net) == ["0", "1", "2"]
    assert net.pop(1) is b
    net.insert(1, c)
    assert list(net) == [a, c, a]
    assert net[1] is getattr(net, "1")
    both = net + kind([d])
    assert list(both) == [a, c, a, d]
    net += kind([b])
    assert list(net) == [a, c, a, b]
    assert list(net.state_dict())[:2] == ["0.weight", "0.bias"]


def test_sequential_of_names():
    a, b, c = layers(3)
    net = nn.Sequential(OrderedDict([("x", a), ("y", b)]))
    assert (net.x, net[1]) == (a, b)
    assert keys(net[:1]) == ["x"]
    net[0] = c
    assert keys(net) == ["x", "y"]
    net.append(a)
    assert keys(net) == ["x", "y", "2"]


def test_sequential_repeats_and_adds():
    a, b = layers(2)
    net = nn.Sequential(a, b)
    assert list(net * 2) == list(2 * net) == [a, b, a, b]
    assert list(net) == [a, b]
    net *= 3
    assert list(net) == [a, b] * 3
    net += net
    assert len(net) == 12
    for wrong, error in [(0, ValueError), (1.5, TypeError)]:
        with pytest.raises(error):
            net * wrong
        with pytest.raises(error):
            net *= wrong
    with pytest.raises(ValueError, match="supports only objects of Sequential class"):
        net + [a]
    with pytest.raises(IndexError, match="Index out of range: 20"):
        net.insert(20, a)
    net.insert(-1, b)
    assert net[-2] is b


def test_module_list_extends_by_iterables_only():
    net = nn.ModuleList(layer for layer in layers(2))
    net += layers(1)
    assert len(net + net) == 6
    with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
        net.extend(3)
    with pytest.raises(TypeError, match="is not a Module subclass"):
        net.append("text")
    with pytest.raises(NotImplementedError, match="forward"):
        net(1)


def test_module_dict():
    a, b, c = layers(3)
    net = nn.ModuleDict({"a": a, "b": b})
    assert net["a"] is net.a is a
    assert list(net) == list(net.keys()) == ["a", "b"]
    assert list(net.items()) == [("a", a), ("b", b)]
    assert list(net.values()) == [a, b]
    assert "a" in net
    assert len(net) == 2
    net.update([("c", c), ("a", b)])
    net.update(nn.ModuleDict({"d": a}))
    assert keys(net) == ["a", "b", "c", "d"]
    assert net.pop("a") is b
    del net["b"]
    assert keys(net) == ["c", "d"]
    with pytest.raises(KeyError):
        net["a"]
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        net["keys"] = a
    with pytest.raises(TypeError, match="iterable of key/value pairs, but got int"):
        net.update(3)
    with pytest.raises(TypeError, match="element #0 should be Iterable"):
        net.update([1])
    with pytest.raises(ValueError, match="element #0 has length 3; 2 is required"):
        net.update(["abc"])
    net.clear()
    assert len(net) == 0
    assert not hasattr(net, "c")


def test_parameter_list():
    p = nn.Parameter(pynn.ones(2))
    params = nn.ParameterList([p, pynn.zeros(3), "text"])
    assert params[0] is p
    assert isinstance(params[1], nn.Parameter)
    assert params[-1] == "text"
    assert len(list(params.parameters())) == 2
    params.append(pynn.zeros(1)).extend([p])
    params += [1]
    assert len(params) == 6
    assert list(params[3:])[1:] == [p, 1]
    assert type(params[3:]) is nn.ParameterList
    params[1] = pynn.ones(3)
    assert params[1].tolist() == [1, 1, 1]
    assert list(params.state_dict()) == ["0", "1", "3", "4"]
    for wrong in (3, pynn.ones(2)):
        with pytest.raises(TypeError, match="should be called with an iterable"):
            params.extend(wrong)
    with pytest.raises(IndexError, match="index 6 is out of range"):
        params[6]
    with pytest.raises(RuntimeError, match="should not be called"):
        params(1)


def test_parameter_dict():
    p = nn.Parameter(pynn.ones(2))
    params = nn.ParameterDict({"b": p, "a": pynn.zeros(3)})
    assert list(params) == ["a", "b"]  # a plain dict goes in the order of its keys
    assert list(nn.ParameterDict(OrderedDict(b=p, a=p))) == ["b", "a"]
    assert isinstance(params["a"], nn.Parameter)
    assert params.b is p
    params["c"] = 5
    assert list(reversed(params)) == ["c", "b", "a"]
    assert params.popitem() == ("c", 5)
    assert params.get("c", 7) == 7
    assert params.setdefault("b", 1) is p
    assert params.setdefault("d", 1) == 1
    assert params.pop("d") == 1
    joined = params | nn.ParameterDict({"b": pynn.zeros(1), "e": p})
    assert list(joined) == ["a", "b", "e"]
    assert joined["b"].shape == (1,)
    assert params["b"] is p
    params |= {"f": pynn.ones(1)}
    assert list(params.keys()) == ["a", "b", "f"]
    assert [k for k, _ in params.items()] == list(params)
    assert [v.numel() for v in params.values()] == [3, 2, 1]
    assert list(params.fromkeys(["x", "y"], 1).items()) == [("x", 1), ("y", 1)]
    assert list(params.state_dict()) == ["a", "b", "f"]
    with pytest.raises(TypeError, match="keys must be strings, got int"):
        params[1] = p
    with pytest.raises(RuntimeError, match="should not be called"):
        params(1)
    params.clear()
    assert len(params) == 0
    with pytest.raises(KeyError):
        params.popitem()
