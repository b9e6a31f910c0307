"""Triangles' indices, combinations, vander, unravel_index, quarter turns."""

import itertools

import numpy as np
import pytest
from helpers import arr, check_op, raises, tensor, to_numpy

import pynn


@pytest.mark.parametrize("offset", range(-4, 6))
def test_triangles(offset):
    for shape in ((3, 4), (4, 2), (0, 3), (3, 0)):
        for name in ("tril", "triu"):
            found = getattr(pynn, name + "_indices")(*shape, offset)
            expected = getattr(np, name + "_indices")(shape[0], offset, shape[1])
            assert found.dtype == pynn.int64
            np.testing.assert_array_equal(to_numpy(found), np.stack(expected))


@pytest.mark.parametrize("r", [1, 2, 3, 4])
@pytest.mark.parametrize("replacement", [False, True])
def test_combinations(r, replacement):
    pick = itertools.combinations_with_replacement if replacement else itertools.combinations
    check_op(
        lambda x: pynn.combinations(x, r, replacement),
        lambda x: np.array(list(pick(x, r))).reshape(-1, r),
        [(arr(4),)],
        ints="same",
    )
    assert pynn.combinations(pynn.zeros(0), r, replacement).shape == (0, r)


def test_vander():
    check_op(pynn.vander, np.vander, [(arr(4),), (arr(4), 3), (arr(3), 4, True)], ints=pynn.int64, grad_tol=4)
    with raises(RuntimeError, "vander", "one-dimensional"):
        pynn.vander(pynn.zeros(2, 2))


def test_unravel_index():
    at = np.array([[0, 5], [23, 11]])
    for found, expected in zip(
        pynn.unravel_index(tensor(at), (2, 3, 4)), np.unravel_index(at, (2, 3, 4)), strict=True
    ):
        np.testing.assert_array_equal(to_numpy(found), expected)


@pytest.mark.parametrize("k", range(-5, 6))
def test_rot90(k):
    check_op(pynn.rot90, np.rot90, [(arr(2, 3), k), (arr(2, 3, 4), k, (1, -1))], ints="same")


def test_flips():
    check_op(pynn.fliplr, np.fliplr, [(arr(2, 3),), (arr(2, 3, 2),)], ints="same")
    check_op(pynn.flipud, np.flipud, [(arr(3),), (arr(2, 3, 2),)], ints="same")
    with raises(RuntimeError, "fliplr"):
        pynn.fliplr(pynn.zeros(3))


def test_triangles_of_huge_matrices():
    """What has few elements is quick, whatever the sizes; what has too many is refused."""
    huge = 2**62
    assert pynn.tril_indices(2**63 - 1, 0).shape == (2, 0)
    assert pynn.triu_indices(huge, 3, -5).tolist() == pynn.triu_indices(9, 3, -5).tolist()
    assert pynn.tril_indices(3, huge, 1).tolist() == pynn.tril_indices(3, 9, 1).tolist()
    assert pynn.triu_indices(5, 5, 2**63 - 1).shape == (2, 0)
    with pytest.raises(RuntimeError):
        pynn.tril_indices(huge, huge)
