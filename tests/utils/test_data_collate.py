"""default_collate and default_convert."""

from collections import OrderedDict, UserDict, UserList, defaultdict, namedtuple
from types import MappingProxyType

import numpy as np
import pytest

import pynn
from pynn.utils.data import default_collate, default_convert

Point = namedtuple("Point", "x y")


def test_tensors_are_stacked():
    out = default_collate([pynn.tensor([1, 2]), pynn.tensor([3, 4])])
    assert out.tolist() == [[1, 2], [3, 4]] and out.dtype == pynn.int64
    with pytest.raises(RuntimeError):
        default_collate([pynn.zeros(2), pynn.zeros(3)])


def test_numbers_and_text():
    assert default_collate([1, 2]).dtype == pynn.int64
    assert default_collate([1.5, 2.0]).dtype == pynn.float64
    assert default_collate([True, False]).dtype == pynn.bool
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate((b"a", b"b")) == (b"a", b"b")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
def test_numpy(dtype):
    for sample in (np.ones((2, 3), dtype), np.ones((), dtype), np.dtype(dtype).type(1)):
        out = default_collate([sample, sample])
        assert out.dtype == getattr(pynn, dtype) and tuple(out.shape) == (2, *np.shape(sample))
        assert out.tolist() == np.ones((2, *np.shape(sample)), dtype).tolist()
    assert default_collate([np.str_("a"), np.str_("b")]) == ["a", "b"]
    with pytest.raises(TypeError, match="found <U1"):
        default_collate([np.array(["a"])])


def test_containers_are_collated_entry_by_entry():
    out = default_collate([{"a": 1, "b": (2.0, "x")}, {"a": 3, "b": (4.0, "y")}])
    assert out["a"].tolist() == [1, 3]
    assert type(out["b"]) is list and out["b"][0].tolist() == [2.0, 4.0] and out["b"][1] == ("x", "y")
    out = default_collate([Point(1, 2), Point(3, 4)])
    assert type(out) is Point and out.x.tolist() == [1, 3]
    out = default_collate([[1, 2], [3, 4], [5, 6]])
    assert type(out) is list and [t.tolist() for t in out] == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize("kind", [OrderedDict, UserDict, MappingProxyType, lambda d: defaultdict(int, d)])
def test_mappings_keep_their_type(kind):
    batch = [kind({"a": 1}), kind({"a": 2})]
    out = default_collate(batch)
    assert type(out) is type(batch[0]) and out["a"].tolist() == [1, 2]
    assert batch[0]["a"] == 1
    assert getattr(out, "default_factory", int) is int
    assert type(default_convert(batch[0])) is type(batch[0])


def test_sequences_keep_their_type():
    batch = [UserList([1, 2]), UserList([3, 4])]
    out = default_collate(batch)
    assert type(out) is UserList and out[0].tolist() == [1, 3] and batch[0] == [1, 2]
    out = default_collate([range(2), range(2)])
    assert type(out) is list and out[1].tolist() == [1, 1]


def test_unequal_sequences_and_unknown_types():
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        default_collate([[1, 2], [3]])
    with pytest.raises(TypeError, match="batch must contain tensors.*found <class 'object'>"):
        default_collate([object()])
    with pytest.raises(KeyError):
        default_collate([{"a": 1}, {"b": 1}])


def test_convert():
    tensor = pynn.ones(2)
    assert default_convert(tensor) is tensor
    assert default_convert(np.arange(3)).tolist() == [0, 1, 2]
    assert default_convert(np.float32(2)).dtype == pynn.float32
    text = np.array(["a"])
    assert default_convert(text) is text
    out = default_convert({"a": np.ones(1), "b": (1, "x"), "c": Point(np.ones(1), 2)})
    assert out["a"].tolist() == [1.0] and out["b"] == [1, "x"]
    assert type(out["c"]) is Point and out["c"].x.tolist() == [1.0]
    assert default_convert([np.ones(1), "x"])[1] == "x"
    assert default_convert("text") == "text" and default_convert(3) == 3
