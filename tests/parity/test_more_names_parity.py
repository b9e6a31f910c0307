"""Less common functions, modules and hooks beside PyTorch."""

import numpy as np
import pytest
from parity_helpers import both, floats, integers, table

torch = pytest.importorskip("torch")

X, W, B = floats(6, 4), floats(5, 4, seed=1), floats(5, seed=2)
KINDS = integers(6, low=0, high=5)
LENGTHS = np.array([3, 0, 5])


def segments(kind, **kwargs):
    return lambda lib, x, n: lib.segment_reduce(x, kind, lengths=n, **kwargs)


def lrn(*arguments):
    return lambda lib, x: lib.nn.CrossMapLRN2d(*arguments)(x.detach())


def hooked(lib, a, b, c):
    """What hooks on several tensors see of a few passes."""
    seen, firsts = [], []
    graph = lib.autograd.graph
    graph.register_multi_grad_hook((a, b, c), seen.extend)
    graph.register_multi_grad_hook((a, b), lambda g: firsts.append(g + 1), mode="any")
    (a * b).sum().backward()
    (b * c).sum().backward()
    (a * 2).sum().backward()
    return [s if s is None else s.detach() for s in seen + firsts]


def mutated(lib, x):
    with lib.autograd.graph.allow_mutation_on_saved_tensors():
        y = x.clone()
        z = (y**2).sum()
        y.sin_()
        return lib.autograd.grad(z, x)[0]


def versions(lib, x):
    x = x.detach()
    lib.autograd.graph.increment_version([x, x])
    return x._version


CASES = [
    ("linear_cross_entropy", lambda t, x, w, k: t.nn.functional.linear_cross_entropy(x, w, k), X, W, KINDS),
    (
        "linear_cross_entropy bias",
        lambda t, x, w, b, k: t.nn.functional.linear_cross_entropy(x, w, k, linear_bias=b, reduction="sum"),
        *(X, W, B, KINDS),
    ),
    (
        "linear_cross_entropy ignored",
        lambda t, x, w, k: t.nn.functional.linear_cross_entropy(x, w, k, ignore_index=2, label_smoothing=0.1),
        *(X, W, KINDS),
    ),
    (
        "linear_cross_entropy dims",
        lambda t, x, w, k: t.nn.functional.linear_cross_entropy(x, w, k, reduction="none"),
        *(X, floats(5, 3, 4), integers(6, 3, low=0, high=5)),
    ),
    (
        "linear_cross_entropy one",
        lambda t, x, w: t.nn.functional.linear_cross_entropy(x, w, t.tensor(2)),
        X[0],
        W,
    ),
    ("linear_cross_entropy repr", lambda t: repr(t.nn.LinearCrossEntropyLoss(5, 10, out_features=(4, 3)))),
    ("linear_cross_entropy options", lambda t: repr(t.nn.LinearCrossEntropyOptions())),
    *((f"cross_map_lrn {n}", lrn(n, 0.1, 0.75, 1.0), floats(2, 7, 2, 3)) for n in (1, 2, 3, 4, 5)),
    ("cross_map_lrn repr", lambda t: repr(t.nn.CrossMapLRN2d(3))),
    *(
        (f"segment_reduce {k}", segments(k), floats(8, 2), LENGTHS)
        for k in ("sum", "mean", "max", "min", "prod")
    ),
    *(
        (f"segment_reduce from {k}", segments(k, initial=1), floats(8), LENGTHS)
        for k in ("sum", "mean", "max")
    ),
    ("segment_reduce batch", segments("mean", axis=1), floats(2, 4, 3), np.array([[1, 3], [2, 2]])),
    ("segment_reduce error", segments("mean"), floats(8), LENGTHS + 1),
    ("hardshrink", lambda t, x: [x.hardshrink(), x.hardshrink(1.0)], X),
    ("prelu", lambda t, x, w: x.prelu(w), X, W[0]),
    ("multi_grad_hook", hooked, floats(3), floats(3, seed=1), floats(3, seed=2)),
    ("allow_mutation", mutated, floats(3)),
    ("increment_version", versions, floats(3)),
    ("linearize", lambda t, x, v: list(t.func.linearize(t.sin, x)[1](v)), floats(3), floats(3, seed=1)),
]


@table(CASES)
def test_names(case):
    name, call, *arguments = case
    both(call, *arguments, where=name)
