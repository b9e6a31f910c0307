"""RNN, LSTM, GRU, their cells and nn.utils.rnn beside PyTorch."""

import copy
import warnings

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS, assert_same, compare, compare_module  # noqa: E402

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


OPTIONS = [
    {},
    {"num_layers": 3},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False, "num_layers": 2},
    {"batch_first": True},
    {"num_layers": 2, "dropout": 0.0},
]
LSTM_OPTIONS = [{"proj_size": 2}, {"proj_size": 3, "num_layers": 2, "bidirectional": True, "bias": False}]
LAYERS = [
    *[(kind, options) for kind in ("RNN", "LSTM", "GRU") for options in OPTIONS],
    *[("LSTM", options) for options in LSTM_OPTIONS],
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
]


def quiet(fn):
    def run(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fn(*args)

    return run


def state_shapes(kind, options, batch):
    cells = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    h = (cells, *batch, options.get("proj_size", 5))
    return (h, (cells, *batch, 5)) if kind == "LSTM" else (h,)


def call(m, x, *hx):
    return m(x, hx if len(hx) > 1 else hx[0]) if hx else m(x)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind,options", LAYERS)
def test_layers(kind, options):
    def make(lib):
        return getattr(lib.nn, kind)(4, 5, **options)

    x = floats(3, 2, 4)
    batch = 3 if options.get("batch_first") else 2
    compare_module(make, x)
    compare_module(make, x, *[floats(*s) for s in state_shapes(kind, options, (batch,))], call=call)
    compare_module(make, x[:, 0])
    compare_module(make, x[:, 0], *[floats(*s) for s in state_shapes(kind, options, ())], call=call)
    compare_module(make, x.astype(np.float64), dtype="float64", gradgrad=True, tol=1e-9)
    compare_module(make, np.swapaxes(floats(2, 3, 4), 0, 1))
    compare_module(make, floats(*((0, 3) if options.get("batch_first") else (3, 0)), 4))
    m = make(pynn)
    assert [[w.shape for w in ws] for ws in m.all_weights] == [
        [w.shape for w in ws] for ws in make(torch).all_weights
    ]
    assert make(torch)._flat_weights_names == m._flat_weights_names


@pytest.mark.parametrize("dtype,tol", [("bfloat16", 3e-2), ("float16", 4e-3)])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_half_types(kind, dtype, tol):
    compare_module(lambda lib: getattr(lib.nn, kind)(4, 5), floats(3, 2, 4), dtype=dtype, tol=tol)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"bias": False}])
def test_cells(kind, options):
    def make(lib):
        return getattr(lib.nn, kind + "Cell")(4, 5, **options)

    states = [floats(3, 5) for _ in range(2 if kind == "LSTM" else 1)]
    compare_module(make, floats(3, 4), gradgrad=True)
    compare_module(make, floats(3, 4), *states, call=call, gradgrad=True)
    compare_module(make, floats(4))
    compare_module(make, floats(4), *[s[0] for s in states], call=call)
    compare_module(make, floats(0, 4))
    for bad in ((3, 2, 4), (3, 6)):
        compare_module(make, floats(*bad))
    compare_module(make, floats(2, 4), *states, call=call)
    compare_module(make, floats(3, 4), *[s[:, :4] for s in states], call=call)


def test_relu_cell():
    compare_module(lambda lib: lib.nn.RNNCell(4, 5, nonlinearity="relu"), floats(3, 4))
    compare(lambda lib, x: lib.nn.RNNCell(4, 5, nonlinearity="sin")(x), floats(3, 4))


@pytest.mark.parametrize("kind,options", LAYERS)
@pytest.mark.parametrize("order", [True, False])
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_packed(kind, options, order):
    lengths = [4, 4, 2, 1] if order else [1, 4, 2, 4]
    batch_first = options.get("batch_first", False)

    def run(lib, x, *hx):
        m = getattr(lib.nn, kind)(4, 5, **options)
        utils = lib.nn.utils.rnn
        packed = utils.pack_padded_sequence(x, lengths, batch_first, order)
        out, state = call(m, packed, *hx)
        back, counts = utils.pad_packed_sequence(out, batch_first, -1.0, 5)
        grads = lib.autograd.grad(back.square().sum(), list(m.parameters()), retain_graph=True)
        return back, state, counts, tuple(out), grads

    x = floats(*((4, 5) if batch_first else (5, 4)), 4)
    compare(run, x)
    compare(run, x, *[floats(*s) for s in state_shapes(kind, options, (4,))])


