"""A network of two layers that reads handwritten digits: 784 -> 128 -> 10.

Run: pynn run examples/03_mnist_mlp.py
"""

import common
import torch
from torch import nn, optim

args = common.options(__doc__, epochs=(5, 1), batch=(64, 64), lr=(1e-3, 1e-2))
train_x, train_y, test_x, test_y = common.mnist()

net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
loss_of = nn.CrossEntropyLoss()
optimizer = optim.Adam(net.parameters(), lr=args.lr)

losses = []
for epoch in range(args.epochs):
    for i in common.progress(common.batches(len(train_x), args.batch), f"epoch {epoch + 1}"):
        optimizer.zero_grad()
        loss = loss_of(net(train_x[i]), train_y[i])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        accuracy = (net(test_x).argmax(1) == test_y).float().mean().item()
    print(
        f"epoch {epoch + 1}: loss {sum(losses[-100:]) / len(losses[-100:]):.4f}, test accuracy {100 * accuracy:.2f} %"
    )

# Each neuron of the first layer as a picture of what it looks for.
filters = net[1].weight.detach().view(-1, 1, 28, 28)
common.save_images(
    args.out / "03_mnist_mlp.png", 0.5 + filters / filters.abs().amax((2, 3), keepdim=True) / 2
)
print(f"test accuracy {100 * accuracy:.2f} %")
