"""ResNet-18 on 10,000 photographs of ten kinds, with shifted, mirrored and partly hidden copies against overfitting.

Run: pynn run examples/05_cifar_resnet.py
"""

import common
import torch
import torch.nn.functional as F
from torch import nn, optim


class Block(nn.Module):
    """Two 3x3 convolutions beside a short cut. He et al. 2015, arXiv:1512.03385."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet18(width=64):
    layers = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for outputs, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
        layers += [Block(inputs, outputs, stride), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def augment(x):
    """Each image (3, 32, 32) of a batch shifted by up to 4 pixels, mirrored or not, with a square of 8 hidden."""
    n = len(x)
    x = F.pad(x, (4, 4, 4, 4), mode="reflect")
    rows = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    columns = torch.randint(0, 9, (n, 1)) + torch.arange(32)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns, columns.flip(1))
    x = x[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    top, left = torch.randint(0, 25, (2, n, 1, 1))
    i = torch.arange(32)
    hidden = ((i[:, None] - top) // 8 == 0) & ((i - left) // 8 == 0)
    return x.masked_fill(hidden[:, None], 0.0)


args = common.options(__doc__, epochs=(20, 1), batch=(64, 64), lr=(2e-3, 2e-3), width=(64, 8))
train_x, train_y, test_x, test_y = common.cifar10()
mean, std = train_x.mean((0, 2, 3), keepdim=True), train_x.std((0, 2, 3), keepdim=True)
train_x, test_x = (train_x - mean) / std, (test_x - mean) / std

net = resnet18(args.width)
steps = args.epochs * (len(train_x) // args.batch)
optimizer = optim.AdamW(net.parameters(), lr=args.lr, weight_decay=0.05)
scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=args.lr, total_steps=steps)
losses, accuracies = [], []
for epoch in range(args.epochs):
    net.train()
    for i in common.progress(common.batches(len(train_x), args.batch), f"epoch {epoch + 1}"):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(augment(train_x[i])), train_y[i], label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        hits = sum((net(x).argmax(1) == y).sum().item() for x, y in zip(test_x.split(200), test_y.split(200)))
    accuracies.append(100 * hits / len(test_y))
    print(
        f"epoch {epoch + 1}: loss {sum(losses[-100:]) / len(losses[-100:]):.4f}, test accuracy {accuracies[-1]:.2f} %"
    )

common.save_images(args.out / "05_cifar_resnet.png", augment(train_x[:32]) * std + mean)
common.plot(args.out / "05_cifar_resnet_curves.png", loss=losses, test_accuracy=accuracies)
print(f"test accuracy {accuracies[-1]:.2f} %")
