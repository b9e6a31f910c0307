"""The gates of LSTM and GRU steps, cells and sequences, against NumPy and against composites."""

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor, to_numpy

import pynn

nn = pynn.nn
_nn = pynn._C._nn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_gates(x, h, c):
    i, f, g, o = np.split(x + h, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_gates(x, h, state):
    (xr, xz, xn), (hr, hz, hn) = np.split(x, 3, 1), np.split(h, 3, 1)
    n = np.tanh(xn + sigmoid(xr + hr) * hn)
    return n + sigmoid(xz + hz) * (state - n)


GATES = {"lstm": (_nn.lstm_gates, lstm_gates, 4), "gru": (_nn.gru_gates, gru_gates, 3)}


@pytest.mark.parametrize("name", GATES)
def test_gates(name):
    fn, ref, parts = GATES[name]
    cases = [arrs((r, parts * n), (r, parts * n), (r, n)) for r, n in ((2, 3), (1, 1), (3, 17))]
    check_op(fn, ref, cases, tol=2, grad_tol=4)
    for r, n in ((0, 3), (4, 0), (7, 100)):
        x, h, c = arrs((r, parts * n), (r, parts * n), (r, n), seed=1)
        got, want = fn(tensor(x), tensor(h), tensor(c)), ref(x, h, c)
        for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, want)), strict=True):
            np.testing.assert_allclose(to_numpy(a), b, rtol=1e-12, atol=1e-12)


def test_gates_reject_what_does_not_fit():
    x = pynn.zeros(2, 12)
    with raises(RuntimeError, "lstm_gates: gates must be", r"\(2, 12\)", r"\(2, 4\)"):
        _nn.lstm_gates(x, x, pynn.zeros(2, 4))
    with raises(RuntimeError, "gru_gates: operands must have one dtype"):
        _nn.gru_gates(x, x, pynn.zeros(2, 4, dtype=pynn.float64))
    with raises(RuntimeError, "lstm_gates"):
        _nn.lstm_gates(x.long(), x.long(), pynn.zeros(2, 3).long())


