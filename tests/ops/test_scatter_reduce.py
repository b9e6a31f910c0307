"""scatter_reduce, index_reduce, repeat_interleave, nonzero_static."""

import numpy as np
import pytest
from helpers import arr, check_op, distinct, raises, tensor, to_numpy

import pynn

FOLD = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}


def _reduced(x, index, source, fold, include_self):
    """Along dim 0 of matrices."""
    out = x.copy()
    for j in range(index.shape[1]):
        for r in range(x.shape[0]):
            values = [source[i, j] for i in range(index.shape[0]) if index[i, j] == r]
            if values:
                out[r, j] = fold(([x[r, j]] if include_self else []) + values)
    return out


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("way", FOLD)
def test_scatter_reduce(way, include_self):
    index = np.array([[0, 1, 1], [0, 2, 0], [3, 1, 0], [0, 2, 3], [3, 2, 2]])
    values = distinct(9, 3, seed=3)
    check_op(
        lambda x, s: pynn.scatter_reduce(x, 0, tensor(index).to(x.device), s, way, include_self=include_self),
        lambda x, s: _reduced(x, index, s, FOLD[way], include_self),
        [(values[:4], values[4:])],
        layouts=False,
        tol=4,
        grad_tol=4,
    )
    x, s = tensor(values[:4]), tensor(values[4:])
    y = x.clone()
    assert y.scatter_reduce_(0, tensor(index), s, way, include_self=include_self) is y
    assert pynn.equal(y, x.scatter_reduce(0, tensor(index), s, way, include_self=include_self))


@pytest.mark.parametrize("way", ["prod", "mean", "amax", "amin"])
def test_index_reduce(way):
    index = np.array([0, 2, 2, 0])
    values = distinct(7, 3, seed=4)
    full = np.broadcast_to(index[:, None], (4, 3))
    check_op(
        lambda x, s: pynn.index_reduce(x, 0, tensor(index).to(x.device), s, way),
        lambda x, s: _reduced(x, full, s, FOLD[way], True),
        [(values[:3], values[3:])],
        layouts=False,
        tol=4,
        grad_tol=4,
    )
    with raises(RuntimeError, "index_reduce", "sum"):
        pynn.index_reduce(pynn.zeros(2), 0, pynn.tensor([0]), pynn.zeros(1), "sum")


def test_repeat_interleave():
    counts = np.array([2, 0, 3])
    check_op(
        lambda x: x.repeat_interleave(tensor(counts).to(x.device), 0),
        lambda x: np.repeat(x, counts, 0),
        [(arr(3, 2),)],
        ints="same",
    )
    check_op(pynn.repeat_interleave, np.repeat, [(arr(3, 2), 2, 1), (arr(2, 2), 3), (arr(4), 0)], ints="same")
    assert pynn.repeat_interleave(tensor(counts)).tolist() == [0, 0, 2, 2, 2]
    with raises(RuntimeError, "repeat_interleave", "negative"):
        pynn.repeat_interleave(pynn.tensor([1, -1]))
    with raises(RuntimeError, "repeat_interleave", "size"):
        pynn.zeros(3).repeat_interleave(pynn.tensor([1, 2]))


def test_nonzero_static():
    x = pynn.tensor([[0, 1], [2, 3]])
    assert pynn.nonzero_static(x, size=2).tolist() == [[0, 1], [1, 0]]
    assert pynn.nonzero_static(x, size=4, fill_value=7).tolist() == [[0, 1], [1, 0], [1, 1], [7, 7]]
    assert to_numpy(x.nonzero_static(size=0)).shape == (0, 2)
