"""x[...] and x[...] = y: every kind of index alone and mixed, compared with NumPy, with gradients."""

import random

import numpy as np
import pytest
from helpers import ALL_DTYPES, arr, check_op, raises, tensor, to_numpy

import pynn

SHAPE = (4, 5, 3, 6)


def _two_steps(index):
    """An index for NumPy in two steps, basic then advanced.

    PyTorch applies integers first, as selections; NumPy counts them among the arrays when there are any, which may
    move the arrays' dimensions to the front.
    """
    basic = tuple(
        slice(None) if isinstance(i, np.ndarray) and i.ndim else int(i) if isinstance(i, np.ndarray) else i
        for i in index
    )
    advanced = tuple(
        ... if i is ... else i if isinstance(i, np.ndarray) else slice(None)
        for i in index
        if not isinstance(i, int) and not (isinstance(i, np.ndarray) and i.ndim == 0)
    )
    return basic if ... in basic else (*basic, ...), advanced  # with an ellipsis even an element is an array


def _random_index(rng, shape):
    """A random index of `shape` as (pynn's, NumPy's)."""
    ours, theirs = [], []
    dims = list(shape)
    broadcast = rng.choice([(2,), (3, 2), (1,), ()])  # the shape of all integer arrays in this index
    left = rng.randint(1, len(dims))
    used_ellipsis = used_mask = False
    d = 0
    while d < left:
        kind = rng.choice(
            ["int", "slice", "step", "full", "none", "array", "array", "list", "mask", "ellipsis"]
        )
        n = dims[d]
        if kind == "none":
            ours.append(None)
            theirs.append(None)
            continue
        if kind == "ellipsis":
            if used_ellipsis:
                continue
            used_ellipsis = True
            ours.append(...)
            theirs.append(...)
            # The rest index from the end.
            tail = left - d - 1
            for k in range(len(dims) - tail, len(dims)):
                i = rng.randrange(-dims[k], dims[k])
                ours.append(i)
                theirs.append(i)
            return tuple(ours), tuple(theirs)
        if kind == "mask" and (used_mask or broadcast not in [(2,), (1,), ()]):
            kind = "full"
        if kind == "int":
            i = rng.randrange(-n, n)
            ours.append(i)
            theirs.append(i)
        elif kind == "slice":
            s = slice(
                rng.choice([None, rng.randrange(-n - 2, n + 2)]),
                rng.choice([None, rng.randrange(-n - 2, n + 2)]),
            )
            ours.append(s)
            theirs.append(s)
        elif kind == "step":
            s = slice(rng.choice([None, rng.randrange(n)]), None, rng.randint(1, 3))
            ours.append(s)
            theirs.append(s)
        elif kind == "full":
            ours.append(slice(None))
            theirs.append(slice(None))
        elif kind == "mask":
            used_mask = True
            count = broadcast[0] if broadcast else 1
            mask = np.zeros(n, bool)
            mask[rng.sample(range(n), min(count, n))] = True
            ours.append(tensor(mask))
            theirs.append(mask)
        else:
            index = np.array([rng.randrange(-n, n) for _ in range(int(np.prod(broadcast)))]).reshape(
                broadcast
            )
            ours.append(index.tolist() if kind == "list" and broadcast else tensor(index))
            theirs.append(index)
        d += 1
    return tuple(ours), tuple(theirs)


