"""Python's protocols: len, iter, bool, numbers, contains, hash, format, copy, pickle, attributes, subclasses."""

import copy
import gc
import math
import operator
import pickle
import weakref

import pytest
from helpers import ALL_DTYPES, raises, same_bits

import pynn


def test_len_and_iter():
    x = pynn.arange(6).reshape(3, 2)
    assert len(x) == 3 and [r.tolist() for r in x] == [[0, 1], [2, 3], [4, 5]]
    a, b, c = x
    assert b.tolist() == [2, 3] and len(pynn.empty(0)) == 0 and list(pynn.empty(0, 2)) == []
    assert [r.tolist() for r in reversed(x)] == [[4, 5], [2, 3], [0, 1]]
    for bad in (len, iter):
        with raises(TypeError, "0-d"):
            bad(pynn.tensor(1.0))
    y = pynn.ones(2, requires_grad=True)
    sum(y).backward()
    assert y.grad.tolist() == [1.0, 1.0]


def test_bool():
    assert pynn.tensor(1.0) and not pynn.tensor(0) and pynn.tensor([[True]]) and pynn.tensor(math.nan)
    for bad in (pynn.ones(2), pynn.empty(0)):
        with raises(RuntimeError, "(?i)bool|ambiguous"):
            bool(bad)


def test_numbers():
    assert float(pynn.tensor(2)) == 2.0 and int(pynn.tensor(2.9)) == 2 and int(pynn.tensor([-2.9])) == -2
    assert complex(pynn.tensor(1.5)) == 1.5 + 0j
    assert (
        operator.index(pynn.tensor(3)) == 3
        and [10, 20, 30, 40][pynn.tensor(3)] == 40
        and hex(pynn.tensor(255)) == "0xff"
    )
    assert range(pynn.tensor(3)) == range(3)
    for bad in (pynn.tensor(1.5), pynn.tensor([1, 2])):
        with pytest.raises(TypeError):
            operator.index(bad)
    with pytest.raises((RuntimeError, ValueError)):
        float(pynn.ones(2))
    for special in (math.nan, math.inf):
        with pytest.raises((ValueError, OverflowError, RuntimeError)):
            int(pynn.tensor(special))


def test_contains():
    x = pynn.tensor([1.0, 2.0])
    assert 1 in x and 3 not in x and pynn.tensor(2.0) in x
    for bad in ("text", None, [1.0]):
        with pytest.raises((RuntimeError, TypeError)):
            bad in x


def test_hash_and_equality():
    x, y = pynn.ones(2), pynn.ones(2)
    assert hash(x) == hash(x) and hash(x) != hash(y)
    assert {x: 1}[x] == 1 and len({x, y}) == 2  # by identity
    assert pynn.equal(x, y) and not pynn.equal(x, pynn.ones(3)) and not pynn.equal(x, pynn.zeros(2))
    assert not pynn.equal(pynn.tensor([math.nan]), pynn.tensor([math.nan]))
    assert pynn.allclose(x, x + 1e-9) and not pynn.allclose(x, x + 1e-3)
    assert pynn.allclose(pynn.tensor([math.nan]), pynn.tensor([math.nan]), equal_nan=True)
    assert pynn.isclose(x, pynn.tensor([1.0, 1.1])).tolist() == [True, False]


