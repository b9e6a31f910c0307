"""The modules of convolutional networks: shapes, initial values, state, modes, printing; without PyTorch."""

import math

import pytest
from helpers import raises

import pynn
from pynn import nn

F = nn.functional


def test_conv_module():
    m = nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), groups=2)
    assert m.weight.shape == (6, 2, 3, 2) and m.bias.shape == (6,)
    bound = 1 / math.sqrt(12)
    assert m.weight.abs().max() <= bound and m.bias.abs().max() <= bound
    x = pynn.randn(2, 4, 7, 8)
    assert m(x).equal(F.conv2d(x, m.weight, m.bias, 2, (1, 0), 1, 2))
    assert m(x[0]).shape == (6, 4, 4)
    assert str(nn.Conv1d(1, 2, 3, bias=False, dilation=2)) == (
        "Conv1d(1, 2, kernel_size=(3,), stride=(1,), dilation=(2,), bias=False)"
    )
    assert list(nn.Conv3d(1, 2, 3).state_dict()) == ["weight", "bias"]
    assert nn.ConvTranspose2d(4, 6, 3, groups=2).weight.shape == (4, 3, 3, 3)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode):
    m = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode)
    x = pynn.randn(2, 2, 5, 6)
    assert m(x).equal(F.conv2d(F.pad(x, (2, 2, 1, 1), mode), m.weight, m.bias))
    m = nn.Conv2d(2, 3, (4, 3), padding="same", padding_mode=mode)
    assert m(x).shape == (2, 3, 5, 6)


def test_conv_transpose_output_size():
    m = nn.ConvTranspose2d(2, 3, 3, stride=2)
    x = pynn.randn(1, 2, 4, 4)
    for size in ((9, 9), (10, 9), (1, 3, 10, 10)):
        assert m(x, output_size=size).shape[2:] == tuple(size[-2:])
    with raises(ValueError, "output size", "9", "10"):
        m(x, output_size=(11, 9))
    with raises(ValueError, "ConvTranspose2d", "2 or 4 elements"):
        m(x, output_size=(9,))


@pytest.mark.parametrize(
    "kwargs,words",
    [
        ({"groups": 0}, "groups must be a positive integer, got 0"),
        ({"groups": 2}, "in_channels must be divisible by groups, got 3 and 2"),
        ({"groups": 3}, "out_channels must be divisible by groups, got 4 and 3"),
        ({"padding": "full"}, "Invalid padding string 'full'"),
        ({"padding": "same", "stride": 2}, "not supported for strided"),
        ({"padding_mode": "mirror"}, "padding_mode='mirror'"),
    ],
)
def test_conv_errors(kwargs, words):
    with pytest.raises(ValueError, match=words):
        nn.Conv2d(3, 4, 3, **kwargs)


def test_batch_norm_modes():
    m = nn.BatchNorm2d(3)
    x = 3 + 2 * pynn.randn(8, 3, 5, 5)
    y = m(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-5 and (y.var((0, 2, 3)) - 1).abs().max() < 0.02
    assert m.num_batches_tracked.item() == 1
    assert (m.running_mean - 0.1 * x.mean((0, 2, 3))).abs().max() < 1e-5
    m.eval()
    before = m.running_mean.clone()
    scaled = (x - m.running_mean.view(1, 3, 1, 1)) / (m.running_var.view(1, 3, 1, 1) + m.eps).sqrt()
    assert (m(x) - scaled).abs().max() < 1e-5 and m.running_mean.equal(before)
    m.reset_running_stats()
    assert m.running_mean.tolist() == [0, 0, 0] and m.num_batches_tracked.item() == 0
    assert list(m.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]

    cumulative = nn.BatchNorm1d(3, momentum=None)
    parts = [pynn.randn(6, 3) for _ in range(3)]
    for part in parts:
        cumulative(part)
    mean = pynn.stack([p.mean(0) for p in parts]).mean(0)
    assert (cumulative.running_mean - mean).abs().max() < 1e-6
    with raises(ValueError, "BatchNorm1d", "2D or 3D", "4D"):
        cumulative(x)


def test_norms_without_parameters():
    assert list(nn.BatchNorm1d(3, affine=False, track_running_stats=False).state_dict()) == []
    assert list(nn.InstanceNorm1d(3).state_dict()) == []
    assert list(nn.GroupNorm(2, 4, bias=False).state_dict()) == ["weight"]
    assert nn.RMSNorm(4).weight.tolist() == [1] * 4
    with raises(ValueError, "num_channels", "6", "4"):
        nn.GroupNorm(4, 6)
    x = pynn.randn(2, 3, 9)
    m = nn.InstanceNorm1d(3, affine=True)
    assert m(x)[1].equal(m(x[1]))
    with raises(ValueError, "num_features", "3", "4"):
        m(pynn.randn(2, 4, 9))


def test_statistics_move_with_the_module():
    m = nn.BatchNorm1d(3).double()
    assert m.running_mean.dtype == pynn.float64 and m.num_batches_tracked.dtype == pynn.int64
    other = nn.BatchNorm1d(3).double()
    m(pynn.randn(4, 3, dtype=pynn.float64))
    other.load_state_dict(m.state_dict())
    assert other.running_var.equal(m.running_var)


def test_pooling_modules():
    x = pynn.randn(2, 3, 8, 8)
    y, i = nn.MaxPool2d(2, return_indices=True)(x)
    assert nn.MaxPool2d(2)(nn.MaxUnpool2d(2)(y, i).where(x > 0, x)).shape == y.shape
    assert nn.AdaptiveAvgPool2d(1)(x).flatten(1).allclose(x.mean((2, 3)), atol=1e-6)
    assert nn.AvgPool2d(3, 2, 1)(x).shape == (2, 3, 4, 4)
    assert str(nn.MaxPool2d(3, 2)) == (
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)"
    )


def test_a_network_learns():
    """A small CNN tells horizontal from vertical bars."""
    pynn.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    x = 0.1 * pynn.randn(32, 1, 8, 8)
    y = pynn.arange(32) % 2
    for k in range(32):
        if k % 2:
            x[k, 0, k % 8] += 1
        else:
            x[k, 0, :, k % 8] += 1
    opt = pynn.optim.Adam(net.parameters(), 0.05)
    for _ in range(60):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    assert loss.item() < 0.1
    assert (net.eval()(x).argmax(1) == y).double().mean().item() > 0.9


def test_shapes_without_data():
    """On the meta device, forward and backward."""
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, device="meta"),
        nn.BatchNorm2d(8, device="meta"),
        nn.GroupNorm(2, 8, device="meta"),
        nn.MaxPool2d(2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ConvTranspose2d(8, 4, 2, 2, device="meta"),
        nn.AdaptiveAvgPool2d(3),
    )
    x = pynn.empty(2, 3, 17, 19, device="meta", requires_grad=True)
    y = net(x)
    assert y.shape == (2, 4, 3, 3) and y.device.type == "meta"
    y.sum().backward()
    assert x.grad.shape == x.shape and all(p.grad.shape == p.shape for p in net.parameters())
