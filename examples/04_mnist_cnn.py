"""A convolutional network on handwritten digits: 99 % after three passes over MNIST.

Run: pynn run examples/04_mnist_cnn.py
"""

import common
import torch
import torch.nn.functional as F
from torch import nn, optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(64 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # (N, 32, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 64, 7, 7)
        x = F.relu(self.fc1(self.dropout(x.flatten(1))))
        return self.fc2(x)


@torch.no_grad()
def accuracy_of(net, x, y):
    net.eval()
    hits = sum((net(a).argmax(1) == b).sum().item() for a, b in zip(x.split(500), y.split(500)))
    net.train()
    return 100 * hits / len(y)


args = common.options(__doc__, epochs=(3, 1), batch=(64, 64), lr=(1e-3, 3e-3))
train_x, train_y, test_x, test_y = common.mnist()

net = Net()
steps = args.epochs * (len(train_x) // args.batch)
optimizer = optim.Adam(net.parameters(), lr=args.lr)
scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2 * args.lr, total_steps=steps)
losses = []
for epoch in range(args.epochs):
    for i in common.progress(common.batches(len(train_x), args.batch), f"epoch {epoch + 1}"):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(train_x[i]), train_y[i])
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    accuracy = accuracy_of(net, test_x, test_y)
    print(
        f"epoch {epoch + 1}: loss {sum(losses[-100:]) / len(losses[-100:]):.4f}, test accuracy {accuracy:.2f} %"
    )

with torch.no_grad():
    maps = net.conv1(test_x[:8]).relu().flatten(0, 1)[:, None]  # what the 32 filters see in 8 digits
common.save_images(args.out / "04_mnist_cnn.png", maps / maps.amax(), columns=32)
torch.save(net.state_dict(), args.out / "04_mnist_cnn.pt")  # 12_fine_tuning.py starts from it
print(f"test accuracy {accuracy:.2f} %")
