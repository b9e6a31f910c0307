"""The same program, with nothing but the import changed, gives the same losses from the same seed."""

import pytest

import pynn

torch = pytest.importorskip("torch")

PROGRAM = """
class SimpleNet(nn.Module):
    def __init__(self):
        super(SimpleNet, self).__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = torch.relu(self.fc1(x))
        return torch.softmax(self.fc2(x), dim=1)

torch.manual_seed(0)
net = SimpleNet()
images, labels = torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
optimizer = make_optimizer(net.parameters())
criterion = nn.CrossEntropyLoss()
losses = []
for step in range(100):
    optimizer.zero_grad()
    loss = criterion(net(images), labels)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
"""


@pytest.mark.parametrize(
    "make",
    [
        lambda optim: lambda parameters: optim.SGD(parameters, lr=0.5, momentum=0.9),
        lambda optim: lambda parameters: optim.Adam(parameters, lr=1e-3),
    ],
    ids=["SGD", "Adam"],
)
def test_simple_net_trains_alike(make):
    losses = []
    for lib in (pynn, torch):
        names = {"torch": lib, "nn": lib.nn, "make_optimizer": make(lib.optim)}
        exec(PROGRAM, names)
        losses.append(names["losses"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0][-1] < losses[0][0] - 0.3
