"""Channels last through the functions around convolutions: values, gradients and the order of results beside PyTorch."""

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")

CASES = {
    "mul by channel": lambda t, f, x: x * t.arange(8.0).view(8, 1, 1),
    "by channel mul": lambda t, f, x: t.arange(8.0).view(8, 1, 1) * x,
    "mul by gate": lambda t, f, x: x * t.sigmoid(f.adaptive_avg_pool2d(x, 1)),
    "mul by row": lambda t, f, x: x * t.arange(5.0),
    "mul by column": lambda t, f, x: x * t.arange(4.0).view(4, 1),
    "mul of planes": lambda t, f, x: t.ones(2, 8, 4, 5) * x,
    "mul by planes": lambda t, f, x: x * t.ones(2, 8, 4, 5),
    "add one channel": lambda t, f, x: x + x[:, :1],
    "add expanded": lambda t, f, x: t.ones(1).expand(2, 8, 4, 5) + x,
    "add a dim": lambda t, f, x: x + t.ones(3, 1, 1, 1, 1),
    "every second row": lambda t, f, x: x[:, :, ::2] * t.ones(8, 1, 1),
    "compare": lambda t, f, x: (x > t.zeros(8, 1, 1)).float(),
    "where": lambda t, f, x: t.where(x > 0, x, t.zeros(())),
    "where of channels": lambda t, f, x: t.where(t.arange(8).view(8, 1, 1) > 3, x, t.zeros(5)),
    "lerp": lambda t, f, x: t.lerp(x, x + 1, t.full((8, 1, 1), 0.25)),
    "addcmul": lambda t, f, x: t.addcmul(x, x, t.arange(8.0).view(8, 1, 1)),
    "clamp": lambda t, f, x: t.clamp(x, t.full((8, 1, 1), -0.5), t.ones(1)),
    "maximum": lambda t, f, x: t.maximum(x, t.zeros(8, 1, 1)),
    "prelu": lambda t, f, x: f.prelu(x, t.full((8,), 0.25)),
    "masked_fill": lambda t, f, x: x.masked_fill(x > 0, 0),
    "cat channels": lambda t, f, x: t.cat([x, x + 1], 1),
    "cat of parts": lambda t, f, x: t.cat([x[:, :3], x[:, 3:]], 1),
    "cat of dtypes": lambda t, f, x: t.cat([x, x.double()], 1),
    "cat with planes": lambda t, f, x: t.cat([x, x.contiguous()], 1),
    "cat batches": lambda t, f, x: t.cat([x, x]),
    "cat rows": lambda t, f, x: t.cat([x, x], 2),
    "cat columns": lambda t, f, x: t.cat([x[:, :, :, :2], x, x], 3),
    "pad": lambda t, f, x: f.pad(x, (1, 2, 3, 0)),
    "pad and cut": lambda t, f, x: f.pad(x, (-1, 2, 3, -2), value=2.0),
    "pad channels": lambda t, f, x: f.pad(x, (0, 0, 0, 0, 1, 2)),
    "pad all": lambda t, f, x: f.pad(x, (1, 1, 1, 1, 1, 1, 1, 1)),
    "reflect": lambda t, f, x: f.pad(x, (1, 2, 3, 0), mode="reflect"),
    "replicate": lambda t, f, x: f.pad(x, (1, 2, 3, 0), mode="replicate"),
    "circular": lambda t, f, x: f.pad(x, (1, 2, 3, 0), mode="circular"),
    "nearest": lambda t, f, x: f.interpolate(x, scale_factor=2),
    "nearest, odd": lambda t, f, x: f.interpolate(x, size=(7, 3)),
    "bilinear": lambda t, f, x: f.interpolate(x, size=(7, 9), mode="bilinear"),
    "bilinear, one dim": lambda t, f, x: f.interpolate(x, size=(4, 9), mode="bilinear"),
    "bicubic": lambda t, f, x: f.interpolate(x, size=(7, 9), mode="bicubic", align_corners=True),
    "antialiased": lambda t, f, x: f.interpolate(x, size=(3, 2), mode="bilinear", antialias=True),
    "same size": lambda t, f, x: f.interpolate(x, size=(4, 5)),
    "average": lambda t, f, x: f.avg_pool2d(x, 2),
    "average padded": lambda t, f, x: f.avg_pool2d(x, 3, 2, 1),
    "average to one": lambda t, f, x: f.adaptive_avg_pool2d(x, 1),
    "average to 3": lambda t, f, x: f.adaptive_avg_pool2d(x, 3),
    "loss of pairs": lambda t, f, x: f.mse_loss(x, t.ones(2, 8, 4, 5)),
    "losses of pairs": lambda t, f, x: f.smooth_l1_loss(x, t.ones(2, 8, 4, 5), reduction="none"),
    "losses of labels": lambda t, f, x: f.binary_cross_entropy_with_logits(
        x, x.detach() * 0 + 1, reduction="none"
    ),
    "group norm": lambda t, f, x: f.group_norm(x, 2, t.arange(8.0), t.ones(8)),
    "mean of pictures": lambda t, f, x: x.mean((2, 3)),
    "mean, kept": lambda t, f, x: x.mean((2, 3), keepdim=True),
    "sum": lambda t, f, x: x.sum(),
    "sum of channels": lambda t, f, x: x.sum(1),
    "sum of batch": lambda t, f, x: x.sum(0),
    "sum but channels": lambda t, f, x: x.sum((0, 2, 3)),
    "sum of dims apart": lambda t, f, x: x.sum((1, 3)),
    "amax": lambda t, f, x: x.amax((2, 3)),
    "max": lambda t, f, x: x.max(1)[0],
    "argmax": lambda t, f, x: x.argmax() + x.argmax(1).sum() + x.argmin(3).sum(),
    "var": lambda t, f, x: x.var((2, 3)),
    "norm": lambda t, f, x: x.norm(),
    "logsumexp": lambda t, f, x: x.logsumexp((2, 3)),
    "prod": lambda t, f, x: x.prod(2),
}


