"""The losses against NumPy, with their reductions, weights and old arguments."""

import numpy as np
import pytest

import pynn
from pynn import nn
from pynn.nn import functional as F

rng = np.random.default_rng(2)
X, T = rng.standard_normal((5, 4)), rng.standard_normal((5, 4))
UNIT = 1 / (1 + np.exp(-X))
P = np.exp(T) / np.exp(T).sum(1, keepdims=True)
LOG = X - np.log(np.exp(X).sum(1, keepdims=True))
CLASSES = np.array([0, 3, 1, 2, 2])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.1])


def tensor(values):
    return pynn.from_numpy(np.array(values))


def same(t, values):
    np.testing.assert_allclose(t.detach().numpy(), values, rtol=1e-9, atol=1e-10)


def reduce(values, reduction):
    return values.mean() if reduction == "mean" else values.sum() if reduction == "sum" else values


D = np.abs(X - T)
ELEMENTWISE = {
    "mse": (nn.MSELoss, {}, X, T, D**2),
    "l1": (nn.L1Loss, {}, X, T, D),
    "smooth l1": (nn.SmoothL1Loss, {"beta": 0.4}, X, T, np.where(D < 0.4, D**2 / 0.8, D - 0.2)),
    "smooth l1 of beta 0": (nn.SmoothL1Loss, {"beta": 0.0}, X, T, D),
    "huber": (nn.HuberLoss, {"delta": 0.6}, X, T, np.where(D < 0.6, D**2 / 2, 0.6 * (D - 0.3))),
    "bce": (nn.BCELoss, {}, UNIT, P, -(P * np.log(UNIT) + (1 - P) * np.log(1 - UNIT))),
    "bce with logits": (nn.BCEWithLogitsLoss, {}, X, P, -(P * np.log(UNIT) + (1 - P) * np.log(1 - UNIT))),
    "kl": (nn.KLDivLoss, {}, LOG, P, P * (np.log(P) - LOG)),
    "kl of logs": (nn.KLDivLoss, {"log_target": True}, LOG, np.log(P), P * (np.log(P) - LOG)),
}


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, reduction):
    kind, arguments, x, t, expected = ELEMENTWISE[name]
    same(kind(reduction=reduction, **arguments)(tensor(x), tensor(t)), reduce(expected, reduction))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights_of_binary_cross_entropy(reduction):
    positive, negative = P * np.log(UNIT), (1 - P) * np.log(1 - UNIT)
    loss = nn.BCELoss(tensor(WEIGHT), reduction=reduction)
    same(loss(tensor(UNIT), tensor(P)), reduce(-(positive + negative) * WEIGHT, reduction))
    loss = nn.BCEWithLogitsLoss(tensor(WEIGHT), pos_weight=tensor(WEIGHT * 3), reduction=reduction)
    expected = -(positive * WEIGHT * 3 + negative) * WEIGHT
    same(loss(tensor(X), tensor(P)), reduce(expected, reduction))
    assert list(loss.state_dict()) == ["weight", "pos_weight"]


@pytest.mark.parametrize("module,values", [(nn.CrossEntropyLoss, X), (nn.NLLLoss, LOG)])
def test_classes(module, values):
    rows, x = np.arange(5), tensor(values)
    expected = -LOG[rows, CLASSES]
    same(module()(x, tensor(CLASSES)), expected.mean())
    same(module(reduction="none")(x, tensor(CLASSES)), expected)
    w = WEIGHT[CLASSES]
    same(module(tensor(WEIGHT))(x, tensor(CLASSES)), (expected * w).sum() / w.sum())
    same(module(tensor(WEIGHT), reduction="sum")(x, tensor(CLASSES)), (expected * w).sum())
    kept = CLASSES != 2
    same(module(ignore_index=2)(x, tensor(CLASSES)), expected[kept].mean())
    same(module(ignore_index=2, reduction="none")(x, tensor(CLASSES)), expected * kept)


def test_cross_entropy_of_probabilities_and_smoothing():
    x = tensor(X)
    same(nn.CrossEntropyLoss()(x, tensor(P)), -(P * LOG).sum(1).mean())
    smooth = np.eye(4)[CLASSES] * 0.8 + 0.2 / 4
    same(nn.CrossEntropyLoss(label_smoothing=0.2)(x, tensor(CLASSES)), -(smooth * LOG).sum(1).mean())
    smooth = P * 0.8 + 0.2 / 4
    loss = nn.CrossEntropyLoss(tensor(WEIGHT), label_smoothing=0.2)
    same(loss(x, tensor(P)), -(smooth * LOG * WEIGHT).sum(1).mean())