@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_gates_equal_their_parts(mode):
    """The fused op and the composite agree: forward, backward and double backward."""

    def parts(x, h, s):
        if mode == "lstm":
            i, f, g, o = (x + h).chunk(4, 1)
            c = f.sigmoid() * s + i.sigmoid() * g.tanh()
            return o.sigmoid() * c.tanh(), c
        (xr, xz, xn), (hr, hz, hn) = x.chunk(3, 1), h.chunk(3, 1)
        n = (xn + (xr + hr).sigmoid() * hn).tanh()
        return (n + (xz + hz).sigmoid() * (s - n),)

    fn, _, count = GATES[mode]
    found = []
    for f in (fn, parts):
        leaves = [tensor(a, requires_grad=True) for a in arrs((3, count * 5), (3, count * 5), (3, 5), seed=2)]
        outs = f(*leaves)
        outs = outs if isinstance(outs, tuple) else (outs,)
        total = sum((o * tensor(arr(3, 5, seed=9 + k))).sum() for k, o in enumerate(outs))
        grads = pynn.autograd.grad(total, leaves, create_graph=True)
        again = pynn.autograd.grad(sum(g.square().sum() for g in grads), leaves)
        plain = pynn.autograd.grad(
            sum((o * tensor(arr(3, 5, seed=9 + k))).sum() for k, o in enumerate(f(*leaves)))
            if mode == "lstm"
            else (f(*leaves) if f is fn else f(*leaves)[0]).mul(tensor(arr(3, 5, seed=9))).sum(),
            leaves,
        )
        found.append([to_numpy(t) for t in (*outs, *grads, *again, *plain)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_sequence_is_its_steps(kind):
    """A layer gives what its cell gives step by step, both ways."""
    m = getattr(nn, kind)(3, 4, bidirectional=True, dtype=pynn.float64)
    x = tensor(arr(5, 2, 3))
    out, _ = m(x)
    for suffix, steps, columns in (("", range(5), slice(0, 4)), ("_reverse", range(4, -1, -1), slice(4, 8))):
        cell = getattr(nn, kind + "Cell")(3, 4, dtype=pynn.float64)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(cell, name, getattr(m, f"{name}_l0{suffix}"))
        state = None
        for t in steps:
            state = cell(x[t], state)
            h = state[0] if kind == "LSTM" else state
            np.testing.assert_allclose(to_numpy(h), to_numpy(out[t, :, columns]), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_sequence_gradients(kind):
    m = getattr(nn, kind)(2, 3, num_layers=2, bidirectional=True, dtype=pynn.float64)
    weights = list(m.parameters())

    def run(x, *ws):
        values = dict(zip(dict(m.named_parameters()), ws, strict=True))
        flat = list(values.values())
        zeros = pynn.zeros(4, 2, 3, dtype=pynn.float64)
        fn = {"LSTM": pynn.lstm, "GRU": pynn.gru, "RNN": pynn.rnn_tanh}[kind]
        h = [zeros, zeros] if kind == "LSTM" else zeros
        return fn(x, h, flat, True, 2, 0.0, True, True, False)

    x = tensor(arr(3, 2, 2), requires_grad=True)
    assert pynn.autograd.gradcheck(run, (x, *weights))
    small = weights[:4]
    zeros = pynn.zeros(1, 2, 3, dtype=pynn.float64)

    def one(x, *ws):
        fn = {"LSTM": pynn.lstm, "GRU": pynn.gru, "RNN": pynn.rnn_tanh}[kind]
        return fn(x, [zeros, zeros] if kind == "LSTM" else zeros, list(ws), True, 1, 0.0, True, False, False)

    assert pynn.autograd.gradgradcheck(one, (x, *small))


def test_packed_sequences_ignore_padding():
    """Each sequence of a packed batch gives what it gives alone."""
    m = nn.LSTM(3, 4, num_layers=2, bidirectional=True, dtype=pynn.float64)
    sequences = [tensor(arr(n, 3, seed=n)) for n in (2, 5, 1, 5)]
    packed = nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    out, (h, c) = m(packed)
    for i, (alone, together) in enumerate(zip(sequences, nn.utils.rnn.unpack_sequence(out), strict=True)):
        want, (hi, ci) = m(alone)
        np.testing.assert_allclose(to_numpy(together), to_numpy(want), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(to_numpy(h[:, i]), to_numpy(hi), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(to_numpy(c[:, i]), to_numpy(ci), rtol=1e-12, atol=1e-13)


def test_bad_calls():
    w = [pynn.zeros(4, 3), pynn.zeros(4, 4)]
    x, h = pynn.zeros(5, 2, 3), pynn.zeros(1, 2, 4)
    with raises(RuntimeError, "rnn_tanh: expected 2 weights"):
        pynn.rnn_tanh(x, h, w[:1], False, 1, 0.0, False, False, False)
    with raises(RuntimeError, "hidden states must be"):
        pynn.rnn_tanh(x, pynn.zeros(1, 3, 4), w, False, 1, 0.0, False, False, False)
    with raises(RuntimeError, "sequence length to be larger than 0"):
        pynn.rnn_tanh(x[:0], h, w, False, 1, 0.0, False, False, False)
    with raises(RuntimeError, "must not grow"):
        pynn.rnn_tanh(x[:, 0], pynn.tensor([2, 3]), h, w, False, 1, 0.0, False, False)
    with raises(RuntimeError, "add up"):
        pynn.rnn_tanh(x[:, 0], pynn.tensor([2, 2]), h, w, False, 1, 0.0, False, False)
    with raises(RuntimeError, "lstm: expects two hidden states"):
        pynn.lstm(x, [h], w, False, 1, 0.0, False, False, False)
    with raises(RuntimeError):  # weights that do not fit
        pynn.rnn_tanh(x, h, w[::-1], False, 1, 0.0, False, False, False)
    with raises(RuntimeError):
        pynn.lstm(x, [h, h], w, False, 1, 0.0, False, False, False)
