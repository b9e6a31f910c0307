"""Activations that test_nn_parity leaves out, and EmbeddingBag, beside PyTorch."""

import copy

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS, assert_same, compare, compare_module  # noqa: E402

rng = np.random.default_rng(0)
EDGES = np.array([0, 0.5, -0.5, 1, -1, 3, -3, 6, 20, -20, 60, -60], np.float32)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


INPUTS = [floats(4, 3, 6) * 3, np.resize(EDGES, (4, 3, 2)), floats(0, 3), np.array(1.5, np.float32)]
MODULES = [
    ("Hardshrink", [(), (1.0,)]),
    ("Softshrink", [(), (1.0,), (0.0,)]),
    ("RReLU", [(), (0.1, 0.5), (0.2, 0.3, True)]),
    ("ReLU6", [(), (True,)]),
    ("Hardtanh", [(), (-0.5, 2.0, True)]),
    ("Hardsigmoid", [(), (True,)]),
    ("Hardswish", [(), (True,)]),
    ("CELU", [(), (0.5,), (1.5, True)]),
    ("SELU", [(), (True,)]),
    ("Mish", [(), (True,)]),
    ("Threshold", [(0.5, 2.0), (0.5, 2.0, True)]),
    ("GELU", [(), ("tanh",)]),
    ("PReLU", [(), (1, 0.3)]),
    ("LogSigmoid", [()]),
    ("Softsign", [()]),
    ("Tanhshrink", [()]),
]


@pytest.mark.parametrize("name,args", [(n, a) for n, every in MODULES for a in every])
@pytest.mark.parametrize("train", [True, False])
def test_modules(name, args, train):
    for x in INPUTS:

        def call(m, x):
            return m(x * 1)  # not a leaf, so that in-place modules may write to it

        compare_module(lambda lib: getattr(lib.nn, name)(*args), x, call=call, train=train)
        for dtype, tol in (("float64", 1e-7), ("bfloat16", 3e-2)):
            if name == "RReLU" and train and dtype != "float64":
                continue  # halves of the slopes
            compare(lambda lib, x: call(getattr(lib.nn, name)(*args).to(x.dtype), x), x, dtype=dtype, tol=tol)
        turned = np.ascontiguousarray(x.T).T
        compare(lambda lib, x: call(getattr(lib.nn, name)(*args).eval(), x), turned)


def test_functions():
    x = floats(3, 4) * 2
    for name, args in [
        ("hardshrink", (0.7,)),
        ("softshrink", (0.7,)),
        ("softshrink", (-1.0,)),
        ("rrelu", (0.1, 0.4)),
        ("rrelu", (0.1, 0.4, True)),
        ("rrelu", (0.5, 0.4)),
        ("celu", (0.7,)),
        ("selu", ()),
        ("threshold", (0.3, 7.0)),
        ("hardtanh", (-0.3, 0.4)),
    ]:
        compare(lambda lib, x, n=name, a=args: getattr(lib.nn.functional, n)(x, *a), x, gradgrad=True)
    for name, args in [
        ("celu_", (0.7,)),
        ("selu_", ()),
        ("rrelu_", (0.1, 0.4)),
        ("threshold_", (0.3, 7.0)),
        ("hardtanh_", (-0.3, 0.4)),
    ]:

        def run(lib, x, n=name, a=args):
            y = x * 1
            z = getattr(lib.nn.functional, n)(y, *a)
            assert z is y
            return z

        compare(run, x)
    for name in ("celu", "selu", "rrelu", "hardshrink", "relu_"):
        compare(lambda lib, x, n=name: getattr(lib, n)(x * 1), x)
    compare(lambda lib, x, w: lib.prelu(x, w), x, floats(4))
    compare(lambda lib, x: lib.threshold(x, 0.1, 2.0), x)
    compare(lambda lib, x, y: lib.pairwise_distance(x, y), x, floats(3, 4))
    compare(lambda lib, x, y: lib.cosine_similarity(x, y), x, floats(3, 4))


def test_softmax2d():
    for shape in ((2, 3, 4, 5), (3, 4, 5), (4, 5)):
        compare_module(lambda lib: lib.nn.Softmax2d(), floats(*shape))


def test_implicit_dims():
    for name in ("Softmax", "LogSoftmax", "Softmin"):
        for shape in ((3,), (2, 3), (2, 3, 4), (2, 3, 2, 2)):
            with pytest.warns(UserWarning, match="Implicit dimension choice"):
                compare_module(lambda lib, n=name: getattr(lib.nn, n)(), floats(*shape))


def test_gumbel_softmax():
    x = floats(5, 6)
    for kwargs in ({}, {"tau": 0.5}, {"hard": True}, {"dim": 0, "hard": True}):
        compare(lambda lib, x, kw=kwargs: lib.nn.functional.gumbel_softmax(x, **kw), x)
    for lib in LIBS:
        with pytest.warns(UserWarning, match="eps"):
            lib.nn.functional.gumbel_softmax(lib.ones(2, 3), eps=1e-3)


