"""nn.init: moments and bounds of what is drawn, exact values where nothing is."""

import math

import numpy as np
import pytest

import pynn
from pynn.nn import init

SHAPE = (200, 100, 3)  # fan_in 300, fan_out 600


def moments(tensor):
    values = tensor.detach().numpy().astype(np.float64)
    return values.mean(), values.std()


@pytest.mark.parametrize(
    "fill,std",
    [
        (lambda t: init.uniform_(t, -1, 1), math.sqrt(1 / 3)),
        (lambda t: init.normal_(t, 0, 2), 2),
        (lambda t: init.xavier_uniform_(t), math.sqrt(2 / 900)),
        (lambda t: init.xavier_normal_(t, gain=3), 3 * math.sqrt(2 / 900)),
        (lambda t: init.kaiming_uniform_(t), math.sqrt(2 / 300)),
        (lambda t: init.kaiming_uniform_(t, a=1), math.sqrt(1 / 300)),
        (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 600)),
        (lambda t: init.trunc_normal_(t, std=0.02), 0.02),
    ],
)
def test_moments(fill, std):
    tensor = pynn.empty(SHAPE, requires_grad=True)
    assert fill(tensor) is tensor
    mean, deviation = moments(tensor)
    assert abs(mean) < 0.02 * std
    assert abs(deviation / std - 1) < 0.01
    assert tensor.is_leaf
    assert tensor.grad_fn is None


@pytest.mark.parametrize("a,b,std", [(-1.0, 0.5, 1.0), (0.5, 1.0, 1.0), (-0.1, 0.1, 3.0), (2.0, 2.5, 1.0)])
def test_trunc_normal_has_the_right_distribution(a, b, std):
    x = np.sort(init.trunc_normal_(pynn.empty(20000), std=std, a=a, b=b).numpy().astype(np.float64))
    assert x[0] >= a
    assert x[-1] <= b

    def below(v):
        return 0.5 * (1 + math.erf(v / std / math.sqrt(2)))

    expected = np.array([(below(v) - below(a)) / (below(b) - below(a)) for v in x])
    assert np.abs(expected - np.arange(1, 20001) / 20000).max() < 0.02  # Kolmogorov and Smirnov


def test_trunc_normal_warns_far_from_the_mean():
    with pytest.warns(UserWarning, match="mean is more than 2 std"):
        init.trunc_normal_(pynn.empty(3), mean=5.0)


def test_a_seed_or_generator_repeats_the_draw():
    for fill in (init.uniform_, init.normal_, init.trunc_normal_, init.xavier_normal_, init.kaiming_uniform_):
        draws = [fill(pynn.empty(4, 5), generator=pynn.Generator().manual_seed(3)).tolist() for _ in range(2)]
        assert draws[0] == draws[1]


def test_constants():
    assert init.constant_(pynn.empty(2, requires_grad=True), 0.5).tolist() == [0.5, 0.5]
    assert init.ones_(pynn.empty(2)).tolist() == [1, 1]
    assert init.zeros_(pynn.empty(2)).tolist() == [0, 0]
    assert init.eye_(pynn.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    weight = init.dirac_(pynn.empty(4, 2, 3), groups=2)
    expected = np.zeros((4, 2, 3))
    expected[[0, 1, 2, 3], [0, 1, 0, 1], 1] = 1
    assert weight.tolist() == expected.tolist()
    assert init.dirac_(pynn.empty(1, 2, 1, 3, 1))[0, 0, 0, 1, 0] == 1


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 3, 2), (6, 6)])
def test_orthogonal(shape):
    matrix = init.orthogonal_(pynn.empty(shape), gain=2).numpy().reshape(shape[0], -1).astype(np.float64)
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(small @ small.T, 4 * np.eye(small.shape[0]), atol=1e-5)


def test_sparse():
    matrix = init.sparse_(pynn.empty(10, 20), sparsity=0.25).numpy()
    assert ((matrix == 0).sum(0) == 3).all()
    assert 0.005 < matrix[matrix != 0].std() < 0.02


def test_gain():
    assert (
        init.calculate_gain("linear") == init.calculate_gain("conv2d") == init.calculate_gain("sigmoid") == 1
    )
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 1) == 1
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("selu") == 0.75
    with pytest.raises(ValueError, match="Unsupported nonlinearity step"):
        init.calculate_gain("step")
    with pytest.raises(ValueError, match="negative_slope True not a valid number"):
        init.calculate_gain("leaky_relu", True)


def test_shapes_that_do_not_fit():
    for fill, shape in [
        (init.xavier_uniform_, (3,)),
        (init.kaiming_normal_, (3,)),
        (init.orthogonal_, (3,)),
        (init.eye_, (3,)),
        (init.dirac_, (3, 3)),
        (lambda t: init.dirac_(t, 2), (3, 3, 3)),
        (lambda t: init.sparse_(t, 0.1), (3,)),
        (lambda t: init.kaiming_uniform_(t, mode="fan"), (3, 3)),
    ]:
        with pytest.raises(ValueError):
            fill(pynn.empty(shape))
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        init.kaiming_normal_(pynn.empty(0, 3))


def test_old_names():
    with pytest.warns(FutureWarning, match="`nn.init.xavier_normal` is now deprecated"):
        assert init.xavier_normal(pynn.empty(2, 2)).shape == (2, 2)
    assert init.constant.__name__ == "constant"
