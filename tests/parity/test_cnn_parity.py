"""Whole networks beside PyTorch: the same losses over five steps, the same state after them."""

import numpy as np
import pytest
from both_libraries import LIBS, assert_close, tensor


def small_cnn(lib):
    nn = lib.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 8, 3)
            self.conv2 = nn.Conv2d(8, 16, 3)
            self.dropout = nn.Dropout2d(0.0)
            self.fc1 = nn.Linear(16 * 12 * 12, 32)
            self.fc2 = nn.Linear(32, 10)

        def forward(self, x):
            x = nn.functional.relu(self.conv1(x))
            x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2)
            x = self.dropout(x)
            x = nn.functional.relu(self.fc1(lib.flatten(x, 1)))
            return nn.functional.log_softmax(self.fc2(x), dim=1)

    return Net()


def resnet(lib, width=8, classes=10):
    """Eight residual blocks in four stages, as ResNet-18 has them. He et al. 2015, arXiv:1512.03385."""
    nn = lib.nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if stride != 1 or inputs != outputs:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x):
            out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            out += x if self.downsample is None else self.downsample(x)
            return self.relu(out)

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(3, 2, 1)
            inputs = width
            for i in range(4):
                outputs, stride = width << i, 1 if i == 0 else 2
                blocks = [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
                setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
                inputs = outputs
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(inputs, classes)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

        def forward(self, x):
            x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(lib.flatten(self.avgpool(x), 1))

    return ResNet()


def train(lib, make, loss_of, optimiser, shape, steps, dtype):
    lib.manual_seed(0)
    net = make(lib).to(getattr(lib, dtype))
    rng = np.random.default_rng(1)
    losses = []
    opt = optimiser(lib, net.parameters())
    for _ in range(steps):
        x = tensor(lib, rng.standard_normal(shape), dtype)
        target = tensor(lib, rng.integers(0, 10, shape[0]))
        opt.zero_grad()
        loss = loss_of(lib)(net(x), target)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    out = net(tensor(lib, rng.standard_normal(shape), dtype))
    return losses, net, out


def compare_training(make, loss_of, optimiser, shape, tol=1e-4, steps=5, dtype="float32"):
    (ours, net, out), (theirs, reference, expected) = (
        train(lib, make, loss_of, optimiser, shape, steps, dtype) for lib in LIBS
    )
    np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol)
    assert repr(net) == repr(reference)
    state, other = net.state_dict(), reference.state_dict()
    assert list(state) == list(other)
    for key in state:
        assert_close(state[key], other[key], 20 * tol, key)
    assert_close(out, expected, 20 * tol)


def test_mnist_cnn():
    compare_training(
        small_cnn,
        lambda lib: lib.nn.functional.nll_loss,
        lambda lib, p: lib.optim.Adam(p, 1e-3),
        (16, 1, 28, 28),
    )


# In float32 rounding of 1e-6 changes the side of a relu in some step, and with it a gradient by per cents: so few steps.
@pytest.mark.parametrize(("dtype", "steps", "tol"), [("float32", 3, 1e-4), ("float64", 5, 1e-6)])
def test_resnet(dtype, steps, tol):
    compare_training(
        resnet,
        lambda lib: lib.nn.CrossEntropyLoss(label_smoothing=0.1),
        lambda lib, p: lib.optim.SGD(p, 0.01, momentum=0.9, weight_decay=1e-4),
        (8, 3, 64, 64),
        tol,
        steps,
        dtype,
    )
