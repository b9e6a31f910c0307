"""Attention and transformers beside PyTorch."""

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS, assert_same, compare, compare_module  # noqa: E402

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def causal(n, m=None):
    return np.triu(np.full((n, m or n), -np.inf, np.float32), 1)


BOOL = np.tril(np.ones((4, 5), bool))
SDPA = [
    ((), {}),
    ((), {"is_causal": True}),
    ((), {"scale": 0.3}),
    ((BOOL,), {}),
    ((BOOL[1:2],), {}),
    ((np.zeros((4, 5), bool),), {}),
    ((floats(4, 5),), {}),
    ((floats(2, 1, 4, 5),), {}),
    ((floats(3, 1, 5),), {"scale": 2.0}),
    ((floats(4, 4),), {}),
    ((floats(4, 5).astype(np.float64),), {}),
    ((np.ones((4, 5), np.int64),), {}),
    ((None, 1.5), {}),
]


@pytest.mark.parametrize("args,kwargs", SDPA)
def test_sdpa(args, kwargs):
    def run(lib, q, k, v, *args):
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, *args, **kwargs)

    arrays = floats(2, 3, 4, 6), floats(2, 3, 5, 6), floats(2, 3, 5, 6)
    compare(run, *arrays, *args)
    for dtype, tol in (("float64", 1e-9), ("bfloat16", 3e-2), ("float16", 4e-3)):
        compare(run, *arrays, *args, dtype=dtype, tol=tol)
    compare(run, *arrays[:2], floats(2, 3, 5, 7), *args)
    swap = [np.swapaxes(np.ascontiguousarray(np.swapaxes(a, 1, 2)), 1, 2) for a in arrays]
    compare(run, *swap, *args)
    compare(run, arrays[0], *[a[:, :1] for a in arrays[1:]], *args)


def test_sdpa_shapes():
    def run(lib, q, k, v, **kwargs):
        return lib.nn.functional.scaled_dot_product_attention(q, k, v, **kwargs)

    def grouped(lib, q, k, v):
        return run(lib, q, k, v, enable_gqa=True)

    q = floats(2, 4, 3, 6)
    compare(grouped, q, floats(2, 2, 5, 6), floats(2, 2, 5, 6))
    compare(grouped, q, floats(2, 1, 5, 6), floats(2, 1, 5, 6))
    compare(grouped, q, q, q)
    compare(grouped, q, floats(2, 3, 5, 6), floats(2, 3, 5, 6))
    compare(lambda lib, q, m: run(lib, q, q, q, attn_mask=m, is_causal=True), q, floats(3, 3), grad=False)
    compare(run, q[0, 0], q[0, 0], q[0, 0])
    compare(run, q[0, 0, 0], q[0, 0, 0], q[0, 0, 0])
    compare(run, q[:0], q[:0], q[:0])
    compare(run, q[:, :, :0], q, q)
    compare(run, q, q[:, :, :0], q[:, :, :0])
    with pytest.raises(RuntimeError):  # PyTorch reads beyond the tensors here
        run(pynn, *[pynn.from_numpy(a) for a in (q, q[:, :, :2].copy(), q)])
    compare(run, q, q.astype(np.float64), q)


