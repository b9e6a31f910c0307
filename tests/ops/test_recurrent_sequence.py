"""Recurrent layers as one op against the graph of their steps: values, gradients, second derivatives."""

import numpy as np
import pytest
from helpers import to_numpy

import pynn

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def assert_same(got, want, tol):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=tol, atol=tol)


def steps(kind, data, sizes, states, w, reverse=False):
    """Return (output, last states) of packed data, one cell call per sequence and step."""
    cell = getattr(pynn, kind + "_cell")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = [[s[i : i + 1] for s in states] for i in range(sizes[0])]
    out = [[None] * n for n in sizes]
    order = range(len(sizes))
    for t in reversed(order) if reverse else order:
        for i in range(sizes[t]):
            x = data[starts[t] + i : starts[t] + i + 1]
            if kind == "lstm":
                rows[i] = cell(x, rows[i], *w)
            else:
                rows[i] = [cell(x, rows[i][0], *w)]
            out[t][i] = rows[i][0]
    last = [pynn.cat([r[j] for r in rows]) for j in range(len(states))]
    return [pynn.cat([y for step in out for y in step]), *last]


def operands(kind, sizes, inputs, width, bias, dtype=pynn.float64):
    pynn.manual_seed(width * 100 + sizes[0])
    gates = GATES[kind] * width
    shapes = [(sum(sizes), inputs), (sizes[0], width)] + [(sizes[0], width)] * (kind == "lstm")
    shapes += [(gates, inputs), (gates, width)] + [(gates,), (gates,)] * bias
    scale = [1.0] * (len(shapes) - 4) + [1.0] * 2 + [width**-0.5] * 2 if bias else [1.0] * len(shapes)
    return [
        (pynn.randn(shape, dtype=pynn.float64) * f).to(dtype).requires_grad_()
        for shape, f in zip(shapes, scale, strict=True)
    ]


def whole(kind, leaves, sizes, bias, reverse=False):
    states = 2 if kind == "lstm" else 1
    data, h, w = leaves[0], [s[None] for s in leaves[1 : 1 + states]], list(leaves[1 + states :])
    if reverse:  # the second direction of a layer whose first one is thrown away
        h, w = [pynn.cat([s, s]) for s in h], w * 2
    out, *last = getattr(pynn, kind)(
        data, pynn.tensor(sizes), h if kind == "lstm" else h[0], w, bias, 1, 0.0, True, reverse
    )
    width = leaves[1].shape[1]
    return [out[:, -width:], *(s[-1] for s in last)]


SIZES = [
    ([1], 1, 1),
    ([1, 1, 1], 3, 5),
    ([7, 7], 2, 16),
    ([9, 8, 8, 3, 1], 4, 17),
    ([16] * 3, 5, 33),
    ([23, 5, 5], 3, 65),
    ([13, 13, 12], 20, 40),
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize(("sizes", "inputs", "width"), SIZES)
def test_a_layer_is_its_steps(kind, sizes, inputs, width, reverse):
    states = 2 if kind == "lstm" else 1
    for bias in (True, False):
        leaves = operands(kind, sizes, inputs, width, bias)
        got = whole(kind, leaves, sizes, bias, reverse)
        want = steps(kind, leaves[0], sizes, leaves[1 : 1 + states], leaves[1 + states :], reverse)
        assert_same(got, want, 1e-10)
        with pynn.no_grad():
            assert_same(whole(kind, leaves, sizes, bias, reverse), got, 0)
        gs = [pynn.randn(x.shape, dtype=x.dtype) for x in got]
        for used in (range(len(gs)), [0], [len(gs) - 1]):  # not every result has a gradient
            picked = [[r[i] for i in used] for r in (got, want, gs)]
            grads = [
                pynn.autograd.grad(r, leaves, picked[2], retain_graph=True, allow_unused=True)
                for r in picked[:2]
            ]
            assert [g is None for g in grads[0]] == [g is None for g in grads[1]] or reverse
            pairs = [(a, b) for a, b in zip(*grads, strict=True) if a is not None and b is not None]
            for a, b in pairs:
                np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", GATES)
def test_float32(kind):
    sizes = [13, 13, 6]
    leaves = operands(kind, sizes, 12, 50, True, pynn.float32)
    wide = [x.detach().double().requires_grad_() for x in leaves]
    got, want = whole(kind, leaves, sizes, True), whole(kind, wide, sizes, True)
    assert got[0].dtype == pynn.float32
    assert_same(got, want, 2e-4)
    g = pynn.randn(got[0].shape)
    for a, b in zip(
        pynn.autograd.grad(got[0], leaves, g, allow_unused=True),
        pynn.autograd.grad(want[0], wide, g.double(), allow_unused=True),
        strict=True,
    ):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=2e-3, atol=2e-3 * float(b.abs().max()))


