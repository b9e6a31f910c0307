"""multi_margin_loss and multilabel_margin_loss, against loops in NumPy."""

import numpy as np
import pytest
from helpers import arr, raises, tensor, to_numpy

import pynn

F = pynn.nn.functional


def reference(x, target, margin=1.0):
    """The loss of each row, and its derivative."""
    loss, slope = np.zeros(len(x)), np.zeros_like(x)
    for r, row in enumerate(x):
        ends = np.flatnonzero(target[r] < 0)
        targets = target[r][: ends[0]] if len(ends) else target[r]
        for t in targets:
            for j in set(range(x.shape[1])) - set(targets):
                over = margin - row[t] + row[j]
                if over > 0:
                    loss[r] += over
                    slope[r, j] += 1
                    slope[r, t] -= 1
    return loss / x.shape[1], slope / x.shape[1]


@pytest.mark.parametrize("classes", [1, 2, 5, 16, 17, 100, 300])
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
def test_against_loops(classes, dtype):
    rng = np.random.default_rng(classes)
    x, g = arr(4, classes, low=-2, high=2), arr(4, seed=1)
    several = rng.integers(-1, classes, (4, classes))
    several[0] = -1
    for target, call in (
        (several, lambda x, t: F.multilabel_margin_loss(x, t, reduction="none")),
        (several[:, :1].clip(0), lambda x, t: F.multi_margin_loss(x, t[:, 0], reduction="none")),
    ):
        loss, slope = reference(x, target)
        for grad in (False, True):
            y = call(tensor(x, dtype, requires_grad=grad), pynn.tensor(target))
            np.testing.assert_allclose(to_numpy(y.detach()), loss, rtol=1e-5, atol=1e-6)
        at = tensor(x, dtype, requires_grad=True)
        call(at, pynn.tensor(target)).backward(tensor(g, dtype))
        np.testing.assert_allclose(to_numpy(at.grad), slope * g[:, None], rtol=1e-5, atol=1e-6)


def test_second_derivatives_and_reductions():
    x, t = tensor(arr(3, 4), requires_grad=True), pynn.tensor([[2, 0, -1, 1], [1, 1, 3, -1], [-1, 0, 0, 0]])
    for reduction in ("none", "mean", "sum"):
        for call in (
            lambda x, r=reduction: F.multilabel_margin_loss(x, t, reduction=r),
            lambda x, r=reduction: F.multi_margin_loss(x, t[:2, 0].repeat(2)[:3], margin=0.3, reduction=r),
            lambda x, r=reduction: F.multi_margin_loss(x, t[:2, 0].repeat(2)[:3], p=2, reduction=r),
        ):
            assert pynn.autograd.gradcheck(call, (x,)) and pynn.autograd.gradgradcheck(call, (x,))


def test_composed_is_the_kernel():
    """Half types and weights are composed of ops."""
    x, t = tensor(arr(6, 9), pynn.float32), pynn.tensor(np.random.default_rng(0).integers(-1, 9, (6, 9)))
    half = x.to(pynn.bfloat16)
    for call in (
        lambda x: F.multilabel_margin_loss(x, t, reduction="none"),
        lambda x: F.multi_margin_loss(x, t[:, 0].clamp(min=0), reduction="none"),
    ):
        np.testing.assert_allclose(to_numpy(call(half).float()), to_numpy(call(half.float())), rtol=0.03)
    call = lambda **k: F.multi_margin_loss(x, t[:, 0].clamp(min=0), **k)
    np.testing.assert_allclose(to_numpy(call(weight=pynn.ones(9))), to_numpy(call()), rtol=1e-6)


def test_errors():
    x, t = pynn.ones(2, 3), pynn.zeros(2, 3).long()
    for call, kind, words in (
        (lambda: F.multilabel_margin_loss(x, t + 3), RuntimeError, "out of range"),
        (lambda: F.multilabel_margin_loss(x, t - 2), RuntimeError, "out of range"),
        (lambda: F.multilabel_margin_loss(x.half(), t - 2), RuntimeError, "out of range"),
        (lambda: F.multilabel_margin_loss(x, t[:, :2]), RuntimeError, "inconsistent target size"),
        (lambda: F.multilabel_margin_loss(x, x), RuntimeError, "int64"),
        (lambda: F.multi_margin_loss(x, t[:, 0] - 1), RuntimeError, "out of range"),
        (lambda: F.multi_margin_loss(x, t[:1, 0]), RuntimeError, "target size"),
        (lambda: F.multi_margin_loss(x, t[:, 0], p=3), ValueError, "p == 1"),
        (lambda: F.multi_margin_loss(x, t[:, 0], weight=x), ValueError, "one-dimensional"),
        (lambda: F.multi_margin_loss(x, t[:, 0], reduction="most"), ValueError, "most"),
    ):
        with raises(kind, words):
            call()
    assert F.multilabel_margin_loss(pynn.ones(0, 3), t[:0], reduction="sum") == 0
