"""Losses of pairs, margins, distributions and label sequences, and distances, beside PyTorch."""

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS, compare, compare_module  # noqa: E402

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def signs(*shape):
    return np.where(rng.random(shape) > 0.5, 1, -1).astype(np.float32)


def ints(high, *shape):
    return rng.integers(0, high, shape)


def positive(*shape):
    return rng.random(shape).astype(np.float32) + 0.1


X = floats(4, 5)
# name of the module, of the function; arguments of both; inputs
CASES = [
    (
        "MarginRankingLoss",
        "margin_ranking_loss",
        [{}, {"margin": 0.5}],
        [(floats(6), floats(6), signs(6)), (X, X, X)],
    ),
    (
        "HingeEmbeddingLoss",
        "hinge_embedding_loss",
        [{}, {"margin": 0.3}],
        [(X, signs(4, 5)), (X, floats(4, 5)), (X, signs(5))],
    ),
    ("SoftMarginLoss", "soft_margin_loss", [{}], [(X, signs(4, 5)), (X, signs(5)), (X * 20, signs(4, 5))]),
    (
        "CosineEmbeddingLoss",
        "cosine_embedding_loss",
        [{}, {"margin": 0.3}],
        [
            (X, floats(4, 5), signs(4)),
            (X[0], floats(5), signs()),
            (X, np.zeros_like(X), signs(4)),
            (X, X, signs(4, 1)),
            (X, X, signs()),
            (X[0], X[1], signs(1)),
            (X, X, signs(5)),
        ],
    ),
    (
        "TripletMarginLoss",
        "triplet_margin_loss",
        [{}, {"margin": 2.0, "p": 1.0}, {"swap": True}, {"p": 3.0, "eps": 1e-3}],
        [
            (X, floats(4, 5), floats(4, 5)),
            (X[0], floats(5), floats(5)),
            (X, X, X[0]),
            (X, X, floats(3, 5)),
        ],
    ),
    (
        "TripletMarginWithDistanceLoss",
        "triplet_margin_with_distance_loss",
        [{}, {"margin": 2.0, "swap": True}],
        [
            (X, floats(4, 5), floats(4, 5)),
            (X, X, X[0]),
        ],
    ),
    (
        "MultiMarginLoss",
        "multi_margin_loss",
        [{}, {"p": 2}, {"margin": 0.3}],
        [
            (X, ints(5, 4)),
            (X[0], ints(5)),
            (X[0], ints(5, 1)),
            (X, ints(5, 3)),
            (X, ints(5, 4) + 4),
            (X, ints(5, 4) - 5),
            (X, ints(5, 4, 1)),
            (floats(2, 2, 3), ints(3, 2)),
            (np.ones((2, 3), np.float32), ints(3, 2)),
        ],
    ),
    (
        "MultiLabelMarginLoss",
        "multilabel_margin_loss",
        [{}],
        [
            (X, np.array([[3, 0, -1, 1, 2], [1, 1, -1, 0, 0], [-1, 0, 0, 0, 0], [4, 3, 2, 1, 0]])),
            (X[0], np.array([3, 0, -1, 1, 2])),
            (X, ints(5, 4)),
            (X, ints(5, 4, 5) + 3),
            (X, ints(5, 4, 5) - 3),
        ],
    ),
    (
        "MultiLabelSoftMarginLoss",
        "multilabel_soft_margin_loss",
        [{}],
        [
            (X, positive(4, 5)),
            (X[0], positive(5)),
            (X * 30, ints(2, 4, 5).astype(np.float32)),
            (floats(2, 3, 4), positive(2, 3, 4)),
            (X, positive(4, 3)),
        ],
    ),
    (
        "PoissonNLLLoss",
        "poisson_nll_loss",
        [{}, {"log_input": False}, {"full": True}, {"log_input": False, "eps": 0.1, "full": True}],
        [
            (positive(4, 5), ints(5, 4, 5).astype(np.float32)),
            (positive(4, 5), positive(5) * 9),
        ],
    ),
    (
        "GaussianNLLLoss",
        "gaussian_nll_loss",
        [{}, {"full": True}, {"eps": 0.5}],
        [
            (X, floats(4, 5), positive(4, 5)),
            (X, floats(4, 5), positive(4)),
            (X, floats(4, 5), positive(4, 1)),
            (X, floats(4, 5), 2.0),
            (X, X, -1.0),
            (X, X, -positive(4, 5)),
            (X, X, positive(3)),
            (X, X, positive(1, 5)),
        ],
    ),
]
RUNS = [
    (name, f, kw, inputs) for name, f, all_kw, all_inputs in CASES for kw in all_kw for inputs in all_inputs
]


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name,function,kwargs,inputs", RUNS)
def test_losses(name, function, kwargs, inputs):
    grad = len(inputs) - (name[:7] not in ("Triplet", "Gaussia", "Poisson"))  # targets get none
    gradgrad = name not in ("MultiMarginLoss", "MultiLabelMarginLoss")  # as in PyTorch
    for reduction in ("mean", "sum", "none"):

        def make(lib, reduction=reduction):
            return getattr(lib.nn, name)(**kwargs, reduction=reduction)

        compare_module(make, *inputs, gradgrad=gradgrad, tol=2e-5, grad=grad)

    def run(lib, *args):
        return getattr(lib.nn.functional, function)(*args, **kwargs)

    compare(run, *inputs, tol=2e-5, grad=grad)
    compare(run, *inputs, dtype="float64", gradgrad=gradgrad, tol=1e-6, grad=grad)


