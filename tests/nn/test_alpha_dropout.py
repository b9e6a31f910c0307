"""AlphaDropout, FeatureAlphaDropout and Softmax2d."""

import pytest
from helpers import raises

import pynn
from pynn import nn

F = nn.functional


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_mean_and_variance_stay(p):
    x = pynn.randn(400, 500)
    y = F.alpha_dropout(x, p, True)
    assert abs(y.mean().item()) < 0.02 and abs(y.std().item() - 1) < 0.02
    ones = F.alpha_dropout(pynn.ones(400, 500), p, True)
    assert abs((ones == ones.min()).double().mean().item() - p) < 0.01
    assert len(ones.unique()) == 2


def test_channels():
    y = F.feature_alpha_dropout(pynn.ones(50, 40, 3, 2), 0.4, True)
    flat = y.flatten(2)
    assert (flat == flat[..., :1]).all()
    assert len(set(flat[..., 0].flatten().tolist())) == 2
    with raises(RuntimeError, "feature_alpha_dropout", "2 dimensions"):
        F.feature_alpha_dropout(pynn.ones(4), 0.5, True)


def test_modules():
    x = pynn.randn(20, 30)
    for name in ("AlphaDropout", "FeatureAlphaDropout"):
        m = getattr(nn, name)(0.5, True)
        assert m.eval()(x) is x
        copy = x.clone()
        assert m.train()(copy) is copy and not copy.equal(x)
    assert F.alpha_dropout(x, 1.0, True).abs().sum() == 0
    with raises(ValueError, "probability", "1.5"):
        F.alpha_dropout(x, 1.5)
    leaf = pynn.ones(20, 30, requires_grad=True)
    y = F.alpha_dropout(leaf, 0.5, True)
    y.sum().backward()
    kept = y != y.min()
    assert ((leaf.grad != 0) == kept).all() and len(set(leaf.grad[kept].tolist())) == 1


def test_softmax2d():
    x = pynn.randn(2, 3, 4, 5)
    assert nn.Softmax2d()(x).equal(x.softmax(1))
    with raises(ValueError, "Softmax2d", "3D or 4D", "2D"):
        nn.Softmax2d()(x[0, 0])