# Long steps of float32, which take a way of their own where the CPU has AMX.
LONG = [
    ("lstm", [32, 32, 29], 250),
    ("lstm", [64, 41, 41, 32], 158),
    ("lstm", [80, 70, 66], 330),  # weights that L2 does not hold
    ("gru", [46, 46, 46], 224),
    ("rnn_tanh", [48, 48, 40], 384),
    ("rnn_relu", [30, 30, 30], 520),
]


def long_operands(kind, sizes, width):
    leaves = operands(kind, sizes, 24, width, True, pynn.float32)
    with pynn.no_grad():
        for weight in leaves[-4:-2]:
            weight *= 0.5 * width**-0.5
    return leaves


def errors(kind, leaves, sizes, reverse=False, of_gradient=1.0):
    """Return the largest errors of the results and the gradients, next to the largest of each."""
    wide = [x.detach().double().requires_grad_() for x in leaves]
    got, want = (whole(kind, x, sizes, True, reverse) for x in (leaves, wide))
    gs = [pynn.randn(x.shape) * of_gradient for x in got]
    pairs = list(zip(got, want, strict=True))
    pairs += zip(
        pynn.autograd.grad(got, leaves, gs),
        pynn.autograd.grad(want, wide, [g.double() for g in gs]),
        strict=True,
    )
    pairs = [(to_numpy(a).astype(np.float64), to_numpy(b)) for a, b in pairs]
    return [np.abs(a - b).max() / max(np.abs(b).max(), 1e-300) for a, b in pairs]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("kind", "sizes", "width"), LONG)
def test_long_steps_of_float32(kind, sizes, width, reverse):
    leaves = long_operands(kind, sizes, width)
    assert max(errors(kind, leaves, sizes, reverse)) < 2e-6


@pytest.mark.parametrize(("kind", "sizes", "width"), LONG)
@pytest.mark.parametrize("scale", [1e-40, 1e-34, 1e-25, 1e25])
def test_long_steps_of_any_magnitude(kind, sizes, width, scale):
    leaves = long_operands(kind, sizes, width)
    with pynn.no_grad():
        leaves[1] *= scale  # the state before
        if kind == "rnn_relu":  # and all that follow
            leaves[0] *= 0
            for bias in leaves[-2:]:
                bias *= 0
    small = kind == "rnn_relu" and scale < 1e-30  # then the numbers themselves are rounded
    assert max(errors(kind, leaves, sizes)[: 3 if kind == "lstm" else 2]) < (1e-2 if small else 4e-6)
    with pynn.no_grad():
        leaves[1] /= leaves[1].abs().max()
    bound = 1e-2 if scale < 1e-30 else 4e-6
    assert max(errors(kind, leaves, sizes, of_gradient=scale)) < bound


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize(("kind", "sizes", "width"), LONG)
def test_long_steps_keep_what_is_not_finite_in_its_row(kind, sizes, width, bad):
    leaves = [x.detach() for x in long_operands(kind, sizes, width)]
    leaves[0][sizes[0] + 1, 3] = bad  # second step of the second sequence
    leaves[1][2, 5] = bad
    got = whole(kind, leaves, sizes, True)
    want = whole(kind, [x.double() for x in leaves], sizes, True)
    for a, b in zip(got, want, strict=True):
        a, b = to_numpy(a), to_numpy(b)
        rows = np.isfinite(b).all(axis=1) & (np.abs(b).max(axis=1) < 1e30)
        assert 0 < rows.sum()
        np.testing.assert_allclose(a[rows], b[rows], rtol=1e-4, atol=1e-5)
        assert (np.isnan(a) >= np.isnan(b)).all()


