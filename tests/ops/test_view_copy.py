"""unfold, tensors with a part replaced, and views as copies."""

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor

import pynn


def test_unfold():
    def ref(x, dim, size, step):
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=dim)
        return windows[tuple([slice(None)] * (dim % x.ndim) + [slice(None, None, step)])]

    cases = [(arr(7), 0, 3, 1), (arr(7), 0, 2, 3), (arr(3, 6), 1, 3, 2), (arr(4, 2), 0, 1, 1)]
    bad = [((arr(3), 0, 4, 1), RuntimeError, "maximum size"), ((arr(3), 0, 1, 0), RuntimeError, "> 0")]
    check_op(lambda x, *a: x.unfold(*a), ref, cases, ints="same", errors=bad)
    x = pynn.zeros(5)
    x.unfold(0, 2, 1)[0].fill_(1)
    assert x.tolist() == [1, 1, 0, 0, 0]


def _put(x, y, where):
    out = x.copy()
    out[where] = y
    return out


def test_scatter_forms():
    x, y = arrs((4, 5), (4, 2))
    check_op(
        lambda a, b: pynn.slice_scatter(a, b, 1, 1, -1, 2),
        lambda a, b: _put(a, b, np.s_[:, 1:-1:2]),
        [(x, y)],
        ints="same",
    )
    check_op(
        lambda a, b: pynn.select_scatter(a, b, 0, -1), lambda a, b: _put(a, b, -1), [(x, arr(5))], ints="same"
    )
    where = (np.arange(4), np.arange(1, 5))
    check_op(
        lambda a, b: pynn.diagonal_scatter(a, b, 1),
        lambda a, b: _put(a, b, where),
        [(x, arr(4))],
        ints="same",
    )
    where = (np.array([[1, 3], [2, 4]]),)
    check_op(
        lambda a, b: pynn.as_strided_scatter(a, b, (2, 2), (1, 2), 1),
        lambda a, b: _put(a, b, where),
        [arrs((6,), (2, 2))],
        layouts=False,
    )
    with raises(RuntimeError, "slice_scatter", "size"):
        pynn.slice_scatter(tensor(x), tensor(y))


@pytest.mark.parametrize(
    "name, args, ref",
    [
        ("narrow_copy", (1, 1, 2), lambda x: x[:, 1:3]),
        ("diagonal_copy", (1,), lambda x: np.diagonal(x, 1)),
        ("expand_copy", ((2, 3, 4),), lambda x: np.broadcast_to(x, (2, 3, 4))),
        ("permute_copy", ((1, 0),), lambda x: x.T),
        ("transpose_copy", (0, 1), lambda x: x.T),
        ("t_copy", (), lambda x: x.T),
        ("select_copy", (1, 2), lambda x: x[:, 2]),
        ("slice_copy", (1, 1, -1, 2), lambda x: x[:, 1:-1:2]),
        ("unsqueeze_copy", (1,), lambda x: x[:, None]),
        ("squeeze_copy", (), lambda x: x),
        ("alias_copy", (), lambda x: x),
        ("unbind_copy", (1,), lambda x: list(x.T)),
        ("split_copy", (2,), lambda x: [x[:2], x[2:]]),
    ],
)
def test_copies(name, args, ref):
    op = getattr(pynn, name)
    check_op(lambda x: op(x, *args), ref, [(arr(3, 4),)], ints="same")
    x = tensor(arr(3, 4))
    y = op(x, *args)
    y = y[0] if isinstance(y, (tuple, list)) else y
    before = x.clone()
    y.fill_(9)
    assert y.is_contiguous() and pynn.equal(x, before)


def test_diagflat():
    check_op(pynn.diagflat, np.diagflat, [(arr(3),), (arr(2, 2), 1), (arr(2), -2), (arr(),)], ints="same")
