"""Losses of nn.functional against their definitions in NumPy."""

import math

import numpy as np
import pytest
from helpers import FLOATS, arr, arrs, check_op, distinct, ints, raises, same_bits, tensor, to_numpy

import pynn

F = pynn.nn.functional
INF, NAN = math.inf, math.nan
REDUCTIONS = ["mean", "sum", "none"]


def reduced(values, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": lambda v: v}[reduction](values)


def huber(x, y, delta=1.0):
    d = np.abs(x - y)
    return np.where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def smooth_l1(x, y, beta=1.0):
    d = np.abs(x - y)
    return np.where(d < beta, 0.5 * d * d / beta if beta else d, d - 0.5 * beta)


POINTWISE = {
    "mse_loss": (F.mse_loss, lambda x, y: (x - y) ** 2),
    "l1_loss": (F.l1_loss, lambda x, y: np.abs(x - y)),
    "smooth_l1_loss": (F.smooth_l1_loss, smooth_l1),
    "smooth_l1_loss 0.5": (
        lambda x, y, **k: F.smooth_l1_loss(x, y, beta=0.5, **k),
        lambda x, y: smooth_l1(x, y, 0.5),
    ),
    "huber_loss": (F.huber_loss, huber),
    "huber_loss 0.5": (lambda x, y, **k: F.huber_loss(x, y, delta=0.5, **k), lambda x, y: huber(x, y, 0.5)),
}


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pointwise(name, reduction):
    op, ref = POINTWISE[name]
    check_op(
        lambda x, y: op(x, y, reduction=reduction),
        lambda x, y: reduced(ref(x, y), reduction),
        [arrs((3, 4), (3, 4)), arrs((5,), (5,))],
        tol=3,
        grad_tol=3,
    )
    with raises(ValueError, "reduction|neither"):
        op(pynn.ones(2), pynn.ones(2), reduction="max")


def test_mse_of_other_shapes():
    with pytest.warns(UserWarning):
        assert F.mse_loss(pynn.ones(3, 1), pynn.zeros(3)).item() == 1.0
    with raises(RuntimeError, "2", "3"):
        F.mse_loss(pynn.ones(2), pynn.ones(3))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy(reduction, weighted):
    p, t, w = (
        arr(3, 4, low=0.05, high=0.95),
        arr(3, 4, low=0, high=1, seed=1),
        arr(4, low=0.5, high=2, seed=2),
    )

    def ref(x, y, w=1.0):
        return reduced(-w * (y * np.log(x) + (1 - y) * np.log(1 - x)), reduction)

    def op(x, y, w=None):
        return F.binary_cross_entropy(x, y, w, reduction=reduction)

    # Not differentiable twice in the weight; target and weight are data here.
    target, weight = tensor(t), tensor(w)
    check_op(
        lambda x: op(x, target.to(x), weight.to(x) if weighted else None),
        lambda x: ref(x, t, w if weighted else 1.0),
        [p],
        dtypes=(pynn.float64, pynn.float32),
        tol=3,
        grad_tol=3,
        layouts=False,
    )


def test_binary_cross_entropy_edges():
    x, y = pynn.tensor([0.0, 1.0, 0.0, 1.0]), pynn.tensor([0.0, 1.0, 1.0, 0.0])
    assert F.binary_cross_entropy(x, y, reduction="none").tolist() == [
        0.0,
        0.0,
        100.0,
        100.0,
    ]  # log is cut at -100
    with raises(RuntimeError, "0", "1"):
        F.binary_cross_entropy(pynn.tensor([1.5]), pynn.tensor([1.0]))
    with raises(ValueError, "size|shape"):
        F.binary_cross_entropy(pynn.ones(2), pynn.ones(3))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("pos_weight", [None, [0.5, 1.0, 2.0, 3.0]])
def test_binary_cross_entropy_with_logits(reduction, pos_weight):
    def ref(x, y):
        pw = np.array(pos_weight) if pos_weight else 1.0
        log_sigmoid = np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
        return reduced(-(pw * y * log_sigmoid + (1 - y) * (log_sigmoid - x)), reduction)

    def op(x, y):
        pw = x.new_tensor(pos_weight) if pos_weight else None
        return F.binary_cross_entropy_with_logits(x, y, pos_weight=pw, reduction=reduction)

    check_op(op, ref, [(arr(3, 4), arr(3, 4, low=0, high=1, seed=1))], dtypes=FLOATS[:2], tol=3, grad_tol=3)
    far = F.binary_cross_entropy_with_logits(
        pynn.tensor([1000.0, -1000.0]), pynn.tensor([0.0, 0.0]), reduction="none"
    )
    assert far.tolist() == [1000.0, 0.0]


def cross_entropy(x, t, weight=None, reduction="mean", ignore_index=-100, label_smoothing=0.0):
    """Classes in dim 1 (dim 0 for a vector), targets as indices."""
    if x.ndim == 1:
        x, t = x[None], np.asarray(t)[None]
        single = True
    else:
        single = False
    x = np.moveaxis(x, 1, -1)
    log_p = x - x.max(-1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    classes = x.shape[-1]
    w = np.ones(classes) if weight is None else weight
    keep = t != ignore_index
    safe = np.where(keep, t, 0)
    hard = -np.take_along_axis(log_p, safe[..., None], -1)[..., 0] * w[safe]
    smooth = -(log_p * w).sum(-1) / classes
    loss = ((1 - label_smoothing) * hard + label_smoothing * smooth) * keep
    if reduction == "mean":
        return loss.sum() / (w[safe] * keep).sum()
    return loss.sum() if reduction == "sum" else loss[0] if single else loss


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction, smoothing, weighted):
    options = {"reduction": reduction, "label_smoothing": smoothing}
    w = arr(5, low=0.5, high=2) if weighted else None
    cases = [
        (arr(4, 5), np.array([0, 4, 2, 2])),
        (arr(4, 5), np.array([0, -100, 2, 1])),
        (arr(5), np.array(3)),
        (arr(2, 5, 3), ints(2, 3, low=0, high=5)),
    ]
    check_op(
        lambda x, t: F.cross_entropy(x, t, weight=None if w is None else tensor(w).to(x), **options),
        lambda x, t: cross_entropy(x, t, w, **options),
        cases,
        dtypes=FLOATS[:2],
        tol=3,
        grad_tol=3,
    )
    check_op(
        lambda x, t: F.cross_entropy(x, t, ignore_index=2, **options),
        lambda x, t: cross_entropy(x, t, ignore_index=2, **options),
        cases[:1],
        dtypes=FLOATS[:2],
        tol=3,
        grad_tol=3,
    )


@pytest.mark.parametrize(
    "shape", [(2, 3, 5, 5), (1, 2, 1), (3, 1, 17), (2, 21, 700), (1, 4, 33, 40), (2, 300, 16)]
)
@pytest.mark.parametrize("layout", ["planes", "channels last"])
def test_losses_of_planes(shape, layout):
    """Classes in dim 1 of more: blocks of positions, their rests, and memory where classes are neighbours."""
    x, t = arr(*shape, low=-9, high=9), ints(shape[0], *shape[2:], low=0, high=shape[1])
    t[0, ..., :1], w = -100, arr(shape[1], low=0.5, high=2)
    shown = tensor(x)
    if layout != "planes":
        shown = tensor(np.ascontiguousarray(np.moveaxis(x, 1, -1))).movedim(-1, 1)
    for smoothing, weight in ((0.0, None), (0.0, w), (0.2, w)):
        for reduction in REDUCTIONS:
            weights = None if weight is None else tensor(weight)
            a, b = (shown.detach().requires_grad_() for _ in range(2))
            got = F.cross_entropy(a, tensor(t), weights, reduction=reduction, label_smoothing=smoothing)
            with np.errstate(invalid="ignore"):  # the mean of nothing
                want = cross_entropy(x, t, weight, reduction, label_smoothing=smoothing)
            np.testing.assert_allclose(to_numpy(got), want, rtol=1e-9, atol=1e-11)
            if smoothing:
                continue
            parts = F.nll_loss(b.log_softmax(1), tensor(t), weights, reduction=reduction)
            np.testing.assert_allclose(to_numpy(parts), want, rtol=1e-9, atol=1e-11)
            g = tensor(arr(*np.shape(want), seed=3))
            got.backward(g)
            parts.backward(g)
            np.testing.assert_allclose(to_numpy(a.grad), to_numpy(b.grad), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("shape", [(4, 5), (2, 5, 3)])
def test_second_derivatives_of_class_losses(shape):
    t, w = ints(shape[0], *shape[2:], low=0, high=5), tensor(arr(5, low=0.5, high=2))
    t[0] = -100
    for f in (
        lambda x: F.cross_entropy(x, tensor(t), weight=w, label_smoothing=0.1),
        lambda x: F.nll_loss(x * x, tensor(t), weight=w),
    ):
        assert pynn.autograd.gradgradcheck(f, tensor(arr(*shape)).requires_grad_())


def test_ignored_positions_have_no_gradient():
    for inner in ((), (3,)):
        x = pynn.zeros(2, 4, *inner)
        x[0], x[1, 0] = NAN, -INF
        x.requires_grad_()
        t = pynn.full((2, *inner), 1)
        t[0] = -100
        F.cross_entropy(x, t, reduction="sum").backward()
        np.testing.assert_array_equal(to_numpy(x.grad[0]), 0)
        np.testing.assert_allclose(to_numpy(x.grad[1].sum(0)), 0, atol=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_with_probabilities(reduction, smoothing):
    w = arr(5, low=0.5, high=2)

    def ref(x, p):
        p = p * (1 - smoothing) + smoothing / 5
        log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
        loss = -(w * p * log_p).sum(1)
        return loss.sum() / len(x) if reduction == "mean" else reduced(loss, reduction)

    def op(x, p):
        return F.cross_entropy(x, p, weight=tensor(w).to(x), reduction=reduction, label_smoothing=smoothing)

    check_op(op, ref, [(arr(4, 5), arr(4, 5, low=0, high=1, seed=1))], dtypes=FLOATS[:2], tol=3, grad_tol=3)


def test_cross_entropy_equals_its_parts():
    """The fused loss is nll_loss of log_softmax: value, gradient and second derivative."""
    t = pynn.tensor([0, 4, -100, 2])
    w = tensor(arr(5, low=0.5, high=2))
    found = []
    for f in (
        lambda x: F.cross_entropy(x, t, weight=w),
        lambda x: F.nll_loss(F.log_softmax(x, 1), t, weight=w),
    ):
        x = tensor(arr(4, 5) * 3, requires_grad=True)
        loss = f(x)
        (g,) = pynn.autograd.grad(loss, x, create_graph=True)
        (h,) = pynn.autograd.grad(g.pow(2).sum(), x)
        found.append([to_numpy(v) for v in (loss, g, h)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_cross_entropy_edges():
    logits = pynn.tensor([[1e4, 0.0, -1e4], [-1e4, 0.0, 1e4]])
    assert F.cross_entropy(logits, pynn.tensor([0, 2])).item() == 0.0
    assert F.cross_entropy(logits, pynn.tensor([2, 0])).item() == 2e4
    assert F.cross_entropy(pynn.zeros(2, 3), pynn.tensor([-100, -100])).isnan()  # the mean of nothing
    assert F.cross_entropy(pynn.zeros(2, 3), pynn.tensor([-100, -100]), reduction="sum").item() == 0.0
    x = pynn.tensor([[-INF, 0.0, 0.0]], requires_grad=True)
    F.cross_entropy(x, pynn.tensor([1])).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.0, -0.5, 0.5]])
    for rows, classes in ((1, 1), (1, 1000), (300, 10), (3, 17), (2, 65)):
        x, t = arr(rows, classes, low=-9, high=9), ints(rows, low=0, high=classes)
        got = F.cross_entropy(tensor(x, pynn.float32), tensor(t)).item()
        assert got == pytest.approx(cross_entropy(x, t), rel=1e-5, abs=1e-6)
    assert F.cross_entropy(pynn.zeros(0, 3), pynn.zeros(0, dtype=pynn.int64), reduction="sum").item() == 0.0


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0, 3])), (IndexError, RuntimeError), "3"),
        (lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0, -1])), (IndexError, RuntimeError), "-1"),
        (
            lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0])),
            (ValueError, RuntimeError),
            "batch|shape|size",
        ),
        (lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([[0], [1]])), (ValueError, RuntimeError), ""),
        (
            lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0, 1]), weight=pynn.ones(2)),
            RuntimeError,
            "weight",
        ),
        (
            lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0, 1]), label_smoothing=2.0),
            RuntimeError,
            "smoothing",
        ),
        (lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0, 1]), reduction="x"), ValueError, "x"),
        (
            lambda: F.cross_entropy(pynn.ones(2, 3), pynn.tensor([0, 1], dtype=pynn.int32)),
            RuntimeError,
            "int",
        ),
        (lambda: F.nll_loss(pynn.ones(2, 3), pynn.tensor([0, 3])), (IndexError, RuntimeError), "3"),
        (lambda: F.nll_loss(pynn.ones(2, 3), pynn.tensor([0])), (ValueError, RuntimeError), ""),
        (lambda: F.kl_div(pynn.ones(2), pynn.ones(2), reduction="x"), ValueError, "x"),
        (lambda: F.huber_loss(pynn.ones(2), pynn.ones(2), delta=-1.0), RuntimeError, "delta"),
        (lambda: F.smooth_l1_loss(pynn.ones(2), pynn.ones(2), beta=-1.0), RuntimeError, "beta"),
    ],
)
def test_errors(call, kind, words):
    with raises(kind, words):
        call()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction):
    w = arr(5, low=0.5, high=2)

    def ref(x, t):
        keep = t != 1
        loss = -np.take_along_axis(x, t[:, None], 1)[:, 0] * w[t] * keep
        return loss.sum() / (w[t] * keep).sum() if reduction == "mean" else reduced(loss, reduction)

    check_op(
        lambda x, t: F.nll_loss(x, t, weight=tensor(w).to(x), ignore_index=1, reduction=reduction),
        ref,
        [(arr(4, 5), np.array([0, 4, 1, 2]))],
        dtypes=FLOATS[:2],
        tol=3,
        grad_tol=3,
    )


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target):
    target = arr(3, 4, low=-3, high=0, seed=1) if log_target else arr(3, 4, low=0.1, high=1, seed=1)

    def ref(x, y):
        loss = np.exp(y) * (y - x) if log_target else y * (np.log(y) - x)
        return loss.sum() / len(x) if reduction == "batchmean" else reduced(loss, reduction)

    check_op(
        lambda x, y: F.kl_div(x, y, reduction=reduction, log_target=log_target),
        ref,
        [(arr(3, 4, low=-3, high=0), target)],
        dtypes=FLOATS[:2],
        tol=3,
        grad_tol=3,
    )


