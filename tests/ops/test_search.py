"""searchsorted, bucketize, isin, bincount, histc, histogram."""

import math

import numpy as np
import pytest
from helpers import ALL_DTYPES, arr, ints, raises, tensor, to_numpy

import pynn


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side):
    row, values = np.sort(ints(9)), ints(4, 5)
    for dtype in ALL_DTYPES[:-1]:
        if dtype == pynn.uint8:
            continue
        found = pynn.searchsorted(tensor(row, dtype), tensor(values, dtype), side=side)
        np.testing.assert_array_equal(to_numpy(found), np.searchsorted(row, values, side))
    rows, values = np.sort(arr(3, 8)), arr(3, 100)
    found = to_numpy(pynn.searchsorted(tensor(rows), tensor(values), side=side))
    for i in range(3):
        np.testing.assert_array_equal(found[i], np.searchsorted(rows[i], values[i], side))
    right = side == "right"
    np.testing.assert_array_equal(
        to_numpy(pynn.bucketize(tensor(values), tensor(rows[0]), right=right)),
        np.searchsorted(rows[0], values, side),
    )
    assert pynn.bucketize(1.0, pynn.tensor([0.0, 1.0, 2.0]), right=right).item() == 1 + right
    assert pynn.searchsorted(tensor(rows), tensor(values), out_int32=True).dtype == pynn.int32


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.bfloat16, pynn.int32, pynn.int64])
def test_searchsorted_of_every_length(dtype):
    for n in (0, 1, 2, 3, 7, 8, 9, 1000):
        for count in (1, 3, 4, 5, 301):
            row = np.sort(ints(n, low=-50, high=50))
            values = ints(count, low=-60, high=60)
            for side in ("left", "right"):
                found = pynn.searchsorted(tensor(row, dtype), tensor(values, dtype), side=side)
                np.testing.assert_array_equal(to_numpy(found), np.searchsorted(row, values, side))
    # Several rows, sorted or not: with a sorter each search goes alone, and looks at the same places.
    a, values = tensor(ints(5, 40, low=-50, high=50), dtype), tensor(ints(5, 37, low=-60, high=60), dtype)
    order = pynn.arange(40).repeat(5, 1)
    for rows in (a, a.sort(1)[0]):
        for side in ("left", "right"):
            alone = pynn.searchsorted(rows, values, side=side, sorter=order)
            assert pynn.equal(pynn.searchsorted(rows, values, side=side), alone)
            each = [pynn.searchsorted(r, v, side=side) for r, v in zip(rows, values, strict=True)]
            assert pynn.equal(pynn.stack(each), alone)
    rows, values = np.sort(arr(7, 33), 1), arr(7, 5)
    order = np.argsort(-rows, 1)
    found = pynn.searchsorted(tensor(-rows), tensor(values), sorter=tensor(order))
    expected = [np.searchsorted(np.sort(-r), v) for r, v in zip(rows, values, strict=True)]
    np.testing.assert_array_equal(to_numpy(found), expected)
    nan = pynn.tensor([0.0, math.nan, 2.0])
    assert pynn.searchsorted(pynn.tensor([1.0, 2.0]), nan).tolist() == [0, 2, 1]


def test_sorter():
    x = arr(20)
    found = pynn.searchsorted(tensor(x), pynn.tensor([0.5]).double(), sorter=tensor(np.argsort(x)))
    assert found.item() == np.searchsorted(np.sort(x), 0.5)
    with raises(IndexError, "searchsorted", "out of range"):
        pynn.searchsorted(pynn.zeros(2), pynn.zeros(1), sorter=pynn.tensor([0, 7]))


def test_isin():
    x, s = ints(6, 7), ints(4)
    np.testing.assert_array_equal(to_numpy(pynn.isin(tensor(x), tensor(s))), np.isin(x, s))
    np.testing.assert_array_equal(
        to_numpy(pynn.isin(tensor(x), tensor(s), invert=True)), np.isin(x, s, invert=True)
    )
    nan = pynn.tensor([float("nan"), 1.0])
    assert pynn.isin(nan, nan).tolist() == [False, True]
    assert not pynn.isin(nan, pynn.tensor([])).any()


def test_bincount():
    x, w = ints(50, low=0, high=9), arr(50)
    np.testing.assert_array_equal(
        to_numpy(pynn.bincount(tensor(x), minlength=12)), np.bincount(x, minlength=12)
    )
    np.testing.assert_allclose(to_numpy(pynn.bincount(tensor(x), tensor(w))), np.bincount(x, w))
    for n, high in ((100, 3), (70001, 1000), (70001, 1500)):  # by pieces, and too many bins for it
        x = ints(n, low=0, high=high)
        np.testing.assert_array_equal(to_numpy(pynn.bincount(tensor(x))), np.bincount(x))
        assert pynn.unique(tensor(x), return_counts=True)[1].sum().item() == n
    with raises(RuntimeError, "bincount", "non-negative"):
        pynn.bincount(pynn.tensor([-1]))


def test_histograms():
    x = arr(1000)
    for dtype in (pynn.float64, pynn.float32, pynn.float16):
        t = tensor(x, dtype)
        values = to_numpy(t)
        np.testing.assert_array_equal(to_numpy(t.histc(7, -1, 1)), np.histogram(values, 7, (-1, 1))[0])
    t = tensor(x)
    edges = np.array([-1.5, 0.0, 0.25, 1.0])
    for density in (False, True):
        for bins in (9, edges):
            ours = t.histogram(tensor(bins) if bins is edges else bins, density=density)
            theirs = np.histogram(x, bins, density=density)
            np.testing.assert_allclose(to_numpy(ours.hist), theirs[0])
            np.testing.assert_allclose(to_numpy(ours.bin_edges), theirs[1])
    points, w = arr(200, 3), arr(200, low=0)
    ours, ours_edges = pynn.histogramdd(tensor(points), [2, 3, 4], weight=tensor(w))
    theirs, theirs_edges = np.histogramdd(points, (2, 3, 4), weights=w)
    np.testing.assert_allclose(to_numpy(ours), theirs)
    for a, b in zip(ours_edges, theirs_edges, strict=True):
        np.testing.assert_allclose(to_numpy(a), b)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 1000])
def test_places_in_rows_of_any_length(n):
    row = np.sort(ints(n, low=-20, high=20))
    values = np.arange(-22.0, 23.0)
    for side in ("left", "right"):
        found = pynn.searchsorted(tensor(row.astype(float)), tensor(values), side=side)
        np.testing.assert_array_equal(to_numpy(found), np.searchsorted(row, values, side))
    order = np.arange(n)[::-1].copy()
    found = pynn.searchsorted(tensor(row[::-1].astype(float).copy()), tensor(values), sorter=tensor(order))
    np.testing.assert_array_equal(to_numpy(found), np.searchsorted(row, values))
    assert pynn.searchsorted(
        tensor(row.astype(float)), pynn.tensor([math.nan], dtype=pynn.float64)
    ).tolist() == [n]
