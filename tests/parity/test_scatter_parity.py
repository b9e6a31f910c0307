"""Reading and writing by position beside PyTorch."""

import numpy as np
from parity_helpers import bools, both, floats, integers, table

F, I = floats, integers
X, M, V = F(2, 3, 4), F(4, 5), F(6)
AT = I(3, 5, low=0, high=4)
ZEROS = np.array([[0.0, 1, 2, 0, 3], [2, 0, 1, 1, 0], [0, 0, 2, 3, 1], [1, 2, 0, 3, 2]])
WAYS = ("sum", "prod", "mean", "amax", "amin")

CASES = [
    *[
        (
            "scatter_reduce",
            lambda t, x, i, s, w=w, k=k: t.scatter_reduce(x, 0, i, s, w, include_self=k),
            M,
            AT,
            F(3, 5),
        )
        for w in WAYS
        for k in (True, False)
    ],
    *[
        (
            "scatter_reduce",
            lambda t, x, i, s, w=w, k=k: x.scatter_reduce(0, i, s, w, include_self=k),
            ZEROS,
            AT,
            ZEROS[1:],
        )
        for w in WAYS
        for k in (True, False)
    ],
    *[
        (
            "scatter_reduce",
            lambda t, x, i, s, w=w, k=k: x.scatter_reduce(1, i, s, reduce=w, include_self=k),
            n,
            I(4, 7, low=0, high=5),
            F(4, 7),
        )
        for w in WAYS
        for k in (True, False)
        for n in (M,)
    ],
    *[
        (
            "scatter_reduce",
            lambda t, x, i, s, w=w, k=k: x.scatter_reduce(0, i, s, w, include_self=k),
            I(5, dtype=d),
            I(9, low=0, high=5),
            I(9, dtype=d, seed=2),
        )
        for w in WAYS
        for k in (True, False)
        for d in ("int64", "int16", "uint8")
    ],
    (
        "scatter_reduce",
        lambda t, x, i, s: x.detach().clone().scatter_reduce_(0, i, s.detach(), "amax"),
        M,
        AT,
        F(4, 6),
    ),
    (
        "scatter_reduce",
        lambda t, x, i, s: x.scatter_reduce(0, i, s, "amax"),
        np.array([1.0, np.nan, 2]),
        I(4, low=0, high=3),
        np.array([np.nan, 1, 2, 3.0]),
    ),
    ("scatter_reduce", lambda t, x, i, s: x.scatter_reduce(0, i, s, "max"), M, AT, F(4, 6)),
    ("scatter_reduce", lambda t, x, i, s: x.scatter_reduce(0, i, s, "sum"), M, I(3, 5), F(4, 6)),
    ("scatter_reduce", lambda t, x, i, s: x.scatter_reduce(0, i, s, "sum"), M, AT, F(2, 6)),
    ("scatter_reduce", lambda t, x, i, s: x.scatter_reduce(0, i, s, "sum"), M, I(0), F(0)),
    (
        "scatter_reduce",
        lambda t, x, i, s: x.detach().scatter_reduce(0, i, s.detach(), "amin"),
        M,
        AT,
        F(4, 6),
    ),
    *[
        (
            "index_reduce",
            lambda t, x, i, s, w=w, k=k: t.index_reduce(x, 0, i, s, w, include_self=k),
            M,
            I(3, low=0, high=4),
            F(3, 5),
        )
        for w in WAYS[1:]
        for k in (True, False)
    ],
    ("index_reduce", lambda t, x, i, s: x.index_reduce(-1, i, s, "amax"), X, I(6, low=0, high=4), F(2, 3, 6)),
    (
        "index_reduce",
        lambda t, x, i, s: x.detach().clone().index_reduce_(0, i, s.detach(), "mean"),
        V,
        I(3, low=0, high=4),
        F(3),
    ),
    ("index_reduce", lambda t, x, i, s: x.index_reduce(0, i, s, "sum"), M, I(3, low=0, high=4), F(3, 5)),
    ("index_reduce", lambda t, x, i, s: x.index_reduce(0, i, s, "prod"), M, I(3, low=0, high=4), F(2, 5)),
    ("take", lambda t, x, i: (t.take(x, i), x.take(i)), M, I(3, 2, low=-20, high=20)),
    ("take", lambda t, x, i: t.take(x, i), M, I(3, 2, low=15, high=30)),
    (
        "take_along_dim",
        lambda t, x, i: (t.take_along_dim(x, i, 0), x.take_along_dim(i), x.take_along_dim(i - 2, 0)),
        M,
        I(1, 5, low=0, high=4),
    ),
    ("put", lambda t, x, i, s: (t.put(x, i, s), x.put(i, s, True)), M, np.array([0, 5, -1]), F(3)),
    ("put_", lambda t, x, i, s: x.clone().put_(i, s), M, np.array([0, 5, -1]), F(3)),
    (
        "index_put",
        lambda t, x, i, s: (t.index_put(x, (i,), s), x.clone().index_put_((i,), s, True)),
        M,
        np.array([0, 2]),
        F(2, 5),
    ),
    (
        "index_copy",
        lambda t, x, i, s: (t.index_copy(x, 0, i, s), x.clone().index_copy_(0, i, s)),
        M,
        np.array([0, 2]),
        F(2, 5),
    ),
    (
        "index_fill",
        lambda t, x, i: (t.index_fill(x, 0, i, 2.0), x.clone().index_fill_(1, i, t.tensor(3.0))),
        M,
        np.array([0, 2]),
    ),
    ("index_fill", lambda t, x, i, v: t.index_fill(x, 0, i, v), M, np.array([0, 2, 0]), F()),
    (
        "index_add",
        lambda t, x, i, s: (t.index_add(x, 0, i, s, alpha=2), x.clone().index_add_(0, i, s)),
        M,
        np.array([0, 2]),
        F(2, 5),
    ),
    (
        "masked_scatter",
        lambda t, x, m, s: (t.masked_scatter(x, m, s), x.clone().masked_scatter_(m, s)),
        M,
        bools(4, 5),
        F(20),
    ),
    ("masked_scatter", lambda t, x, m, s: t.masked_scatter(x, m, s), M, bools(4, 5), F(2)),
    (
        "masked_fill",
        lambda t, x, m: (t.masked_fill(x, m, 2.0), x.clone().masked_fill_(m, t.tensor(3.0))),
        M,
        bools(4, 5),
    ),
    ("masked_select", lambda t, x, m: (t.masked_select(x, m), x.masked_select(m[0])), M, bools(4, 5)),
    ("argwhere", lambda t, x: (t.argwhere(x), x.argwhere()), I(3, 4, low=0, high=2)),
    (
        "nonzero_static",
        lambda t, x: (t.nonzero_static(x, size=3), x.nonzero_static(size=20, fill_value=9)),
        I(3, 4),
    ),
    ("nonzero_static", lambda t, x: t.nonzero_static(x, size=-1), I(3, 4)),
    ("repeat_interleave", lambda t, x: (t.repeat_interleave(x, 3), x.repeat_interleave(2, 1)), M),
    (
        "repeat_interleave",
        lambda t, x, n: (x.repeat_interleave(n, 0), x.repeat_interleave(n, dim=0, output_size=int(n.sum()))),
        M,
        np.array([2, 0, 1, 3]),
    ),
    ("repeat_interleave", lambda t, n: t.repeat_interleave(n), np.array([2, 0, 1, 3])),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(t.tensor([2]), 1), M),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(3), F()),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(0, 1), M),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(-1), M),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(t.tensor([1, 2]), 0), M),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(t.tensor([1, -2, 1, 1]), 0), M),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(t.tensor([1.0, 2, 1, 1]), 0), M),
    ("repeat_interleave", lambda t, x: x.repeat_interleave(2, 5), M),
]


@table(CASES)
def test_same(case):
    name, call, *arguments = case
    both(call, *arguments, where=name, tol=4)