@pytest.mark.parametrize("name,function,_,inputs", CASES)
def test_bad_reduction(name, function, _, inputs):
    f = lambda lib, *a: getattr(lib.nn.functional, function)(*a, reduction="?")
    assert isinstance(compare(f, *inputs[0]), ValueError)


OLD = [c for c in CASES if c[0] not in ("TripletMarginWithDistanceLoss", "GaussianNLLLoss")]


@pytest.mark.parametrize("name,function,_,inputs", OLD)
def test_old_arguments(name, function, _, inputs):
    for old in ({"reduce": False}, {"size_average": False}, {"size_average": True}):
        for make in (
            lambda lib, *a, old=old: getattr(lib.nn, name)(**old)(*a),
            lambda lib, *a, old=old: getattr(lib.nn.functional, function)(*a, **old),
        ):
            with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
                compare(make, *inputs[0], tol=2e-5, grad=1)


def test_weights_and_bad_arguments():
    w = positive(5)
    for p in (1, 2):
        compare(lambda lib, x, t, w, p=p: lib.nn.MultiMarginLoss(p, weight=w)(x, t), X, ints(5, 4), w, grad=1)
    compare(lambda lib, x, t, w: lib.nn.MultiMarginLoss(weight=w)(x, t), X, ints(5, 4), w[:3])
    compare(lambda lib, x, t, w: lib.nn.functional.multi_margin_loss(x, t, weight=w), X, ints(5, 4), w[None])
    compare(lambda lib, x, t, w: lib.nn.MultiLabelSoftMarginLoss(w)(x, t), X, positive(4, 5), w)
    for bad in (
        lambda nn: nn.MultiMarginLoss(p=3),
        lambda nn: nn.TripletMarginLoss(margin=0),
        lambda nn: nn.TripletMarginWithDistanceLoss(margin=-1),
        lambda nn: nn.functional.triplet_margin_loss(1, 2, 3, margin=0),
        lambda nn: nn.AdaptiveLogSoftmaxWithLoss(4, 10, []),
        lambda nn: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 2]),
        lambda nn: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [0, 2]),
        lambda nn: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2, 10]),
        lambda nn: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2.5]),
    ):
        for lib in LIBS:
            with pytest.raises(ValueError):
                bad(lib.nn)
    for lib in LIBS:
        with pytest.warns(FutureWarning, match="`NLLLoss2d` has been deprecated"):
            lib.nn.NLLLoss2d()

    def cosine(lib, a, p, n):
        return lib.nn.TripletMarginWithDistanceLoss(distance_function=lib.nn.CosineSimilarity())(a, p, n)

    compare_module(
        lambda lib: lib.nn.TripletMarginWithDistanceLoss(distance_function=lib.nn.PairwiseDistance(1.0)),
        X,
        X[::-1].copy(),
        floats(4, 5),
    )
    compare(cosine, X, floats(4, 5), floats(4, 5))


# -- CTC


def log_probs(time, batch, classes):
    x = floats(time, batch, classes)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


CTC = [
    (log_probs(6, 3, 4), ints(3, 3, 3) + 1, [6, 5, 6], [3, 2, 1]),
    (log_probs(6, 3, 4), np.array([[1, 1, 2], [2, 2, 2], [3, 1, 3]]), [6, 6, 6], [3, 3, 3]),
    (log_probs(6, 3, 4), ints(3, 6) + 1, [6, 5, 4], [3, 1, 2]),
    (log_probs(6, 3, 4), ints(3, 3, 3) + 1, [6, 5, 6], [3, 0, 1]),
    (log_probs(6, 3, 4), ints(3, 3, 3).astype(np.int32) + 1, [6, 5, 6], [3, 2, 1]),
    (log_probs(12, 1, 8), ints(7, 1, 5) + 1, [12], [5]),
]


@pytest.mark.parametrize("case", CTC)
def test_ctc(case):
    x, targets, input_lengths, target_lengths = case
    for reduction in ("mean", "sum", "none"):
        for lengths in (lambda lib, n: n, lambda lib, n: tuple(n), lambda lib, n: lib.tensor(n)):

            def call(m, x, t, lengths=lengths):
                lib = pynn if isinstance(m, pynn.nn.Module) else torch
                return m(x.log_softmax(-1), t, lengths(lib, input_lengths), lengths(lib, target_lengths))

            compare_module(lambda lib, r=reduction: lib.nn.CTCLoss(reduction=r), x, targets, call=call)
    compare(
        lambda lib, x, t: lib.nn.functional.ctc_loss(x, t, input_lengths, target_lengths),
        x.astype(np.float64),
        targets,
        tol=1e-9,
    )