@pytest.mark.parametrize("seed", range(40))
def test_random_mixtures(seed):
    """Values, gradients, assignment of values and of scalars, assignment's gradients, all against NumPy."""
    rng = random.Random(seed)
    base = arr(*SHAPE, seed=seed)
    for _ in range(8):
        ours, theirs = _random_index(rng, SHAPE)
        basic, advanced = _two_steps(theirs)
        expected = base[basic][advanced]
        x = tensor(base, requires_grad=True)
        y = x[ours]
        assert tuple(y.shape) == expected.shape, ours
        np.testing.assert_array_equal(to_numpy(y), expected, err_msg=str(ours))

        weights = arr(*expected.shape, seed=1)
        (g,) = pynn.autograd.grad((y * tensor(weights)).sum(), x)
        expected_grad = np.zeros(SHAPE)
        np.add.at(expected_grad[basic], advanced, weights)
        np.testing.assert_allclose(to_numpy(g), expected_grad, rtol=1e-12, atol=1e-12, err_msg=str(ours))

        target = tensor(base)
        target[ours] = 7.5
        assigned = base.copy()
        assigned[basic][advanced] = 7.5
        np.testing.assert_array_equal(to_numpy(target), assigned, err_msg=str(ours))

        target = base.copy()  # where several values meet in one element, any may win: give them all the same
        value = np.full(expected.shape, 3.0)
        leaf, source = tensor(base, requires_grad=True), tensor(value, requires_grad=True)
        z = leaf * 1
        z[ours] = source
        target[basic][advanced] = value
        np.testing.assert_array_equal(to_numpy(z), target, err_msg=str(ours))
        out_grad = arr(*SHAPE, seed=2)
        grads = pynn.autograd.grad(z, (leaf, source), tensor(out_grad))
        kept = out_grad.copy()
        kept[basic][advanced] = 0
        np.testing.assert_array_equal(to_numpy(grads[0]), kept, err_msg=str(ours))
        np.testing.assert_array_equal(to_numpy(grads[1]), out_grad[basic][advanced], err_msg=str(ours))


BASIC = {
    "int": 1,
    "negative": -1,
    "tuple": (1, 2),
    "slice": slice(1, 3),
    "empty slice": slice(3, 1),
    "step": slice(None, None, 2),
    "ellipsis": (..., 0),
    "ellipsis alone": (...,),
    "none": (None, 1, None),
    "all": (0, slice(1, None), 2, slice(None, -1, 2)),
    "nothing": (),
}


@pytest.mark.parametrize("name", BASIC)
def test_basic_indices_are_views(name):
    index = BASIC[name]
    base = arr(*SHAPE)
    x = tensor(base)
    y = x[index]
    np.testing.assert_array_equal(to_numpy(y), base[index])
    assert y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    y.zero_()
    base[index] = 0
    np.testing.assert_array_equal(to_numpy(x), base)
    check_op(
        lambda t: t[index],
        lambda a: a[index],
        [base],
        ints="same",
        bools="same",
        dtypes=(pynn.float64, pynn.float32),
    )


ADVANCED = {
    "vector": np.array([2, 0, 0, -1]),
    "matrix": np.array([[0, 1], [3, -4]]),
    "empty": np.array([], dtype=np.int64),
    "pair": (np.array([0, 1, 1]), np.array([2, 2, 0])),
    "broadcast pair": (np.array([[0], [1]]), np.array([2, 0, 1])),
    "apart": (np.array([0, 1]), slice(None), np.array([1, 2])),
    "after slice": (slice(None), np.array([4, 0]), np.array([1, 1])),
    "with int": (3, np.array([0, 1]), slice(None), np.array([1, 2])),
    "mask": arr(*SHAPE) > 0,
    "mask of two dims": arr(4, 5) > 0,
    "mask inside": (slice(None), np.array([True, False, True, True, False])),
    "all False": np.zeros(SHAPE, bool),
    "mask and vector": (np.array([True, False, True, False]), np.array([1, 0])),
}


@pytest.mark.parametrize("name", ADVANCED)
def test_advanced_indices(name):
    index = ADVANCED[name]
    parts = index if isinstance(index, tuple) else (index,)
    ours = tuple(tensor(p) if isinstance(p, np.ndarray) else p for p in parts)
    base = arr(*SHAPE)
    check_op(
        lambda t: t[ours if len(ours) > 1 else ours[0]],
        lambda a: a[index],
        [base],
        ints="same",
        bools="same",
        dtypes=(pynn.float64, pynn.float32, pynn.bfloat16),
    )
    x = tensor(base)
    y = x[ours]
    y.zero_()
    np.testing.assert_array_equal(to_numpy(x), base)  # a copy


