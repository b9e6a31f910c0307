"""LinearCrossEntropyLoss, CrossMapLRN2d, weights' memory format, batch norms without statistics."""

import numpy as np
import pytest
from helpers import arr, raises, tensor

import pynn
from pynn import nn
from pynn.autograd import gradcheck

F = nn.functional


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_linear_cross_entropy(reduction):
    x, w, b = tensor(arr(6, 4)), tensor(arr(5, 4, seed=1)), tensor(arr(5, seed=2))
    classes = pynn.tensor([0, 4, 2, -100, 1, 3])
    shares = tensor(arr(6, 5, low=0.0, seed=3)).softmax(-1)
    weight = tensor(arr(5, low=0.5, seed=4))
    for target in (classes, shares):
        for extra in ({}, {"weight": weight}, {"label_smoothing": 0.1}):
            expected = F.cross_entropy(F.linear(x, w, b), target, reduction=reduction, **extra)
            for options in (
                None,
                nn.LinearCrossEntropyOptions(),
                nn.LinearCrossEntropyOptions(batch_chunk_size=4),
            ):
                leaves = [t.detach().clone().requires_grad_() for t in (x, w, b)]
                found = F.linear_cross_entropy(
                    leaves[0],
                    leaves[1],
                    target,
                    linear_bias=leaves[2],
                    reduction=reduction,
                    options=options,
                    **extra,
                )
                np.testing.assert_allclose(found.detach().numpy(), expected.numpy(), rtol=1e-12)
                slopes = pynn.autograd.grad(found.sum(), leaves)
                again = [t.detach().clone().requires_grad_() for t in (x, w, b)]
                loss = F.cross_entropy(F.linear(*again), target, reduction=reduction, **extra)
                for g, e in zip(slopes, pynn.autograd.grad(loss.sum(), again), strict=True):
                    np.testing.assert_allclose(g.numpy(), e.numpy(), rtol=1e-10, atol=1e-12)


def test_linear_cross_entropy_of_many_dims():
    loss = nn.LinearCrossEntropyLoss(5, 10, out_features=(4, 3), bias=True)
    assert {k: tuple(v.shape) for k, v in loss.state_dict().items()} == {
        "linear.weight": (120, 5),
        "linear.bias": (120,),
    }
    x, target = pynn.randn(2, 5), pynn.randint(0, 10, (2, 4, 3))
    expected = F.cross_entropy(loss.linear(x).view(2, 10, 4, 3), target)
    assert pynn.allclose(loss(x, target), expected)
    loss.options = nn.LinearCrossEntropyOptions(batch_chunk_size=1)
    assert pynn.allclose(loss(x, target), expected)


def test_linear_cross_entropy_errors():
    x, w = pynn.ones(2, 5), pynn.ones(10, 4, 5)
    with raises(RuntimeError, "in_features", "5 and 4"):
        F.linear_cross_entropy(x, pynn.ones(10, 4), pynn.tensor([1, 2]))
    with raises(RuntimeError, "batched input"):
        F.linear_cross_entropy(x[0], w, pynn.ones(4).long())
    with raises(RuntimeError, "ignore_index"):
        F.linear_cross_entropy(x, pynn.ones(10, 5), pynn.ones(2, 10), ignore_index=3)
    with raises(ValueError, "acc_policy"):
        nn.LinearCrossEntropyOptions(acc_policy="x")
    for bad in ("x", "aspect_ratio:x", "aspect_ratio:-1"):
        with raises(ValueError, "chunking_method"):
            nn.LinearCrossEntropyOptions(chunking_method=bad)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_cross_map_lrn(size):
    x = arr(2, 6, 2, 3)
    reach = (size - 1) // 2
    expected = np.empty_like(x)
    for c in range(6):
        near = sorted({0, *range(max(0, c - reach), min(6, c + reach + 1))})
        scale = 1.5 + 0.2 / size * (x[:, near] ** 2).sum(1)
        expected[:, c] = x[:, c] * scale**-0.6
    layer = nn.CrossMapLRN2d(size, 0.2, 0.6, 1.5)
    np.testing.assert_allclose(layer(tensor(x)).numpy(), expected)
    assert gradcheck(layer, (tensor(x[:1, :, :1, :1], requires_grad=True),))
    with raises(ValueError, "4D", "3D"):
        layer(tensor(x[0]))


def test_weights_memory_format():
    net = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Sequential(nn.ConvTranspose2d(4, 2, 2)), nn.Linear(2, 2))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    assert nn.utils.convert_conv2d_weight_memory_format(net, pynn.channels_last) is net
    assert net[0].weight.is_contiguous(memory_format=pynn.channels_last)
    assert net[1][0].weight.is_contiguous(memory_format=pynn.channels_last)
    assert isinstance(net[0].weight, nn.Parameter)
    for k, v in net.state_dict().items():
        assert pynn.equal(v, before[k])


def test_methods():
    x = pynn.tensor([-1.0, 0.2, 3.0])
    assert pynn.equal(x.hardshrink(), F.hardshrink(x)) and pynn.equal(x.hardshrink(0.1), F.hardshrink(x, 0.1))
    assert pynn.equal(x.prelu(pynn.tensor([0.5])), F.prelu(x, pynn.tensor([0.5])))
    parameter = nn.Parameter(pynn.zeros(2))
    with pynn.no_grad():
        found = parameter.module_load(pynn.ones(2))
    assert found is not parameter and found.data_ptr() == parameter.data_ptr() and found.tolist() == [1, 1]
    other = pynn.full((2,), 5.0)
    assert parameter.module_load(other, assign=True).data_ptr() == other.data_ptr()


def test_batch_norms_for_transforms():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert pynn.func.replace_all_batch_norm_modules_(net) is net
    assert net[1].running_mean is None and net[1].track_running_stats is False
    net(pynn.randn(4, 2))


def test_linearize():
    x, v = pynn.tensor([1.0, 2.0, 3.0]), pynn.tensor([1.0, 0.0, 2.0])
    out, tangent = pynn.func.linearize(lambda x: x**2, x)
    assert out.tolist() == [1, 4, 9]
    assert tangent(v).tolist() == [2, 0, 12]
    assert tangent(2 * v).tolist() == [4, 0, 24]
    with raises(RuntimeError, "primal"):
        pynn.func.linearize(lambda: 1)
