"""Ops that rearrange elements into new memory: cat, stack, repeat, flip, roll, tril, triu, diag."""

import numpy as np
import pytest
from helpers import ALL_DTYPES, arr, arrs, check_op, ints, raises, same_bits, tensor, to_numpy

import pynn

CUBE = arr(2, 3, 4)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cat(dim):
    shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    for i, shape in enumerate(shapes):
        shape[dim] += i
    check_op(
        lambda *xs: pynn.cat(xs, dim),
        lambda *xs: np.concatenate(xs, dim),
        [arrs(*shapes)],
        ints="same",
        bools="same",
    )
    assert same_bits(pynn.concat([tensor(CUBE)] * 2, dim), pynn.cat([tensor(CUBE)] * 2, dim=dim))


def test_cat_edges():
    a, b = pynn.ones(2, 3), pynn.zeros(0, 3)
    assert pynn.cat([a, b]).shape == (2, 3) and pynn.cat([b, b]).shape == (0, 3)
    assert pynn.cat([pynn.empty(0), a]).shape == (
        2,
        3,
    )  # an empty vector joins anything, as PyTorch's always did
    assert pynn.cat([a]).tolist() == a.tolist() and pynn.cat([a]).data_ptr() != a.data_ptr()
    assert pynn.cat((pynn.tensor([1]), pynn.tensor([0.5]))).tolist() == [1.0, 0.5]
    out = pynn.empty(4, 3)
    assert pynn.cat([a, a], out=out) is out and out.sum() == 12
    many = [pynn.full((1, 2), float(i)) for i in range(1000)]
    assert pynn.cat(many)[:, 0].tolist() == [float(i) for i in range(1000)]