def test_integers_beside_arrays_are_selections():
    x = pynn.zeros(4, 5, 3, 6)
    assert x[:, pynn.tensor([1, 2]), :, 5].shape == (4, 2, 3)  # NumPy would give (2, 4, 3)
    assert x[0, :, pynn.tensor([1, 2])].shape == (5, 2, 6)
    assert x[pynn.tensor([0, 1]), :, pynn.tensor([0, 1])].shape == (
        2,
        5,
        6,
    )  # arrays apart: their dims come first
    y = x[pynn.tensor(2)]  # a 0-d tensor counts as an integer
    y.fill_(1)
    assert x[2].min() == 1


def test_index_types():
    x = pynn.arange(5)
    for dtype in (pynn.int64, pynn.int32):
        assert x[pynn.tensor([1, 2], dtype=dtype)].tolist() == [1, 2], dtype
    with pytest.warns(UserWarning, match="uint8"):
        assert x[pynn.tensor([0, 1, 0, 0, 1], dtype=pynn.uint8)].tolist() == [1, 4]
    assert (
        x[pynn.tensor(3)].item() == 3
        and x[np.int64(3)].item() == 3
        and x[np.array([1, 2])].tolist() == [1, 2]
    )
    assert x[[0, 2]].tolist() == [0, 2] and x[[True, False, False, False, True]].tolist() == [0, 4]
    assert x[True].shape == (1, 5) and x[False].shape == (0, 5) and x[pynn.tensor(True)].shape == (1, 5)
    assert x[pynn.tensor(1) : pynn.tensor(3)].tolist() == [1, 2] and x[np.int64(1) :].tolist() == [1, 2, 3, 4]
    assert x[range(2)].tolist() == [0, 1]
    rows = pynn.arange(6).reshape(2, 3)
    assert rows[[0, 1], [2, 0]].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("index", "kind", "words"),
    [
        (4, IndexError, "index.*4.*size 4|out of range|out of bounds"),
        (-5, IndexError, "-5"),
        ((0, 0, 0, 0, 0), IndexError, "(?i)too many|dim"),
        ((0, 0, 0, 0, None, 0), IndexError, "(?i)too many|dim"),
        (pynn.tensor([0, 4]), IndexError, "4"),
        (pynn.tensor([0, -5]), IndexError, "-5"),
        ((pynn.tensor([0, 1]), pynn.tensor([0, 1, 2])), IndexError, "broadcast|shape"),
        (pynn.tensor([True, False]), IndexError, "mask|shape"),
        ((slice(None), pynn.tensor([True] * 4)), IndexError, "mask|shape"),
        (pynn.tensor([0.5]), IndexError, "(?i)int|long|bool"),
        (slice(None, None, -1), ValueError, "step"),
        (slice(None, None, 0), ValueError, "step"),
        (1.5, (TypeError, IndexError), ""),
        ("a", (TypeError, IndexError, ValueError), ""),
        (slice("a", "b"), TypeError, ""),
        (2**70, (IndexError, OverflowError, RuntimeError, TypeError, ValueError), ""),
        ([0, "a"], (TypeError, ValueError, IndexError), ""),
    ],
    ids=str,
)
def test_errors(index, kind, words):
    x = tensor(arr(*SHAPE))
    before = x.clone()
    with raises(kind, words):
        x[index]
    with raises(kind, words):
        x[index] = 0.0
    assert pynn.equal(x, before)


