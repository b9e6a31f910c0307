"""Adagrad against its formula in NumPy."""

import numpy as np
import pytest

import pynn
from pynn.optim import Adagrad


def leaf(values):
    return pynn.tensor(values, dtype=pynn.float64, requires_grad=True)


def reference(
    p, grads, lr, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, maximize=False
):
    p = np.array(p)
    total = np.full_like(p, initial_accumulator_value)
    for t, g in enumerate(grads, 1):
        g = (-g if maximize else g) + weight_decay * p
        total = total + g * g
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)
    return p


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr_decay": 0.1},
        {"weight_decay": 0.1, "eps": 1e-3},
        {"initial_accumulator_value": 0.5},
        {"maximize": True},
    ],
)
def test_formula(options):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=(3, 4)), rng.normal(size=(6, 3, 4))
    p = leaf(start.tolist())
    opt = Adagrad([p], lr=0.05, **options)
    for g in grads:
        p.grad = pynn.tensor(g.tolist(), dtype=pynn.float64)
        opt.step()
    np.testing.assert_allclose(p.detach().numpy(), reference(start, grads, 0.05, **options), rtol=1e-10)


def test_state_exists_before_the_first_step_and_for_later_groups():
    a, b = leaf([1.0]), leaf([1.0])
    opt = Adagrad([a], initial_accumulator_value=0.25)
    assert opt.state[a]["sum"].item() == 0.25 and opt.state[a]["step"].item() == 0.0
    opt.add_param_group({"params": [b]})
    b.grad = pynn.ones(1, dtype=pynn.float64)
    opt.step()
    assert opt.state[b]["sum"].item() == 1.25


@pytest.mark.parametrize("option", ["lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"])
def test_negative_options(option):
    with pytest.raises(ValueError, match=r"Invalid .*: -1"):
        Adagrad([leaf([1.0])], **{option: -1})
