"""segment_reduce against loops in NumPy."""

import numpy as np
import pytest
from helpers import arr, distinct, raises, tensor

import pynn
from pynn.autograd import gradcheck, gradgradcheck

REDUCE = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}
EMPTY = {"sum": 0.0, "mean": np.nan, "max": -np.inf, "min": np.inf, "prod": 1.0}


def reference(data, bounds, reduce, axis=0):
    if axis:
        return np.stack([reference(d, b, reduce, axis - 1) for d, b in zip(data, bounds, strict=True)])
    rows = [data[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    return np.stack(
        [REDUCE[reduce](r, 0) if len(r) else np.full(data.shape[1:], EMPTY[reduce]) for r in rows]
    )


@pytest.mark.parametrize("reduce", REDUCE)
def test_values_and_gradients(reduce):
    def full(x):
        return pynn.segment_reduce(x, reduce, lengths=pynn.tensor([3, 4, 1]))

    for shape in ((8,), (8, 3), (8, 2, 2)):
        data = distinct(*shape, seed=1)
        lengths = np.array([3, 0, 5, 0])
        bounds = np.array([0, 3, 3, 8, 8])
        expected = reference(data, bounds, reduce)
        for given in ({"lengths": tensor(lengths)}, {"offsets": tensor(bounds)}):
            np.testing.assert_allclose(pynn.segment_reduce(tensor(data), reduce, **given).numpy(), expected)
        leaf = tensor(data, requires_grad=True)
        assert gradcheck(full, (leaf,))
        assert gradgradcheck(full, (leaf,))


@pytest.mark.parametrize("reduce", REDUCE)
def test_batches(reduce):
    data = arr(2, 4, 3)
    lengths = np.array([[1, 3], [2, 2]])
    bounds = np.array([[0, 1, 4], [0, 2, 4]])
    found = pynn.segment_reduce(tensor(data), reduce, lengths=tensor(lengths), axis=1)
    np.testing.assert_allclose(found.numpy(), reference(data, bounds, reduce, 1))


def test_initial_and_unsafe():
    data = pynn.arange(8.0)
    lengths = pynn.tensor([3, 0, 5])

    def run(reduce, **kwargs):
        return pynn.segment_reduce(data, reduce, lengths=lengths, **kwargs).tolist()

    assert run("sum", initial=2) == [5, 2, 27]
    np.testing.assert_allclose(run("mean", initial=2), [5 / 3, 2, 5.4], rtol=1e-6)
    assert run("max", initial=2) == [2, 2, 7]
    assert run("min", initial=2) == [0, 2, 2]
    short = pynn.tensor([3, 0, 4])
    assert pynn.segment_reduce(data, "mean", lengths=short, unsafe=True)[2] == 4.5
    assert pynn.segment_reduce(data, "sum", offsets=pynn.tensor([2, 4, 7])).tolist() == [5, 15]


def test_errors():
    data = pynn.arange(8.0)
    lengths = pynn.tensor([8])
    with raises(RuntimeError, "sum, prod, mean", "foo"):
        pynn.segment_reduce(data, "foo", lengths=lengths)
    with raises(RuntimeError, "lengths or offsets"):
        pynn.segment_reduce(data, "sum")
    with raises(RuntimeError, "indices"):
        pynn.segment_reduce(data, "sum", indices=lengths)
    with raises(RuntimeError, "sum to"):
        pynn.segment_reduce(data, "sum", lengths=pynn.tensor([3]))
    with raises(RuntimeError, "negative"):
        pynn.segment_reduce(data, "sum", lengths=pynn.tensor([9, -1]))
    with raises(NotImplementedError, "int64"):
        pynn.segment_reduce(data.long(), "sum", lengths=lengths)
    with raises(RuntimeError, r"\(1,\)", "axis 1"):
        pynn.segment_reduce(data.view(2, 4), "sum", lengths=lengths, axis=1)
