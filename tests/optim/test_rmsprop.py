"""RMSprop against its formula in NumPy."""

import numpy as np
import pytest

import pynn
from pynn.optim import RMSprop


def leaf(values):
    return pynn.tensor(values, dtype=pynn.float64, requires_grad=True)


def reference(
    p, grads, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, maximize=False
):
    p = np.array(p)
    v, mean, buf = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        g = (-g if maximize else g) + weight_decay * p
        v = alpha * v + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        quotient = g / (np.sqrt(v - mean**2 if centered else v) + eps)
        buf = momentum * buf + quotient
        p = p - lr * buf
    return p


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.5, "eps": 1e-3},
        {"weight_decay": 0.1},
        {"momentum": 0.9},
        {"centered": True},
        {"centered": True, "momentum": 0.5, "maximize": True},
    ],
)
def test_formula(options):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(3, 4)), rng.normal(size=(6, 3, 4))
    p = leaf(start.tolist())
    opt = RMSprop([p], lr=0.05, **options)
    for g in grads:
        p.grad = pynn.tensor(g.tolist(), dtype=pynn.float64)
        opt.step()
    np.testing.assert_allclose(p.detach().numpy(), reference(start, grads, 0.05, **options), rtol=1e-10)
    assert opt.state[p]["step"].item() == 6.0


def test_parameters_without_gradient_stay():
    a, b = leaf([1.0]), leaf([1.0])
    opt = RMSprop([a, b])
    a.grad = pynn.ones(1, dtype=pynn.float64)
    opt.step()
    assert b.item() == 1.0 and list(opt.state_dict()["state"]) == [0]


@pytest.mark.parametrize("option", ["lr", "eps", "momentum", "weight_decay", "alpha"])
def test_negative_options(option):
    with pytest.raises(ValueError, match=r"Invalid .*: -1"):
        RMSprop([leaf([1.0])], **{option: -1})