def test_ctc_blank_and_infinity():
    x = log_probs(4, 3, 4)
    targets = np.array([[1, 2, 1, 2, 1], [1, 1, 1, 1, 1], [0, 1, 0, 1, 2]])

    def run(lib, x, t, **kwargs):
        return lib.nn.functional.ctc_loss(x, t, [4, 4, 4], [5, 4, 3], blank=3, **kwargs)

    for reduction in ("mean", "sum", "none"):
        compare(lambda lib, x, t, r=reduction: run(lib, x, t, reduction=r), x, targets, grad=False)
        compare(lambda lib, x, t, r=reduction: run(lib, x, t, reduction=r, zero_infinity=True), x, targets)
    one = lambda lib, x, t: lib.nn.functional.ctc_loss(x, t, lib.tensor(4), lib.tensor(2))
    compare(one, x[:, 0], targets[0, :2])
    for lengths in ([0, 4, 4], [4, 4, 4]):
        compare(
            lambda lib, x, t, n=lengths: lib.nn.functional.ctc_loss(
                x, t, n, [0, 2, 2], blank=3, reduction="none"
            ),
            x,
            targets,
        )


def test_ctc_errors():
    x, t = log_probs(4, 3, 4), ints(3, 3, 2) + 1

    def run(*args, **kwargs):
        return lambda lib, x, t: lib.nn.functional.ctc_loss(x, t, *args, **kwargs)

    for args, x_, t_ in [
        (([4, 4], [2, 2, 2]), x, t),
        (([4, 4, 4], [2, 2]), x, t),
        (([5, 4, 4], [2, 2, 2]), x, t),
        (([4, 4, 4], [3, 2, 2]), x, t),
        (([4, 4, 4], [2, 2, 2], 4), x, t),
        (([4, 4, 4], [2, 2, 2], -1), x, t),
        (([4, 4, 4], [2, 2, 2]), x, t.reshape(-1)[:5]),
        (([4, 4, 4], [2, 2, 2]), x, t[None]),
    ]:
        assert isinstance(compare(run(*args), x_, t_, grad=False), RuntimeError), args
    with pytest.raises(
        RuntimeError, match="targets must be in label range, got 9"
    ):  # PyTorch reads elsewhere
        run([4, 4, 4], [2, 2, 2])(pynn, pynn.from_numpy(x), pynn.from_numpy(t * 0 + 9))


# -- distances


def test_distances():
    for shape in ((4, 5), (2, 4, 5), (5,)):
        x, y = floats(*shape), floats(*shape)
        for p in (1.0, 2.0, 3.0, float("inf")):
            compare(lambda lib, x, y, p=p: lib.nn.functional.pairwise_distance(x, y, p, 1e-3, True), x, y)
            compare_module(lambda lib, p=p: lib.nn.PairwiseDistance(p), x, y)
        for dim in range(-len(shape), len(shape)):
            compare_module(lambda lib, dim=dim: lib.nn.CosineSimilarity(dim), x, y, gradgrad=True)
    compare(lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y), X, X[:1])
    compare(lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y), X, np.zeros_like(X), grad=False)
    compare(lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y), X, ints(5, 4, 5))
    compare(lambda lib, x, y: lib.nn.functional.cosine_similarity(x, y), ints(5, 4, 5), ints(5, 4, 5))
    for x in (X, X[:1], X[:0], X[0], ints(5, 4, 5)):
        for p in (0.0, 1.0, 2.0, 3.0, float("inf")):
            compare(lambda lib, x, p=p: lib.nn.functional.pdist(x, p), x, grad=len(x) > 1)
    compare(lambda lib, x: lib.nn.functional.pdist(x, -1.0), X)


# -- adaptive softmax


def test_adaptive_softmax():
    for cutoffs, kwargs in ([[4, 8], {}], [[2, 5, 9], {"div_value": 2.0, "head_bias": True}], [[5], {}]):

        def make(lib, cutoffs=cutoffs, kwargs=kwargs):
            return lib.nn.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs, **kwargs)

        x = floats(6, 8)
        for target in (ints(12, 6), np.array([0, 1, 1, 0, 1, 0]), np.array([11, 10, 9, 11, 10, 9])):
            compare_module(make, x, target)
        compare_module(make, x[0], ints(12))
        compare_module(make, x, call=lambda m, x: m.log_prob(x))
        compare_module(make, x * 9, call=lambda m, x: m.predict(x))
        for bad in (
            (x, ints(12, 5)),
            (x, ints(12, 6) + 12),
            (x[0], ints(12, 6)),
            (x, ints(12)),
            (x, ints(12, 6, 1)),
        ):
            compare_module(make, *bad)