def test_format():
    assert f"{pynn.tensor(1.5):.3f}" == "1.500" and f"{pynn.tensor(7):04d}" == "0007"
    assert f"{pynn.tensor([1.0])}" == "tensor([1.])" and str(pynn.tensor(2)) == "tensor(2)"
    assert f"{pynn.tensor(1.5)}" == "1.5"
    with pytest.raises(TypeError):
        f"{pynn.ones(2):.3f}"
    with pytest.raises(ValueError):
        f"{pynn.tensor(1.5):nonsense}"


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_copy_and_pickle(dtype):
    x = pynn.tensor([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.clone()):
        assert twin.dtype == dtype and twin.tolist() == x.tolist() and type(twin) is pynn.Tensor
    deep = copy.deepcopy(x)
    assert deep.data_ptr() != x.data_ptr()
    strided = pickle.loads(pickle.dumps(x.t()[1:]))
    assert strided.tolist() == x.t()[1:].tolist() and strided.shape == (2, 2)


def test_copy_keeps_what_belongs_to_the_tensor():
    x = pynn.ones(2, requires_grad=True)
    x.sum().backward()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad and twin.is_leaf
    assert copy.deepcopy(x).grad.tolist() == [1.0, 1.0] and copy.deepcopy(x).grad is not x.grad
    pair = [x, x]
    twins = copy.deepcopy(pair)
    assert twins[0] is twins[1]
    base = pynn.arange(6.0)
    views = copy.deepcopy([base, base[2:4]])
    views[0][2] = 99.0
    assert views[1][0] == 99.0  # shared storage stays shared
    p = pynn.nn.Parameter(pynn.ones(2))
    assert isinstance(copy.deepcopy(p), pynn.nn.Parameter) and isinstance(
        pickle.loads(pickle.dumps(p)), pynn.nn.Parameter
    )


def test_attributes():
    x = pynn.ones(2)
    x.note = [1]
    assert x.note == [1] and "note" in x.__dict__ and "note" in dir(x)
    del x.note
    with raises(AttributeError, "note"):
        _ = x.note
    for name in ("shape", "dtype", "device", "is_leaf", "grad_fn", "ndim"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(x, name, 1)
    for name in ("add", "backward", "shape", "requires_grad", "view"):
        assert name in dir(x)
    assert {"zeros", "Tensor", "float32", "nn", "no_grad", "optim"} <= set(dir(pynn))
    with raises(AttributeError, "nonsense"):
        _ = pynn.nonsense


def test_weak_references():
    x = pynn.ones(2)
    ref = weakref.ref(x)
    assert ref() is x
    del x
    gc.collect()
    assert ref() is None


def test_subclass():
    class Named(pynn.Tensor):
        def twice(self):
            return self * 2

    x = pynn.ones(2).as_subclass(Named)
    assert isinstance(x, Named) and x.twice().tolist() == [2.0, 2.0]
    assert type(pynn.ones(2)) is pynn.Tensor


def test_parameter():
    p = pynn.nn.Parameter(pynn.ones(2))
    assert isinstance(p, pynn.Tensor) and p.requires_grad and p.is_leaf
    assert not pynn.nn.Parameter(pynn.ones(2), requires_grad=False).requires_grad
    assert type(p * 2) is pynn.Tensor and type(p.detach()) is pynn.Tensor and type(p.data) is pynn.Tensor
    assert isinstance(pynn.ones(1), pynn.nn.Parameter) is False
    assert repr(p).startswith("Parameter containing:\ntensor([1., 1.]")


def test_shape_attributes():
    x = pynn.zeros(2, 3)
    assert x.T.shape == (3, 2) and x.mT.shape == (3, 2) and x.H.shape == (3, 2)
    assert x.is_contiguous() and not x.T.is_contiguous() and x.nbytes == 24
    assert x.data_ptr() % 4 == 0 and x.stride() == (3, 1) and x.element_size() == 4
    assert x.real is x or same_bits(x.real, x)
    assert x.is_same_size(pynn.ones(2, 3)) and not x.is_same_size(pynn.ones(3, 2))


def test_set_options_do_not_leak():
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        pynn.set_num_threads("two")
    with raises(RuntimeError, "set_num_threads"):
        pynn.set_num_threads(0)
    with raises(RuntimeError, "set_num_threads"):
        pynn.set_num_threads(-3)


def test_functions_are_copied_and_pickled_as_themselves():
    """A module may hold one as its activation, and modules are copied."""
    functional = pynn.nn.functional
    for f in (functional.gelu, functional.elu_, pynn.tanh, pynn.Tensor.tanh, pynn.Tensor.tanh_):
        assert copy.deepcopy(f) is f and pickle.loads(pickle.dumps(f)) is f
