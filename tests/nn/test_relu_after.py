"""A ReLU that runs in the pass of the layer before it: same values, gradients and graph as of two calls."""

import sys

import pytest
from helpers import arr, same_bits, tensor

import pynn
from pynn import nn
from pynn.vision import models

LAYERS = {
    "linear": (lambda: nn.Linear(7, 20), (5, 7)),
    "linear of vectors": (lambda: nn.Linear(7, 20, bias=False), (7,)),
    "linear of sequences": (lambda: nn.Linear(30, 33), (4, 6, 30)),
    "conv1d": (lambda: nn.Conv1d(3, 9, 3, padding="same"), (2, 3, 20)),
    "conv2d": (lambda: nn.Conv2d(16, 20, 3, padding=1), (2, 16, 9, 10)),
    "unbatched conv2d": (lambda: nn.Conv2d(3, 8, 5, stride=2), (3, 19, 20)),
    "depthwise": (lambda: nn.Conv2d(12, 12, 3, groups=12), (2, 12, 9, 10)),
    "pointwise": (lambda: nn.Conv2d(12, 30, 1), (2, 12, 5, 5)),
    "reflecting": (lambda: nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect"), (2, 4, 6, 6)),
    "conv3d": (lambda: nn.Conv3d(2, 5, 2), (2, 2, 4, 5, 6)),
    "norm of rows": (lambda: nn.BatchNorm1d(37), (12, 37)),
    "norm of pictures": (lambda: nn.BatchNorm2d(5), (4, 5, 6, 7)),
    "norm in evaluation": (lambda: nn.BatchNorm2d(5).eval(), (4, 5, 6, 7)),
}


def results(net, x):
    """The output, all gradients and the buffers."""
    x = x.detach().requires_grad_()
    y = net(x)
    g = tensor(arr(*y.shape, seed=9), y.dtype)
    return [y, *pynn.autograd.grad(y, [x, *net.parameters()], g), *net.buffers()]


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64, pynn.bfloat16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_same_as_two_calls(name, dtype):
    make, shape = LAYERS[name]
    layer = make().to(dtype)
    twin = make().to(dtype)
    twin.load_state_dict(layer.state_dict())
    twin.train(layer.training)
    x = tensor(arr(*shape, seed=4), dtype)
    together = nn.Sequential(layer, nn.ReLU())
    apart = nn.Sequential(nn.Sequential(twin), nn.ReLU())
    found, expected = results(together, x), results(apart, x)
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))
    assert (found[0] == 0).any() and (found[0] > 0).any()
    with pynn.no_grad():
        assert same_bits(together.eval()(x), apart.eval()(x))
    x[(0,) * x.dim()] = float("nan")
    assert same_bits(together(x), apart(x))


def test_graph_is_that_of_two_calls():
    y = nn.Sequential(nn.Linear(3, 4), nn.ReLU())(pynn.ones(2, 3))
    assert y.grad_fn.name() == "ReluBackward0"
    assert y.grad_fn.next_functions[0][0].name() == "AddmmBackward0"
    before = y.detach().clone()
    y.add_(1)  # ReLU's derivative reads its result
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    assert (y == before + 1).all()


def calls_of(net, x):
    """How many modules' hooks run, which they do only if each module is called."""
    seen = []
    for module in net:
        module.register_forward_hook(lambda m, args, out: seen.append((type(m).__name__, out.min().item())))
    net(x)
    return seen


def test_hooks_see_each_module():
    net = nn.Sequential(nn.Linear(3, 40), nn.ReLU(), nn.ReLU(), nn.Linear(40, 2))
    seen = calls_of(net, pynn.ones(2, 3))
    assert [name for name, _ in seen] == ["Linear", "ReLU", "ReLU", "Linear"]
    assert seen[0][1] < 0 <= seen[1][1]


def test_own_forwards_run():
    class Doubled(nn.Linear):
        def forward(self, input):
            return super().forward(input) * 2

    class Standardised(nn.Conv1d):
        def _conv_forward(self, input, weight, bias):
            return super()._conv_forward(input, weight * 3, bias)

    for layer, x in ((Doubled(3, 40), pynn.ones(2, 3)), (Standardised(1, 9, 2), pynn.ones(1, 1, 5))):
        assert same_bits(nn.Sequential(layer, nn.ReLU())(x), layer(x).relu())
    layer, x = nn.Linear(3, 40), pynn.ones(2, 3)
    layer.forward = lambda input: pynn.full((2,), -5.0)
    assert nn.Sequential(layer, nn.ReLU())(x).tolist() == [0, 0]
    relu = nn.ReLU()
    relu.forward = lambda input: input - 7
    assert (
        same_bits(nn.Sequential(nn.Linear(3, 3), relu)(x * 0), nn.Sequential(nn.Identity(), relu)(x * 0))
        is False
    )

    class Leaky(nn.ReLU):
        def forward(self, input):
            return input

    assert (nn.Sequential(nn.Linear(3, 40), Leaky())(x) < 0).any()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_failing_module_is_named():
    with pytest.raises(RuntimeError) as error:
        nn.Sequential(nn.Identity(), nn.Linear(3, 4), nn.ReLU())(pynn.ones(2, 5))
    assert error.value.__notes__ == ["raised in submodule 1 of Sequential"]


def test_autocast_takes_both():
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    with pynn.autocast("cpu", dtype=pynn.bfloat16):
        assert net(pynn.ones(2, 8)).dtype == pynn.bfloat16


def test_resnet_with_hooks_is_the_same():
    net, x = models.resnet18(num_classes=10).eval(), tensor(arr(1, 3, 32, 32), pynn.float32)
    with pynn.no_grad():
        y = net(x)
        for module in net.modules():
            module.register_forward_hook(lambda m, args, out: None)
        assert same_bits(net(x), y)