MHA = [
    {},
    {"bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "batch_first": True},
    {"kdim": 5, "vdim": 7},
    {"kdim": 5, "vdim": 7, "bias": False, "batch_first": True, "add_bias_kv": True},
    {"batch_first": True},
]
PAD = np.array([[False, False, True, False, True], [False] * 5])
CALLS = [
    {},
    {"need_weights": False},
    {"average_attn_weights": False},
    {"key_padding_mask": PAD},
    {"key_padding_mask": PAD, "need_weights": False},
    {"key_padding_mask": np.where(PAD, -3, 0).astype(np.float32), "attn_mask": floats(4, 5)},
    {"key_padding_mask": PAD, "attn_mask": ~BOOL, "need_weights": False},
    {"attn_mask": ~BOOL},
    {"attn_mask": floats(2 * 3, 4, 5)},
    {"attn_mask": causal(4, 5), "is_causal": True, "need_weights": False},
    {"attn_mask": causal(4, 5), "is_causal": True},
    {"is_causal": True},
    {"attn_mask": floats(5, 5)},
    {"attn_mask": floats(5, 4, 5)},
    {"attn_mask": np.ones((4, 5), np.int64)},
    {"key_padding_mask": PAD[:, :3]},
    {"key_padding_mask": PAD[:1]},
    {"key_padding_mask": PAD[0]},
]


def with_masks(lib, kwargs):
    return {k: lib.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}


@pytest.mark.parametrize("options", MHA)
@pytest.mark.parametrize("kwargs", CALLS)
def test_mha(options, kwargs):
    def call(m, q, k, v):
        lib = pynn if isinstance(m, pynn.nn.Module) else torch
        return m(q, k, v, **with_masks(lib, kwargs))

    shapes = [(4, 2, 6), (5, 2, options.get("kdim", 6)), (5, 2, options.get("vdim", 6))]
    arrays = [np.swapaxes(floats(*s), 0, 1) if options.get("batch_first") else floats(*s) for s in shapes]
    compare_module(lambda lib: lib.nn.MultiheadAttention(6, 3, **options), *arrays, call=call)


def test_mha_self_and_unbatched():
    for options in MHA[:5]:

        def make(lib, options=options):
            return lib.nn.MultiheadAttention(6, 3, **options)

        compare_module(make, floats(4, 2, 6), call=lambda m, x: m(x, x, x), gradgrad=True)
        compare_module(make, floats(4, 2, 6), floats(4, 2, 6), call=lambda m, x, y: m(x, y, y))
        compare_module(make, floats(4, 6), call=lambda m, x: m(x, x, x))
        compare_module(make, floats(4, 6), floats(5, 6), call=lambda m, x, y: m(x, y, y))
        compare_module(make, floats(4, 6), call=lambda m, x: m(x, x, x), train=False)
        compare_module(make, floats(4, 2, 6), floats(4, 6), call=lambda m, x, y: m(x, y, y))
        compare_module(make, floats(4, 2, 5), call=lambda m, x: m(x, x, x))
        compare_module(make, floats(4, 2, 3, 6), call=lambda m, x: m(x, x, x))
    compare_module(
        lambda lib: lib.nn.MultiheadAttention(6, 2, kdim=3, vdim=3),
        floats(4, 6),
        floats(5, 3),
        floats(3, 5, 5),
        call=lambda m, x, y, _: m(x, y, y),
    )
    for args in ((0, 1), (6, 0), (6, 4)):
        compare(lambda lib, args=args: lib.nn.MultiheadAttention(*args))


def test_mha_function():
    def run(lib, x, w, b, ow, ob, sk, sv):
        return lib.nn.functional.multi_head_attention_forward(
            x, x, x, 6, 2, w, b, None, None, False, 0.0, ow, ob, static_k=sk, static_v=sv
        )

    weights = floats(18, 6), floats(18), floats(6, 6), floats(6)
    compare(run, floats(4, 3, 6), *weights, None, None)
    compare(run, floats(4, 3, 6), *weights, floats(6, 4, 3), floats(6, 4, 3))
    compare(run, floats(4, 3, 6), *weights, floats(5, 4, 3), floats(6, 4, 3))
    compare(run, floats(4, 3, 6), *weights, floats(6, 4, 2), floats(6, 4, 3))


LAYER_OPTIONS = [
    {},
    {"norm_first": True},
    {"batch_first": True},
    {"activation": "gelu", "bias": False},
    {"norm_first": True, "batch_first": True, "layer_norm_eps": 1e-3},
]


@pytest.mark.parametrize("options", LAYER_OPTIONS)
@pytest.mark.parametrize("train", [True, False])
def test_layers(options, train):
    def encoder(lib):
        return lib.nn.TransformerEncoderLayer(6, 2, 8, 0.0, **options)

    def decoder(lib):
        return lib.nn.TransformerDecoderLayer(6, 2, 8, 0.0, **options)

    square = causal(4)
    x, y = floats(4, 4, 6), floats(4, 4, 6)
    pad = np.arange(16).reshape(4, 4) % 5 == 4
    for call in (
        lambda m, x, mask, pad: m(x),
        lambda m, x, mask, pad: m(x, mask),
        lambda m, x, mask, pad: m(x, mask, is_causal=True),
        lambda m, x, mask, pad: m(x, src_key_padding_mask=pad),
        lambda m, x, mask, pad: m(x, mask == 0, pad),
        lambda m, x, mask, pad: m(x[0], mask),
    ):
        compare_module(encoder, x, square, pad, call=call, train=train, tol=2e-5)
    for call in (
        lambda m, x, y, mask, pad: m(x, y),
        lambda m, x, y, mask, pad: m(x, y, mask, mask),
        lambda m, x, y, mask, pad: m(x, y, mask, None, tgt_is_causal=True, memory_key_padding_mask=pad),
        lambda m, x, y, mask, pad: m(x[0], y[1], mask),
    ):
        compare_module(decoder, x, y, square, pad, call=call, train=train, tol=2e-5)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:Support for mismatched")
@pytest.mark.parametrize("options", LAYER_OPTIONS)
def test_transformer(options):
    def make(lib):
        return lib.nn.Transformer(6, 2, 2, 2, 8, 0.0, **options)

    def call(m, src, tgt):
        return m(src, tgt, tgt_mask=m.generate_square_subsequent_mask(4))

    src, tgt = floats(4, 3, 6), floats(4, 3, 6)
    compare_module(make, src, tgt, tol=5e-5)
    compare_module(make, src, tgt, call=call, tol=5e-5)
    compare_module(make, src[0], tgt[0], tol=5e-5)
    compare_module(make, src, floats(2, 2, 6))
    compare_module(make, src, floats(4, 3, 5))

    def encode(lib):
        layer = lib.nn.TransformerEncoderLayer(6, 2, 8, 0.0, **options)
        return lib.nn.TransformerEncoder(layer, 2, lib.nn.LayerNorm(6))

    def masked(m, x):
        lib = pynn if isinstance(m, pynn.nn.Module) else torch
        size = x.size(1 if options.get("batch_first") else 0)
        return m(x, lib.nn.Transformer.generate_square_subsequent_mask(size))

    compare_module(encode, src, call=masked, tol=5e-5)

    def decode(lib):
        layer = lib.nn.TransformerDecoderLayer(6, 2, 8, 0.0, **options)
        return lib.nn.TransformerDecoder(layer, 1)

    compare_module(decode, src, src, tol=5e-5)


def test_subsequent_mask_and_activation():
    for n in (0, 1, 4):
        compare(lambda lib, n=n: lib.nn.Transformer.generate_square_subsequent_mask(n))
    compare(lambda lib: lib.nn.Transformer.generate_square_subsequent_mask(3, dtype=lib.float64))
    for lib in LIBS:
        with pytest.raises(RuntimeError, match="activation should be relu/gelu, not tanh"):
            lib.nn.TransformerEncoderLayer(6, 2, activation="tanh")
    compare_module(
        lambda lib: lib.nn.TransformerEncoderLayer(6, 2, 8, 0.0, lib.tanh), floats(4, 2, 6), tol=2e-5
    )
    assert_same(
        dict(pynn.nn.Transformer(6, 2, 1, 1, 8, custom_encoder=pynn.nn.Identity()).decoder.named_children())
        == {},
        False,
    )