def test_cross_entropy_with_more_dimensions():
    x, classes = rng.standard_normal((2, 4, 3)), np.array([[0, 1, 3], [2, 2, 0]])
    log = x - np.log(np.exp(x).sum(1, keepdims=True))
    expected = -np.take_along_axis(log, classes[:, None], 1)[:, 0]
    same(nn.CrossEntropyLoss(reduction="none")(tensor(x), tensor(classes)), expected)
    same(nn.CrossEntropyLoss()(tensor(X[0]), tensor(np.array(3))), -LOG[0, 3])


def test_kl_div_batchmean_and_its_warning():
    expected = (P * (np.log(P) - LOG)).sum() / 5
    same(nn.KLDivLoss(reduction="batchmean")(tensor(LOG), tensor(P)), expected)
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size"):
        F.kl_div(tensor(LOG), tensor(P))


@pytest.mark.parametrize(
    "name,loss", [("mse_loss", D**2), ("l1_loss", D), ("huber_loss", np.where(D < 1, D**2 / 2, D - 0.5))]
)
def test_weights_of_the_elements(name, loss):
    function, w = getattr(F, name), UNIT
    divisor = loss.size if name == "huber_loss" else w.sum()
    same(function(tensor(X), tensor(T), weight=tensor(w)), (loss * w).sum() / divisor)
    same(function(tensor(X), tensor(T), weight=tensor(w), reduction="sum"), (loss * w).sum())
    same(function(tensor(X), tensor(T), weight=tensor(w), reduction="none"), loss * w)
    for reduction in ("mean", "sum"):
        with pytest.raises(ValueError, match="Weights and input must have the same size"):
            function(tensor(X), tensor(T), weight=tensor(WEIGHT), reduction=reduction)


@pytest.mark.parametrize("function", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_sizes_that_broadcast_warn(function):
    with pytest.warns(UserWarning, match="likely lead to incorrect results due to broadcasting"):
        assert function(pynn.zeros(3, 1), pynn.zeros(3), reduction="none").shape == (3, 3)


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss])
def test_binary_cross_entropy_wants_equal_sizes(kind):
    with pytest.raises(ValueError, match="size"):
        kind()(pynn.full((3, 1), 0.5), pynn.zeros(3))


@pytest.mark.parametrize(
    "old,reduction",
    [
        ({"size_average": False}, "sum"),
        ({"size_average": True}, "mean"),
        ({"reduce": True}, "mean"),
        ({"reduce": False}, "none"),
        ({"size_average": False, "reduce": False}, "none"),
    ],
)
def test_old_arguments(old, reduction):
    words = f"please use reduction='{reduction}' instead"
    for kind in (nn.MSELoss, nn.CrossEntropyLoss, nn.NLLLoss, nn.BCELoss, nn.KLDivLoss, nn.SmoothL1Loss):
        with pytest.warns(UserWarning, match=words):
            assert kind(**old).reduction == reduction
    with pytest.warns(UserWarning, match=words):
        same(F.mse_loss(tensor(X), tensor(T), **old), reduce(D**2, reduction))
    with pytest.warns(UserWarning, match=words):
        same(
            F.cross_entropy(tensor(X), tensor(CLASSES), **old), reduce(-LOG[np.arange(5), CLASSES], reduction)
        )


def test_unknown_reductions():
    for function in (F.mse_loss, F.l1_loss, F.huber_loss):
        with pytest.raises(ValueError, match="average"):
            function(pynn.zeros(2), pynn.zeros(2), reduction="average")
        with pytest.raises(ValueError, match="average"):
            function(pynn.zeros(2), pynn.zeros(2), reduction="average", weight=pynn.ones(2))


def test_repr_and_checks():
    assert repr(nn.CrossEntropyLoss(reduction="sum")) == "CrossEntropyLoss()"
    with pytest.raises(TypeError, match="delta must be a float or int, got: <class 'str'>"):
        nn.HuberLoss(delta="1")