def test_errors():
    x = floats(3, 2, 4)
    for kind in ("RNN", "LSTM", "GRU"):
        for shape in ((2,), (3, 2, 5), (0, 2, 4), (1, 3, 2, 4)):
            compare(lambda lib, x, kind=kind: getattr(lib.nn, kind)(4, 5)(x)[0], floats(*shape))
        compare(lambda lib, x, kind=kind: getattr(lib.nn, kind)(4, 5)(x)[0], x.astype(np.float64))
        for shape in ((1, 3, 5), (2, 2, 5), (1, 2, 4), (2, 5), (1, 1, 2, 5)):

            def run(lib, x, h, kind=kind):
                return getattr(lib.nn, kind)(4, 5)(x, (h, h) if kind == "LSTM" else h)[0]

            compare(run, x, floats(*shape))
            compare(run, x[0], floats(*shape))
    for args, kwargs in [
        ((0, 5), {}),
        ((4, 0), {}),
        ((4, 5, 0), {}),
        ((4.0, 5), {}),
        ((4, 5.0), {}),
        ((4, 5), {"dropout": 2}),
        ((4, 5), {"dropout": True}),
        ((4, 5), {"bias": 1}),
        ((4, 5), {"batch_first": 1}),
        ((4, 5), {"proj_size": 5}),
        ((4, 5), {"proj_size": -1}),
        ((4, 5), {"nonlinearity": "sin"}),
        ((4, 5, 1, "sin"), {}),
    ]:
        for kind in ("RNN", "LSTM", "GRU"):
            result = [None, None]
            for i, lib in enumerate(LIBS):
                try:
                    getattr(lib.nn, kind)(*args, **kwargs)
                except Exception as error:
                    result[i] = (type(error).__name__, str(error).replace("RNNBase", kind))
            assert result[0] == result[1] or result[0][0] == result[1][0] == "TypeError", (kind, args, kwargs)
    with pytest.warns(UserWarning, match="dropout option adds dropout") as ours:
        pynn.nn.LSTM(3, 4, dropout=0.5)
    assert len(ours) == 1


def test_dropout():
    pynn.manual_seed(0)
    m = pynn.nn.LSTM(4, 50, num_layers=2, dropout=0.5)
    x = pynn.ones(3, 2, 4)
    assert not pynn.equal(m(x)[0], m(x)[0])
    m.eval()
    assert pynn.equal(m(x)[0], m(x)[0])
    assert repr(m) == repr(torch.nn.LSTM(4, 50, num_layers=2, dropout=0.5))


def test_state_dicts_and_copies():
    ours, theirs = pynn.nn.LSTM(4, 5, 2, bidirectional=True), torch.nn.LSTM(4, 5, 2, bidirectional=True)
    ours.load_state_dict({k: pynn.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()})
    x = floats(3, 2, 4)
    want = theirs(torch.from_numpy(x))
    for m in (ours, copy.deepcopy(ours)):
        assert_same(m(pynn.from_numpy(x)), want)
    ours.weight_ih_l0 = pynn.nn.Parameter(pynn.zeros(20, 4))
    with pynn.no_grad():
        assert not pynn.equal(ours(pynn.from_numpy(x))[0], pynn.from_numpy(want[0].detach().numpy()))
    assert ours.double()(pynn.from_numpy(x).double())[0].dtype == pynn.float64


def test_functions():
    w = [floats(15, 4), floats(15, 5), floats(15), floats(15)]

    def gru(lib, x, h, *w):
        return lib.gru(x, h, list(w), True, 1, 0.0, False, False, False)

    compare(gru, floats(3, 2, 4), floats(1, 2, 5), *w)
    compare(lambda lib, x, h, *w: lib.gru_cell(x, h, *w), floats(2, 4), floats(2, 5), *w)
    compare(lambda lib, x, h, *w: lib.gru_cell(x, h, *w[:2]), floats(2, 4), floats(2, 5), *w)
    compare(
        lambda lib, x, h, c, *w: lib.lstm_cell(x, (h, c), *w),
        floats(2, 4),
        *[floats(2, 5)] * 2,
        *[np.concatenate([a, a[:5]]) for a in w],
    )
    for name in ("rnn_tanh_cell", "rnn_relu_cell"):
        compare(
            lambda lib, x, h, *w, n=name: getattr(lib, n)(x, h, *w),
            floats(2, 4),
            floats(2, 5),
            *[a[:5] for a in w],
        )


