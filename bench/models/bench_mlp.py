"""The 784-128-10 network on digits: training steps and inference."""

from typing import Any

from bench.registry import bench

BATCHES = (1, 64, 256)
WEIGHTS = 784 * 128 + 128 * 10


def network(fw):
    nn = fw.nn
    base: Any = nn.Module

    class SimpleNet(base):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(784, 128)
            self.fc2 = nn.Linear(128, 10)

        def forward(self, x):
            x = fw.flatten(x, 1)
            return self.fc2(fw.relu(self.fc1(x)))

    return SimpleNet()


def step(fw, make_optimizer, batch):
    model, x, y = network(fw), fw.rand(batch, 1, 28, 28), fw.randint(0, 10, (batch,))
    optimizer, criterion = make_optimizer(model.parameters()), fw.nn.CrossEntropyLoss()

    def call():
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return call


# Forward, and the gradients of the weights (the input needs none in the first layer).
@bench(params=BATCHES, ratio=0.35, flops=lambda batch: 2 * batch * (2 * WEIGHTS + 1280))
def train_sgd(fw, batch):
    return step(fw, lambda parameters: fw.optim.SGD(parameters, lr=1e-3), batch)


@bench(params=BATCHES, ratio=0.35, flops=lambda batch: 2 * batch * (2 * WEIGHTS + 1280))
def train_adam(fw, batch):
    return step(fw, lambda parameters: fw.optim.Adam(parameters, lr=1e-4), batch)


@bench(params=BATCHES, ratio=0.5, flops=lambda batch: 2 * batch * WEIGHTS)
def inference(fw, batch):
    model, x, no_grad = network(fw).eval(), fw.rand(batch, 1, 28, 28), fw.no_grad

    def call():
        with no_grad():
            model(x)

    return call