@pytest.mark.parametrize("dtype", [pynn.uint8, pynn.float32, pynn.complex128])
@pytest.mark.parametrize("widths", [(1, 2, 5), (14, 14), (0, 3, 70, 1), (257, 1, 1000), (5000, 3, 9001)])
def test_cat_of_rows(widths, dtype, threads):
    """Rows of all lengths, some over several blocks of the result."""
    arrays = [ints(2, 3, w, low=0, high=100, seed=w) for w in widths]
    parts = [tensor(a, dtype) for a in arrays]
    expected = to_numpy(tensor(np.concatenate(arrays, 2), dtype))
    for count in (1, 3):
        threads(count)
        np.testing.assert_array_equal(to_numpy(pynn.cat(parts, 2)), expected)
        turned = [p.transpose(1, 2).contiguous() for p in parts]
        np.testing.assert_array_equal(to_numpy(pynn.cat(turned, 1)), expected.swapaxes(1, 2))
        turned = [p.permute(2, 0, 1).contiguous() for p in parts]
        np.testing.assert_array_equal(to_numpy(pynn.cat(turned)), np.moveaxis(expected, 2, 0))


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: pynn.cat([]), (RuntimeError, ValueError), "cat"),
        (lambda: pynn.cat([pynn.ones(2, 3), pynn.ones(2, 4)]), RuntimeError, "cat.*3.*4"),
        (lambda: pynn.cat([pynn.ones(2, 3), pynn.ones(2)]), RuntimeError, "cat"),
        (lambda: pynn.cat([pynn.ones(2)], 1), IndexError, "cat.*1"),
        (lambda: pynn.cat([pynn.tensor(1.0)]), RuntimeError, "cat.*(zero-dim|0-d)"),
        (lambda: pynn.cat(pynn.ones(2)), TypeError, "cat"),
        (lambda: pynn.cat([1, 2]), TypeError, "cat"),
        (lambda: pynn.cat([pynn.ones(2), None]), TypeError, "cat"),
        (lambda: pynn.stack([]), (RuntimeError, ValueError), "stack"),
        (lambda: pynn.stack([pynn.ones(2), pynn.ones(3)]), RuntimeError, "stack.*2.*3"),
        (lambda: pynn.stack([pynn.ones(2)], 3), IndexError, "stack.*3"),
        (lambda: pynn.ones(2, 3).repeat(2), RuntimeError, "repeat"),
        (lambda: pynn.ones(2).repeat(-1), RuntimeError, "repeat.*-1|-1"),
        (lambda: pynn.ones(2).flip(1), IndexError, "flip.*1"),
        (lambda: pynn.ones(2, 2).flip(0, 0), RuntimeError, "flip"),
        (lambda: pynn.ones(2).roll(1, 1), IndexError, "roll.*1"),
        (lambda: pynn.ones(2, 2).roll((1, 2), 0), RuntimeError, "roll"),
        (lambda: pynn.ones(2).tril(), RuntimeError, "tril.*2"),
        (lambda: pynn.tensor(1.0).triu(), RuntimeError, "triu.*2"),
        (lambda: pynn.ones(2, 2, 2).diag(), RuntimeError, "diag"),
    ],
)
def test_errors(call, kind, words):
    with raises(kind, words):
        call()


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_stack(dim):
    check_op(
        lambda *xs: pynn.stack(xs, dim),
        lambda *xs: np.stack(xs, dim),
        [arrs((3, 2), (3, 2), (3, 2))],
        ints="same",
        bools="same",
    )
    assert pynn.stack([pynn.tensor(1.0), pynn.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert pynn.stack((pynn.empty(0, 2), pynn.empty(0, 2)), 1).shape == (0, 2, 2)


# name: (op, NumPy's)
COPIES = {
    "repeat": (lambda x: x.repeat(2, 1, 3), lambda x: np.tile(x, (2, 1, 3))),
    "repeat more dims": (lambda x: x.repeat(2, 1, 2, 1), lambda x: np.tile(x, (2, 1, 2, 1))),
    "repeat zero": (lambda x: x.repeat(1, 0, 2), lambda x: np.tile(x, (1, 0, 2))),
    "flip": (lambda x: x.flip(0), lambda x: np.flip(x, 0)),
    "flip several": (lambda x: pynn.flip(x, (0, -1)), lambda x: np.flip(x, (0, -1))),
    "flip none": (lambda x: x.flip(()), lambda x: x),
    "roll": (lambda x: pynn.roll(x, 2, 1), lambda x: np.roll(x, 2, 1)),
    "roll flat": (lambda x: x.roll(5), lambda x: np.roll(x, 5)),
    "roll several": (lambda x: x.roll((1, -2), (0, 2)), lambda x: np.roll(x, (1, -2), (0, 2))),
    "roll far": (lambda x: x.roll(-11, -1), lambda x: np.roll(x, -11, -1)),
    "tril": (pynn.tril, np.tril),
    "tril offset": (lambda x: x.tril(-1), lambda x: np.tril(x, -1)),
    "tril far": (lambda x: x.tril(7), lambda x: np.tril(x, 7)),
    "triu": (pynn.triu, np.triu),
    "triu offset": (lambda x: pynn.triu(x, diagonal=2), lambda x: np.triu(x, 2)),
    "triu far": (lambda x: x.triu(-7), lambda x: np.triu(x, -7)),
    "diag of a matrix": (lambda x: x[0].diag(), lambda x: np.diag(x[0])),
    "diag of a matrix, offset": (lambda x: x[0].diag(1), lambda x: np.diag(x[0], 1)),
    "diag of a vector": (lambda x: pynn.diag(x[0, 0]), lambda x: np.diag(x[0, 0])),
    "diag of a vector, offset": (lambda x: pynn.diag(x[0, 0], -2), lambda x: np.diag(x[0, 0], -2)),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, dim=1), lambda x: np.repeat(x, 2, 1)),
    "repeat_interleave flat": (lambda x: pynn.repeat_interleave(x, 3), lambda x: np.repeat(x, 3)),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies(name):
    op, ref = COPIES[name]
    check_op(op, ref, [CUBE], ints="same", bools="same")
    x = tensor(CUBE)
    assert op(x).untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


def test_zero_size():
    e = pynn.empty(2, 0, 3)
    assert e.flip(1).shape == (2, 0, 3) and e.roll(1, 1).shape == (2, 0, 3) and e.tril().shape == (2, 0, 3)
    assert e.repeat(2, 3, 1).shape == (4, 0, 3) and pynn.empty(0).diag().shape == (0, 0)
    assert pynn.empty(0, 3).diag().shape == (0,) and pynn.cat([e, e], 2).shape == (2, 0, 6)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_every_dtype(dtype):
    x = tensor(arr(5, 7) > 0, dtype)
    values = to_numpy(x)
    np.testing.assert_array_equal(to_numpy(pynn.cat([x, x], 1)), np.concatenate([values, values], 1))
    np.testing.assert_array_equal(to_numpy(x.flip(0)), values[::-1])
    np.testing.assert_array_equal(to_numpy(x.tril()), np.tril(values))
    assert x.repeat(2, 2).dtype == x.roll(1).dtype == x.triu().dtype == dtype


def test_inplace_triangles():
    x = tensor(arr(4, 5))
    expected = x.tril(1)
    assert x.tril_(1) is x and same_bits(x, expected)
    assert x.triu_() is x and same_bits(x, expected.triu())


@pytest.mark.parametrize("name", ["tril", "triu"])
def test_triangles_of_any_layout_and_diagonal(name):
    for rows, columns in ((1, 1), (17, 33), (33, 17), (1, 40), (40, 1), (0, 3), (3, 0)):
        values = arr(4, rows, columns)
        values[0, :1, :1] = np.nan
        x = tensor(values)
        views = [
            (x, values),
            (x[0], values[0]),
            (x[1].t(), values[1].T),
            (x[2][:, ::2], values[2][:, ::2]),
            (x[::2], values[::2]),
            (x[3].flip(1), np.flip(values[3], 1)),
            (x[:1].expand(4, rows, columns), np.broadcast_to(values[:1], values.shape)),
        ]
        for view, expected in views:
            for diagonal in (-(2**62), -rows, -1, 0, 1, columns, 2**62):
                near = int(np.clip(diagonal, -100, 100))
                y = getattr(pynn, name)(view, diagonal)
                assert y.is_contiguous()
                np.testing.assert_array_equal(to_numpy(y), getattr(np, name)(expected, near))


def test_sequences_may_be_tuples_or_lists():
    a = pynn.ones(2, 3)
    assert a.repeat((2, 2)).shape == a.repeat([2, 2]).shape == a.repeat(2, 2).shape == (4, 6)
    assert a.flip([0, 1]).shape == a.flip((0, 1)).shape == a.flip(0, 1).shape
    assert a.permute([1, 0]).shape == a.permute((1, 0)).shape == a.permute(1, 0).shape == (3, 2)
    assert a.repeat(pynn.Size([1, 2])).shape == (2, 6)