def test_alpha_dropout():
    x = floats(200, 300)
    for name, shape in (("AlphaDropout", (200, 300)), ("FeatureAlphaDropout", (40, 30, 50))):
        assert repr(getattr(pynn.nn, name)(0.2)) == repr(getattr(torch.nn, name)(0.2))
        compare_module(lambda lib, n=name: getattr(lib.nn, n)(0.3), floats(3, 4), train=False)
        compare_module(lambda lib, n=name: getattr(lib.nn, n)(0.0), floats(3, 4))
        y = [
            getattr(lib.nn, name)(0.3)(lib.from_numpy(x.reshape(-1)[: np.prod(shape)].reshape(shape).copy()))
            for lib in LIBS
        ]
        np.testing.assert_allclose(y[0].mean().item(), y[1].mean().item(), atol=0.05)
        np.testing.assert_allclose(y[0].std().item(), y[1].std().item(), atol=0.05)
        for lib in LIBS:
            with pytest.raises(ValueError):
                getattr(lib.nn, name)(1.5)
    dropped = pynn.nn.functional.alpha_dropout(pynn.from_numpy(x), 0.4, True)
    assert len(set(np.round(dropped[pynn.from_numpy(x) == 0].numpy(), 5))) <= 2


# -- EmbeddingBag

FLAT, PAIRS = np.array([0, 3, 1, 1, 6, 2, 3]), np.array([[0, 3, 1], [1, 6, 2]])
BAGS = [
    ((PAIRS,), {}),
    ((FLAT, np.array([0, 3, 5])), {}),
    ((FLAT, np.array([0, 3, 3, 7])), {}),
    ((FLAT.astype(np.int32), np.array([0, 3], np.int32)), {}),
    ((FLAT, np.array([0, 3, 3, 7])), {"include_last_offset": True}),
    ((FLAT, np.array([0, 3, 4])), {"padding_idx": 3}),
    ((FLAT, np.array([0, 3, 4])), {"padding_idx": -4, "max_norm": 0.8}),
    ((PAIRS,), {"max_norm": 1.0, "norm_type": 1.0}),
    ((np.zeros(0, np.int64), np.zeros(2, np.int64)), {}),
    ((np.zeros((0, 2), np.int64),), {}),
    ((PAIRS, np.array([0, 2])), {}),
    ((FLAT,), {}),
    ((FLAT, np.array([[0]])), {}),
    ((PAIRS[None],), {}),
    ((FLAT, np.array([1, 2])), {}),
    ((FLAT, np.array([0, 9])), {}),
    ((FLAT + 9, np.array([0, 2])), {}),
    ((FLAT - 5, np.array([0, 2])), {}),
    ((FLAT.astype(np.float32), np.array([0, 2])), {}),
]


@pytest.mark.parametrize("mode", ["sum", "mean", "max", "other"])
@pytest.mark.parametrize("inputs,kwargs", BAGS)
def test_embedding_bag(mode, inputs, kwargs):
    compare_module(lambda lib: lib.nn.EmbeddingBag(7, 3, mode=mode, **kwargs), *inputs)
    if "padding_idx" in kwargs or "max_norm" in kwargs:
        return  # the function counts negative numbers alike; max_norm writes to the leaf

    def run(lib, w, *inputs):
        return lib.nn.functional.embedding_bag(inputs[0], w, *inputs[1:], mode=mode, **kwargs)

    compare(run, floats(7, 3), *inputs)


def test_gradients_scaled_by_frequency():
    """As Embedding's; PyTorch divides the gradients of other rows."""
    weight = pynn.from_numpy(floats(7, 3)).requires_grad_()
    x = pynn.from_numpy(PAIRS)
    bag = pynn.nn.functional.embedding_bag(x, weight, mode="sum", scale_grad_by_freq=True)
    rows = pynn.nn.functional.embedding(x, weight, scale_grad_by_freq=True).sum(1)
    grads = [pynn.autograd.grad(t.sin().sum(), weight)[0] for t in (bag, rows)]
    np.testing.assert_allclose(grads[0].numpy(), grads[1].numpy(), rtol=1e-5, atol=1e-6)


def test_sample_weights():
    w = floats(7)

    def call(m, x, offsets, w):
        return m(x, offsets, per_sample_weights=w)

    for mode in ("sum", "mean"):
        compare_module(
            lambda lib, m=mode: lib.nn.EmbeddingBag(7, 3, mode=m), FLAT, np.array([0, 3]), w, call=call
        )
    compare_module(
        lambda lib: lib.nn.EmbeddingBag(7, 3, mode="sum", padding_idx=1), FLAT, np.array([0, 3]), w, call=call
    )
    compare_module(
        lambda lib: lib.nn.EmbeddingBag(7, 3, mode="sum"), FLAT, np.array([0, 3]), w[:3], call=call
    )
    compare_module(
        lambda lib: lib.nn.EmbeddingBag(7, 3, mode="sum"),
        FLAT,
        np.array([0, 3]),
        w.astype(np.float64),
        call=call,
    )
    compare_module(
        lambda lib: lib.nn.EmbeddingBag(7, 3, mode="sum"),
        PAIRS,
        floats(2, 3),
        call=lambda m, x, w: m(x, None, w),
    )


def test_from_pretrained():
    table = floats(7, 3)
    for kind in ("Embedding", "EmbeddingBag"):
        for kwargs in ({}, {"freeze": False}, {"padding_idx": 1}, {"max_norm": 1.0, "padding_idx": -1}):

            def make(lib, kind=kind, kwargs=kwargs):
                return getattr(lib.nn, kind).from_pretrained(lib.from_numpy(table.copy()), **kwargs)

            ours, theirs = make(pynn), make(torch)
            assert repr(ours) == repr(theirs) and ours.weight.requires_grad == theirs.weight.requires_grad
            compare_module(make, PAIRS)
            assert_same(copy.deepcopy(ours).weight, theirs.weight)
        shared = pynn.zeros(7, 3)
        assert getattr(pynn.nn, kind).from_pretrained(shared).weight.data_ptr() == shared.data_ptr()
        for lib in LIBS:
            with pytest.raises(AssertionError):
                getattr(lib.nn, kind).from_pretrained(lib.zeros(7))
