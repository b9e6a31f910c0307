"""relu, gelu, silu, leaky_relu, elu, softplus and sigmoid-like functions of nn.functional."""

import math

import numpy as np
import pytest
from helpers import FLOATS, arr, assert_values, check_op, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan
F = pynn.nn.functional
erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.log1p(np.exp(-np.abs(x * beta))) / beta + np.maximum(x, 0))


ACTIVATIONS = {
    "relu": (F.relu, lambda x: np.maximum(x, 0)),
    "gelu": (F.gelu, lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2)))),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": (F.silu, lambda x: x * sigmoid(x)),
    "leaky_relu": (F.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
    "leaky_relu 0.3": (lambda x: F.leaky_relu(x, 0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
    "elu": (F.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
    "elu 0.5": (lambda x: F.elu(x, alpha=0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "softplus": (F.softplus, softplus),
    "softplus 2 3": (lambda x: F.softplus(x, beta=2, threshold=3), lambda x: softplus(x, 2, 3)),
    "hardsigmoid": (F.hardsigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
    "hardswish": (F.hardswish, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "sigmoid": (F.sigmoid, sigmoid),
    "tanh": (F.tanh, np.tanh),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_gradients(name):
    op, ref = ACTIVATIONS[name]
    check_op(op, ref, [arr(3, 4, low=-4, high=4), arr(2, 3, 2)], elementwise=True, tol=2, grad_tol=2)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
def test_sizes_and_extremes(name, dtype):
    op, ref = ACTIVATIONS[name]
    tol = 4e-6 if dtype == pynn.float32 else 1e-12
    for n in (1, 7, 16, 17, 33, 65, 1000):
        x = tensor(arr(n, low=-12, high=12, seed=n), dtype)
        np.testing.assert_allclose(to_numpy(op(x)), ref(to_numpy(x)), rtol=tol, atol=tol)
    x = tensor(np.array([-1000.0, -90.0, -0.0, 0.0, 90.0, 1000.0]), dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            to_numpy(op(x.repeat(4))), np.tile(ref(to_numpy(x)), 4), rtol=tol, atol=1e-6
        )
    assert op(pynn.tensor([NAN], dtype=dtype)).isnan().all()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "softplus", "sigmoid", "tanh", "silu"])
def test_gradients_far_out_are_finite(name):
    x = pynn.tensor([-1000.0, -100.0, 0.0, 100.0, 1000.0], requires_grad=True)
    ACTIVATIONS[name][0](x).sum().backward()
    assert x.grad.isfinite().all()
    at_end = {"sigmoid": 0.0, "tanh": 0.0}.get(name, 1.0)
    assert x.grad[-1].item() == at_end


def test_kinks():
    x = pynn.zeros(2, requires_grad=True)
    for edge, slopes in ((-3.0, (0.0, 0.0)), (3.0, (0.0, 1.0))):
        at = pynn.full((2,), edge, requires_grad=True)
        for op, expected in zip((F.hardsigmoid, F.hardswish), slopes, strict=True):
            (g,) = pynn.autograd.grad(op(at).sum(), at)
            np.testing.assert_allclose(g.numpy(), expected)
    for op, expected in ((pynn.relu, 0.0), (F.leaky_relu, 0.01), (F.elu, 1.0)):
        (g,) = pynn.autograd.grad(op(x).sum(), x)
        np.testing.assert_allclose(g.numpy(), expected)
    assert pynn.relu(pynn.tensor([-INF, INF])).tolist() == [0.0, INF]
    assert pynn.relu(pynn.tensor([-2, 3])).tolist() == [0, 3]  # integers too


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "elu", "silu", "hardsigmoid", "hardswish", "relu6", "hardtanh"]
)
def test_inplace(name):
    x = tensor(arr(3, 4))
    op = getattr(F, name)
    expected = op(x)
    assert op(x, inplace=True) is x and same_bits(x, expected)


@pytest.mark.parametrize(
    "name", ["relu", "leaky_relu", "elu", "silu", "hardsigmoid", "hardswish", "relu6", "hardtanh"]
)
def test_inplace_gradients(name):
    op = getattr(F, name)
    grads = []
    for inplace in (False, True):
        x = tensor(arr(7, 5), requires_grad=True)
        y = op(x * 4, inplace=inplace)
        grads.append(pynn.autograd.grad((y * y).sum(), x, create_graph=True)[0])
        grads.append(pynn.autograd.grad(grads[-1].sum(), x)[0])
    assert same_bits(grads[0], grads[2]) and same_bits(grads[1], grads[3])


def test_inplace_of_a_leaf():
    leaf = pynn.ones(2, requires_grad=True)
    with raises(RuntimeError, "leaf"):
        pynn.relu_(leaf)


def test_names_agree():
    x = tensor(arr(4))
    assert same_bits(pynn.relu(x), x.relu()) and same_bits(pynn.relu(x), F.relu(x))
    assert same_bits(pynn.sigmoid(x), x.sigmoid()) and same_bits(pynn.sigmoid(x), F.sigmoid(x))
    assert same_bits(x.clone().relu_(), x.relu()) and same_bits(x.clone().sigmoid_(), x.sigmoid())


def test_errors():
    with raises(RuntimeError, "gelu.*approximate|approximate"):
        F.gelu(pynn.ones(2), approximate="sin")
    for op in (pynn.relu, F.gelu, F.silu, F.softplus, F.elu, F.leaky_relu):
        with pytest.raises(TypeError):
            op("x")
    for op in (F.gelu, F.silu, F.softplus):
        with raises((RuntimeError, NotImplementedError), "gelu|silu|softplus"):
            op(pynn.tensor([1, 2]))


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16])
def test_half_loops_are_those_of_float32_rounded(dtype):
    step = 2.0**-10 if dtype == pynn.float16 else 2.0**-7
    every = pynn.arange(-(2**15), 2**15).to(pynn.int16).view(dtype)  # each value there is
    x = every[every.isfinite()]
    for name in ("gelu", "hardsigmoid", "hardswish"):
        exact = ACTIVATIONS[name][1](to_numpy(x))
        near = np.abs(exact) > (2.0**-14 if dtype == pynn.float16 else 1e-30)
        near &= (name != "gelu") | (np.abs(to_numpy(x)) < 5)  # beyond, float32 has lost the tail
        got = to_numpy(ACTIVATIONS[name][0](x))
        assert np.all(np.abs(got - exact)[near] <= 0.75 * step * np.abs(exact)[near])
        for n in (1, 15, 16, 17, 33):
            assert same_bits(ACTIVATIONS[name][0](x[1000 : 1000 + n]), tensor(got[1000 : 1000 + n], dtype))
    assert F.gelu(pynn.tensor([INF, NAN], dtype=dtype)).tolist()[0] == INF
    assert F.gelu(pynn.tensor([NAN], dtype=dtype)).isnan().all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_large_strided(dtype):
    x = tensor(arr(150, 90, low=-3, high=3), dtype)
    for name in ("relu", "gelu", "silu"):
        op = ACTIVATIONS[name][0]
        assert_values(op(x.t()), to_numpy(op(x)).T)
        assert_values(op(x[:, 1::2]), to_numpy(op(x))[:, 1::2])
