"""Activations against their formulas in NumPy, their derivatives against finite differences."""

import math

import numpy as np
import pytest

import pynn
from pynn import nn
from pynn.autograd import gradcheck
from pynn.nn import functional as F

X = np.linspace(-7.3, 7.1, 48).reshape(4, 6, 2)  # meets no point where a derivative jumps


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def normal_cdf(x):
    return np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)


CASES = {
    "relu": (nn.ReLU(), lambda x: np.maximum(x, 0)),
    "relu6": (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    "sigmoid": (nn.Sigmoid(), sigmoid),
    "tanh": (nn.Tanh(), np.tanh),
    "gelu": (nn.GELU(), lambda x: x * normal_cdf(x)),
    "gelu tanh": (
        nn.GELU("tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": (nn.SiLU(), lambda x: x * sigmoid(x)),
    "leaky_relu": (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    "elu": (nn.ELU(0.7), lambda x: elu(x, 0.7)),
    "softplus": (nn.Softplus(2.0, 30.0), lambda x: softplus(2 * x) / 2),
    "softmax": (nn.Softmax(1), lambda x: softmax(x, 1)),
    "log_softmax": (nn.LogSoftmax(-1), lambda x: np.log(softmax(x, -1))),
    "softmin": (nn.Softmin(0), lambda x: softmax(-x, 0)),
    "logsigmoid": (nn.LogSigmoid(), lambda x: -softplus(-x)),
    "hardtanh": (nn.Hardtanh(-0.5, 2.0), lambda x: np.clip(x, -0.5, 2)),
    "hardsigmoid": (nn.Hardsigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6),
    "hardswish": (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "mish": (nn.Mish(), lambda x: x * np.tanh(softplus(x))),
    "selu": (nn.SELU(), lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    "celu": (nn.CELU(0.5), lambda x: np.maximum(x, 0) + np.minimum(0.5 * np.expm1(x / 0.5), 0)),
    "threshold": (nn.Threshold(0.3, -5.0), lambda x: np.where(x > 0.3, x, -5)),
    "tanhshrink": (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    "softsign": (nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    "glu": (nn.GLU(), lambda x: x[..., :1] * sigmoid(x[..., 1:])),
    "glu 1": (nn.GLU(1), lambda x: x[:, :3] * sigmoid(x[:, 3:])),
}


@pytest.mark.parametrize("name", CASES)
def test_formula_and_derivative(name):
    module, formula = CASES[name]
    x = pynn.from_numpy(X.copy()).requires_grad_()
    np.testing.assert_allclose(module(x).detach().numpy(), formula(X), rtol=1e-9, atol=1e-10)
    assert gradcheck(module, (x,))


IN_PLACE = [
    "relu",
    "relu6",
    "silu",
    "leaky_relu",
    "elu",
    "hardtanh",
    "hardsigmoid",
    "hardswish",
    "mish",
    "selu",
    "celu",
]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_is_the_same_and_writes_to_its_input(name):
    function = getattr(F, name)
    x = pynn.from_numpy(X.copy()).requires_grad_()
    expected = function(x)
    expected.sum().backward()
    grad, x.grad = x.grad, None
    given = x * 1
    out = function(given, inplace=True)
    assert out is given
    assert out.tolist() == expected.tolist()
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), grad.numpy(), rtol=1e-12, atol=1e-14)


def test_threshold_in_place():
    x = pynn.tensor([1.0, -1.0, float("nan")])
    out = F.threshold(x, 0.0, 9.0, inplace=True)
    assert out is x
    assert x[:2].tolist() == [1, 9]
    assert x.isnan().tolist() == [False, False, True]


@pytest.mark.parametrize("function,bounds", [(F.relu6, (0, 6)), (F.hardtanh, (-1, 1))])
def test_the_derivative_on_a_bound_is_zero(function, bounds):
    x = pynn.tensor([*map(float, bounds), 0.5], requires_grad=True)
    function(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 1]


@pytest.mark.parametrize("function", [F.celu, F.selu, F.elu, F.mish, F.logsigmoid, F.softsign])
def test_large_numbers_keep_finite_derivatives(function):
    x = pynn.tensor([-1e4, -200.0, 200.0, 1e4], requires_grad=True)
    out = function(x)
    out.sum().backward()
    assert out.isfinite().all()
    assert x.grad.isfinite().all()


def test_prelu():
    x = pynn.tensor([[[1.0, -2.0], [-3.0, 4.0]]], dtype=pynn.float64, requires_grad=True)
    one, two = pynn.tensor([0.5], dtype=pynn.float64), pynn.tensor([0.5, 2.0], dtype=pynn.float64)
    assert F.prelu(x, one).tolist() == [[[1, -1], [-1.5, 4]]]
    assert F.prelu(x, two).tolist() == [[[1, -1], [-6, 4]]]
    assert gradcheck(F.prelu, (x, two.requires_grad_()))
    with pytest.raises(
        RuntimeError, match="prelu: weight must have one number or one for each of the 2 channels"
    ):
        F.prelu(x, pynn.ones(3, dtype=pynn.float64))
    assert nn.PReLU(4, init=0.1).weight.shape == (4,)


def test_softmax_without_dim_warns():
    for shape, dim in [((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)]:
        x = pynn.arange(math.prod(shape), dtype=pynn.float32).view(shape)
        with pytest.warns(UserWarning, match="Implicit dimension choice for softmax has been deprecated"):
            out = F.softmax(x)
        assert out.tolist() == F.softmax(x, dim).tolist()
    assert F.softmax(pynn.zeros(2), 0, dtype=pynn.float64).dtype == pynn.float64


def test_wrong_arguments():
    with pytest.raises(ValueError, match="min_val cannot be greater than max_val"):
        F.hardtanh(pynn.zeros(1), 1.0, 0.0)
    with pytest.raises(RuntimeError, match="glu: the size along dim 0 must be even, got 3"):
        F.glu(pynn.zeros(3), 0)
    with pytest.raises(RuntimeError, match="halving size must be even"):
        F.glu(pynn.zeros(()))
    with pytest.raises(RuntimeError, match="celu: alpha must not be zero"):
        F.celu(pynn.zeros(1), 0.0)
    with pytest.warns(FutureWarning, match="renamed to `max_val`"):
        assert nn.Hardtanh(max_value=3.0).max_val == 3
