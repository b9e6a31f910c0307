"""diff, gradient, trapezoid, cumulative_trapezoid."""

import numpy as np
from helpers import arr, arrs, check_op, tensor

import pynn


def test_diff():
    def ref(x, n=1, dim=-1, prepend=None, append=None):
        more = {k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}
        return np.diff(x, n, axis=dim, **more)

    cases = [(arr(5),), (arr(3, 4), 2), (arr(3, 4), 1, 0), (arr(3, 4), 3, 0), (arr(2, 3), 1, 1, arr(2, 1))]
    bad = [((arr(),), RuntimeError, "one-dimensional"), ((arr(3), -1), RuntimeError, "non-negative")]
    check_op(pynn.diff, ref, cases, ints="same", errors=bad)
    check_op(pynn.diff, ref, [(arr(5),)], bools=pynn.bool, grad=False)


def test_gradient():
    def ref(x, spacing=None, dim=None, edge_order=1):
        spaces = [1.0] * x.ndim if spacing is None else [np.asarray(s) for s in spacing]
        return np.gradient(x, *spaces, axis=dim, edge_order=edge_order)

    x, at = arr(6), np.array([0.0, 1, 3, 4, 7, 8])
    for order in (1, 2):
        check_op(
            lambda a, o=order: pynn.gradient(a, edge_order=o),
            lambda a, o=order: ref(a, edge_order=o),
            [(x,), (arr(4, 5),)],
        )
        check_op(
            lambda a, o=order: pynn.gradient(a, spacing=(tensor(at).to(a),), edge_order=o),
            lambda a, o=order: ref(a, (at,), edge_order=o),
            [(x,)],
            dtypes=(pynn.float64, pynn.float32),
        )
    check_op(
        lambda a: pynn.gradient(a, spacing=2.0, dim=0), lambda a: np.gradient(a, 2.0, axis=0), [(arr(4, 5),)]
    )


def test_trapezoid():
    y, x = arrs((3, 5), (5,))
    check_op(
        pynn.trapezoid,
        lambda y, x=None, **k: np.trapezoid(y, x, axis=-1),
        [(y,), (y, x), (y, arr(3, 5))],
        tol=4,
    )
    check_op(
        lambda y: pynn.trapezoid(y, dx=0.5, dim=0), lambda y: np.trapezoid(y, dx=0.5, axis=0), [(y,)], tol=4
    )
    check_op(
        pynn.cumulative_trapezoid,
        lambda y, x=None: np.cumsum(
            (y[..., 1:] + y[..., :-1]) / 2 * (1.0 if x is None else np.diff(x)), axis=-1
        ),
        [(y,), (y, x)],
        tol=4,
    )