@pytest.mark.parametrize("kind", GATES)
def test_second_derivatives(kind):
    states, sizes = 2 if kind == "lstm" else 1, [3, 3, 1]
    leaves = operands(kind, sizes, 2, 4, True)
    # the state depends on the input, and one weight is both of them: only the op's own part may be counted
    results = []
    for run in (
        lambda x, h, w: whole(kind, [x, *h, *w], sizes, True),
        lambda x, h, w: steps(kind, x, sizes, h, w),
    ):
        x = leaves[0]
        h = [s + x[:3, :1].sin() for s in leaves[1 : 1 + states]]
        y = sum(r.cos().sum() for r in run(x, h, leaves[1 + states :]))
        first = pynn.autograd.grad(y, leaves, create_graph=True)
        second = pynn.autograd.grad(sum(g.sin().sum() for g in first), leaves)
        results.append([*first, *second])
    assert_same(*results, 1e-9)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize(("batch", "width"), [(2, 160), (16, 96), (46, 340)])  # by units, by rows
def test_threads_give_the_same_bits(kind, batch, width):
    before, results = pynn.get_num_threads(), []
    sizes = [batch] * 4 + [batch - 1]
    leaves = operands(kind, sizes, 40, width, True, pynn.float32)
    with pynn.no_grad():
        leaves[1][1, 0] = 1e30
    try:
        for threads in (1, 2, 16):
            pynn.set_num_threads(threads)
            out = whole(kind, leaves, sizes, True)
            grads = pynn.autograd.grad(sum(x.sum() for x in out), leaves)
            results.append([to_numpy(x).tobytes() for x in (*out, *grads)])
    finally:
        pynn.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("kind", GATES)
def test_values_that_are_not_finite(kind):
    states, sizes = 2 if kind == "lstm" else 1, [3, 3, 3]
    for bad in (float("nan"), float("inf"), -float("inf")):
        leaves = [x.detach() for x in operands(kind, sizes, 2, 4, True)]
        leaves[0][4, 1] = bad  # second step of the second sequence
        got = whole(kind, leaves, sizes, True)
        want = steps(kind, leaves[0], sizes, leaves[1 : 1 + states], leaves[1 + states :])
        assert_same(got, want, 1e-10)
        assert got[0].view(3, 3, 4)[:, 0].isfinite().all()


def test_frozen_weights_and_empty_batches():
    sizes = [4, 4]
    leaves = operands("lstm", sizes, 3, 5, True)
    for i in range(len(leaves)):
        some = [x if j == i else x.detach() for j, x in enumerate(leaves)]
        alone = pynn.autograd.grad(whole("lstm", some, sizes, True)[0].sin().sum(), leaves[i])
        together = pynn.autograd.grad(whole("lstm", leaves, sizes, True)[0].sin().sum(), leaves)
        assert_same(alone, [together[i]], 1e-12)
    for module in (pynn.nn.LSTM(3, 5), pynn.nn.GRU(3, 5), pynn.nn.RNN(3, 5)):
        assert module(pynn.zeros(2, 0, 3))[0].shape == (2, 0, 5)
    m = pynn.nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True)
    x = pynn.randn(4, 6, 3)
    y = m(x)[0]
    assert y.shape == (4, 6, 10)
    y.sum().backward(retain_graph=True)
    first = [p.grad.clone() for p in m.parameters()]
    m.zero_grad()
    y.sum().backward()  # saved tensors are not written to
    assert_same([p.grad for p in m.parameters()], first, 1e-5)