def test_kl_div_of_zero_targets():
    assert F.kl_div(pynn.tensor([-1.0, -2.0]), pynn.tensor([0.0, 1.0]), reduction="sum").item() == 2.0


def test_ties_of_absolute_losses():
    x = tensor(distinct(4), requires_grad=True)
    F.l1_loss(x, x.detach().clone(), reduction="sum").backward()
    assert x.grad.tolist() == [0.0] * 4


def test_slopes_where_the_difference_is_not_a_number():
    x = tensor(np.array([NAN, INF, 0.0]), requires_grad=True)
    y = tensor(np.array([0.0, INF, -INF]))
    for loss, nowhere in ((F.l1_loss, 0.0), (F.smooth_l1_loss, NAN), (F.huber_loss, NAN)):
        (slope,) = pynn.autograd.grad(loss(x, y, reduction="sum"), x)
        np.testing.assert_array_equal(slope.numpy(), [nowhere, nowhere, 1.0])


def test_bce_with_logits_has_its_slope_at_zero():
    """sigmoid(0) - target: the two sides of |x| meet there without a kink."""
    x = tensor(np.zeros(3), requires_grad=True)
    target = tensor(np.array([0.0, 0.5, 1.0]))
    for weight in (None, tensor(np.array([3.0]))):
        loss = F.binary_cross_entropy_with_logits(x, target, pos_weight=weight, reduction="sum")
        (slope,) = pynn.autograd.grad(loss, x)
        positive = 1.0 if weight is None else 3.0
        expected = (1 - target.numpy()) * 0.5 - positive * target.numpy() * 0.5
        np.testing.assert_allclose(slope.numpy(), expected)


