"""nn.utils: clipping of gradients, parameters as one vector."""

import numpy as np
import pytest

import pynn
from pynn import nn
from pynn.nn import utils

GRADS = [np.array([[3.0, -4.0], [0.0, 1.0]]), np.array([12.0, -2.0, 0.5])]


def params():
    made = [nn.Parameter(pynn.zeros(2, 2)), nn.Parameter(pynn.zeros(3)), nn.Parameter(pynn.zeros(5))]
    for param, grad in zip(made, GRADS, strict=False):
        param.grad = pynn.tensor(grad, dtype=pynn.float32)
    return made  # the last has no gradient


FLAT = np.concatenate([grad.ravel() for grad in GRADS])


@pytest.mark.parametrize("p", [1, 2, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clip_grad_norm(p, max_norm):
    given = params()
    total = utils.clip_grad_norm_(iter(given), max_norm, p)
    norm = np.linalg.norm(FLAT, p)
    assert abs(total.item() / norm - 1) < 1e-6
    scale = min(1, max_norm / (norm + 1e-6))
    for param, grad in zip(given, GRADS, strict=False):
        np.testing.assert_allclose(param.grad.numpy(), grad * scale, rtol=1e-5)
    assert given[2].grad is None


def test_clip_grad_norm_of_one_tensor_and_of_none():
    param = params()[1]
    utils.clip_grad_norm_(param, 1.0)
    assert abs(param.grad.norm().item() - 1) < 1e-5
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    assert utils.clip_grad_norm_(params()[2], 1.0).item() == 0
    with pytest.warns(FutureWarning, match="deprecated"):
        utils.clip_grad_norm(params(), 1.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_norms_that_are_not_finite(bad):
    given = params()
    given[0].grad[0, 0] = bad
    with pytest.raises(
        RuntimeError, match="total norm of order 2.0 for gradients from `parameters` is non-finite"
    ):
        utils.clip_grad_norm_(given, 1.0, error_if_nonfinite=True)
    assert given[1].grad.tolist() == GRADS[1].tolist()
    assert not utils.clip_grad_norm_(given, 1.0).isfinite()


def test_total_norm_and_clipping_apart():
    given = params()
    total = utils.get_total_norm([param.grad for param in given[:2]])
    assert abs(total.item() - np.linalg.norm(FLAT)) < 1e-5
    utils.clip_grads_with_norm_(given, 1.0, total)
    clipped = utils.get_total_norm(param.grad for param in given[:2])
    assert abs(clipped.item() - 1) < 1e-5


def test_clip_grad_value():
    given = params()
    utils.clip_grad_value_(given, 2.5)
    for param, grad in zip(given, GRADS, strict=False):
        assert param.grad.tolist() == np.clip(grad, -2.5, 2.5).tolist()


def test_parameters_and_vector():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (13,)
    assert vector.requires_grad
    weight = net[0].weight
    utils.vector_to_parameters(pynn.arange(13, dtype=pynn.float32), net.parameters())
    assert net[0].weight is weight
    assert weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert net[1].bias.tolist() == [12]
    assert utils.parameters_to_vector(net.parameters()).tolist() == list(range(13))
    with pytest.raises(TypeError, match="expected torch.Tensor, but got: list"):
        utils.vector_to_parameters([1.0], net.parameters())