# -- nn.utils.rnn


def test_packing():
    for lengths, order in [([3, 2, 2], True), ([2, 3, 1], False), ([3, 3, 3], True), ([3, 2, 1], False)]:
        for batch_first in (False, True):
            for shape in ((3, 3), (3, 3, 2), (3, 3, 2, 2)):

                def run(lib, x, lengths=lengths, batch_first=batch_first, order=order):
                    packed = lib.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, order)
                    again = lib.nn.utils.rnn.pad_packed_sequence(packed, batch_first, padding_value=7)
                    longer = lib.nn.utils.rnn.pad_packed_sequence(packed, batch_first, total_length=4)
                    return tuple(packed), again, longer

                compare(run, floats(*shape), gradgrad=True)
                compare(run, rng.integers(0, 9, shape))

    def from_tensor(lib, x):
        return tuple(lib.nn.utils.rnn.pack_padded_sequence(x, lib.tensor([3, 1], dtype=lib.int32)))

    compare(from_tensor, floats(4, 2))


def test_packing_errors():
    def pack(lengths, **kwargs):
        return lambda lib, x: tuple(lib.nn.utils.rnn.pack_padded_sequence(x, lengths, **kwargs))

    x = floats(3, 2)
    for lengths in ([1, 3], [3, 0], [3], [3, 2, 1]):
        assert isinstance(compare(pack(lengths), x), Exception), lengths
    assert isinstance(compare(pack([3, 2]), floats(0, 2)), Exception)
    with pytest.raises(RuntimeError, match="no length may exceed the padded 3 steps, got 4"):
        pack([4, 1])(pynn, pynn.zeros(3, 2))  # PyTorch reads beyond the tensor

    def too_short(lib, x):
        packed = lib.nn.utils.rnn.pack_padded_sequence(x, [3, 2])
        return lib.nn.utils.rnn.pad_packed_sequence(packed, total_length=2)

    assert isinstance(compare(too_short, x), ValueError)


def test_padding():
    arrays = [floats(n, 2) for n in (3, 1, 4)]
    for batch_first in (False, True):
        for side in ("left", "right"):
            compare(
                lambda lib, *s, b=batch_first, d=side: lib.nn.utils.rnn.pad_sequence(s, b, 2.5, d), *arrays
            )

        def round_trip(lib, *s, b=batch_first):
            u = lib.nn.utils.rnn
            padded = u.pad_sequence(list(s), b)
            return u.unpad_sequence(padded, lib.tensor([len(x) for x in s]), b)

        compare(round_trip, *arrays)
    compare(lambda lib, *s: tuple(lib.nn.utils.rnn.pack_sequence(s, enforce_sorted=False)), *arrays)
    compare(lambda lib, *s: tuple(lib.nn.utils.rnn.pack_sequence(s)), *arrays)
    compare(
        lambda lib, *s: lib.nn.utils.rnn.unpack_sequence(lib.nn.utils.rnn.pack_sequence(s, False)), *arrays
    )
    for bad in (
        lambda lib, x: lib.nn.utils.rnn.pad_sequence(3),
        lambda lib, x: lib.nn.utils.rnn.pad_sequence([]),
    ):
        assert isinstance(compare(bad, floats(1)), Exception)


def test_packed_sequence_object():
    def run(lib):
        u = lib.nn.utils.rnn
        p = u.pack_sequence([lib.tensor([1.0, 2]), lib.tensor([3.0])])
        assert p.to(lib.float32) is p
        q = p.double()
        assert (
            isinstance(q, u.PackedSequence)
            and q.data.dtype == lib.float64
            and p.long().data.dtype == lib.int64
        )
        assert not p.is_cuda and p._fields == ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
        return repr(p), repr(u.PackedSequence((p.data, p.batch_sizes)))

    assert run(pynn) == run(torch)
    order = [2, 0, 1]
    compare(lambda lib: lib.nn.utils.rnn.invert_permutation(lib.tensor(order)))