PAIRS = {
    "mse_loss": lambda x, y: (x - y) ** 2,
    "l1_loss": lambda x, y: (x - y).abs(),
    "smooth_l1_loss": lambda x, y: pynn.where((x - y).abs() < 1, (x - y) ** 2 / 2, (x - y).abs() - 0.5),
    "huber_loss": lambda x, y: pynn.where((x - y).abs() <= 1, (x - y) ** 2 / 2, (x - y).abs() - 0.5),
    "binary_cross_entropy_with_logits": lambda x, y: (1 - y) * x + F.softplus(-x, 1.0, 80.0),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pairs_are_their_formula(name, reduction, threads):
    """The fused kernels against ops, with both gradients, over several pieces and for any number of threads."""
    values = arrs((3, 12_345), (3, 12_345))
    values[0][0, :3] = INF, -INF, NAN
    f, total = (
        getattr(F, name),
        {"mean": lambda v: v.mean(), "sum": lambda v: v.sum(), "none": lambda v: v}[reduction],
    )
    for finite in (False, True):
        x, y = (v[1:] if finite else v for v in values)
        results = []
        for count in (1, 2, 5):
            threads(count)
            p = tensor(x, pynn.float32, requires_grad=True)
            label = name.startswith("binary")  # whose gradient is composed
            t = tensor(y, pynn.float32, requires_grad=not label)
            out = f(p, t, reduction=reduction)
            out.backward(pynn.ones_like(out) * 3)
            results.append([out.detach(), p.grad] + ([] if label else [t.grad]))
        for other in results[1:]:
            assert all(same_bits(a, b) for a, b in zip(results[0], other, strict=True))
        p, t = tensor(x, requires_grad=True), tensor(y, requires_grad=True)
        out = total(PAIRS[name](p, t))
        out.backward(pynn.ones_like(out) * 3)
        for got, want in zip(results[0], (out.detach(), p.grad, t.grad), strict=False):
            got, want = to_numpy(got), to_numpy(want)
            known = np.isfinite(want)
            np.testing.assert_allclose(got[known], want[known], rtol=1e-4, atol=1e-6)
            if finite:
                assert known.all()


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_differentiate_twice(name):
    x, y = (tensor(v, requires_grad=True) for v in arrs((7,), (7,), low=0.1, high=0.9))
    f = getattr(F, name)
    for reduction in REDUCTIONS:
        assert pynn.autograd.gradcheck(lambda a, b, r=reduction: f(a, b, reduction=r), (x, y))
        assert pynn.autograd.gradgradcheck(lambda a, b, r=reduction: f(a, b, reduction=r), (x, y))
