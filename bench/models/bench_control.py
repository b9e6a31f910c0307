"""A 4-64-64-2 network, as in control and reinforcement learning: one state in, two action values out."""

from bench.registry import bench


def network(fw):
    nn = fw.nn
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))


@bench(ratio=0.3)
def inference(fw):
    model, x, no_grad = network(fw), fw.randn(1, 4), fw.no_grad

    def call():
        with no_grad():
            model(x)

    return call


@bench(params=(1, 32), ratio=0.25)
def train_adam(fw, batch):
    model, x, y = network(fw), fw.randn(batch, 4), fw.randn(batch, 2)
    optimizer, criterion = fw.optim.Adam(model.parameters(), lr=1e-4), fw.nn.MSELoss()

    def call():
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return call