def run(t, f, shape):
    x = t.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32).tolist())
    last = t.channels_last if len(shape) == 4 else t.channels_last_3d
    x = x.to(memory_format=last).detach().requires_grad_()
    y = f(t, t.nn.functional, x)
    if y.requires_grad:
        (y * y).sum().backward()
    return y.detach(), x.grad


@pytest.mark.parametrize("name", CASES)
def test_as_in_pytorch(name):
    (y, dx), (want, want_dx) = (run(t, CASES[name], (2, 8, 4, 5)) for t in (pynn, torch))
    assert tuple(y.shape) == tuple(want.shape) and y.stride() == want.stride()
    np.testing.assert_allclose(y.numpy(), want.numpy(), rtol=1e-5, atol=1e-5)
    assert (dx is None) == (want_dx is None)
    if dx is not None:
        np.testing.assert_allclose(dx.numpy(), want_dx.numpy(), rtol=1e-4, atol=1e-4)


IN_3D = {
    "mul": lambda t, f, x: x * t.ones(4, 1, 1, 1),
    "cat": lambda t, f, x: t.cat([x, x], 1),
    "pad": lambda t, f, x: f.pad(x, (1, 0, 1, 2, 0, 1)),
    "nearest": lambda t, f, x: f.interpolate(x, scale_factor=2),
    "mean": lambda t, f, x: x.mean((2, 3, 4)),
}


@pytest.mark.parametrize("name", IN_3D)
def test_as_in_pytorch_in_3d(name):
    (y, dx), (want, want_dx) = (run(t, IN_3D[name], (2, 4, 3, 4, 5)) for t in (pynn, torch))
    assert y.stride() == want.stride()
    np.testing.assert_allclose(y.numpy(), want.numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dx.numpy(), want_dx.numpy(), rtol=1e-4, atol=1e-4)