def test_assignment():
    x = pynn.zeros(3, 4)
    x[1] = pynn.arange(4.0)
    x[:, 0] = pynn.tensor([7, 8, 9])  # converted to x's dtype
    x[0, 1:] = 5
    assert x.tolist() == [[7.0, 5.0, 5.0, 5.0], [8.0, 1.0, 2.0, 3.0], [9.0, 0.0, 0.0, 0.0]]
    x[x == 5] = -1
    assert x[0].tolist() == [7.0, -1.0, -1.0, -1.0]
    x[[0, 2], 3] = pynn.tensor([10.0, 20.0])
    assert x[:, 3].tolist() == [10.0, 3.0, 20.0]
    x[...] = 1
    assert x.sum() == 12
    x[2, 3] = pynn.tensor(4.0)
    x[1] = pynn.ones(1, 4) * 2  # leading ones are dropped
    assert x[1].tolist() == [2.0] * 4 and x[2, 3] == 4
    x[0] = np.float64(3)
    assert x[0].tolist() == [3.0] * 4
    x[pynn.tensor([], dtype=pynn.int64)] = 9
    assert 9 not in x


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, pynn.ones(3)),
        ((slice(None), 0), pynn.ones(2)),
        (pynn.tensor([0, 1]), pynn.ones(3, 4)),
        (0, pynn.ones(2, 4)),
    ],
    ids=str,
)
def test_assignment_of_wrong_shape(index, value):
    x = pynn.zeros(3, 4)
    with raises(RuntimeError, "shape|size|broadcast|expand"):
        x[index] = value
    assert not x.any()


def test_assignment_of_foreign_objects():
    x = pynn.zeros(3)
    for bad in ("a", None, object(), {}):
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            x[0] = bad
    with pytest.raises((TypeError, RuntimeError)):
        del x[0]


def test_augmented_assignment():
    x = pynn.arange(6.0).reshape(2, 3)
    x[0] += 10
    x[:, 1] *= -1
    x[x > 10] -= 10
    assert x.tolist() == [[10.0, -11.0, 2.0], [3.0, -4.0, 5.0]]
    y = pynn.zeros(3)
    y[[0, 0, 1]] += 1  # repeated positions count once
    assert y.tolist() == [1.0, 1.0, 0.0]
    for index in (slice(2, 3), slice(0, 1), (slice(1, 2), slice(2)), (slice(None), slice(1, 2))):
        z = pynn.zeros(3, 2)
        z[index] += 1  # views that begin with dims of size 1 are written to themselves
        expected = np.zeros((3, 2))
        expected[index] += 1
        assert z.tolist() == expected.tolist()


def test_index_put():
    x = pynn.zeros(3)
    assert x.index_put_((pynn.tensor([0, 0, 1]),), pynn.ones(3), accumulate=True) is x
    assert x.tolist() == [2.0, 1.0, 0.0]
    assert pynn.zeros(3).index_put((pynn.tensor([2]),), pynn.tensor(5.0)).tolist() == [0.0, 0.0, 5.0]
    base, values = arr(4, 3), arr(3, 3, seed=1)
    index = np.array([2, 2, 0])

    def ref(a, v):
        a = a.copy()
        np.add.at(a, index, v)
        return a

    i = tensor(index)
    check_op(
        lambda a, v: a.index_put((i.to(a.device),), v, accumulate=True),
        ref,
        [(base, values)],
        tol=2,
        grad_tol=2,
    )


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_every_dtype(dtype):
    x = tensor(arr(6, 5) > 0, dtype)
    values = to_numpy(x)
    index, mask = pynn.tensor([3, 0, 3]), pynn.tensor([True, False, True, False, True, False])
    np.testing.assert_array_equal(to_numpy(x[index]), values[[3, 0, 3]])
    np.testing.assert_array_equal(to_numpy(x[mask, 1]), values[[0, 2, 4], 1])
    x[index] = 1
    assert bool((x[3] == 1).all()) and x[index].dtype == dtype


def test_second_derivative_of_indexing():
    x = tensor(arr(4, 3), requires_grad=True)
    index = pynn.tensor([0, 2, 2])
    (g,) = pynn.autograd.grad((x[index] ** 3).sum(), x, create_graph=True)
    (h,) = pynn.autograd.grad(g.sum(), x)
    count = np.array([1.0, 0.0, 2.0, 0.0])[:, None]
    np.testing.assert_allclose(to_numpy(h), 6 * to_numpy(x) * count)


def test_many_repeated_indices_sum_their_gradients():
    x = pynn.zeros(10, 4, requires_grad=True)
    index = pynn.arange(10_000) % 7
    x[index].sum().backward()
    counts = np.bincount(np.arange(10_000) % 7, minlength=10)
    assert x.grad[:, 0].tolist() == counts.tolist()
