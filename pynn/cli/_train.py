"""The network of the demo and its training loop, as a PyTorch user writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pynn as torch
import pynn.nn as nn
import pynn.optim as optim
from pynn.cli._data import Data
from pynn.utils.data import DataLoader, TensorDataset


class SimpleNet(nn.Module):
    def __init__(self) -> None:
        super(SimpleNet, self).__init__()  # noqa: UP008 (as PyTorch programs write it)
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.flatten(x, 1)
        x = torch.relu(self.fc1(x))
        x = self.fc2(x)
        return torch.softmax(x, dim=1)


class Epoch(NamedTuple):
    loss: float  # mean over the training images, while the weights moved
    accuracy: float  # per cent of the held-out images


def train(
    net: SimpleNet,
    data: Data,
    epochs: int,
    lr: float,
    batch_size: int,
    seed: int,
    after_step: Callable[[], object],
) -> Iterator[Epoch]:
    """Train by Adam, its rate falling from `lr` along half a cosine; yields after each epoch.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(seed)
    dataset = TensorDataset(data.train_x, data.train_y)
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True, generator=generator)
    loss_of = nn.NLLLoss()
    optimizer = optim.Adam(net.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(1, epochs + 1):
        net.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            # the network ends in a softmax; 1e-12 keeps the logarithm of a vanished probability finite
            loss = loss_of(torch.log(net(x) + 1e-12), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            after_step()
        scheduler.step()
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss became {total} in epoch {epoch} (try a smaller --lr)")
        correct = (predict(net, data.test_x).argmax(1) == data.test_y).sum().item()
        yield Epoch(total / len(dataset), 100 * correct / len(data.test_y))


def predict(net: SimpleNet, images: torch.Tensor) -> torch.Tensor:
    """Probabilities (N, 10)."""
    net.eval()
    with torch.no_grad():
        probabilities: torch.Tensor = net(images)
    return probabilities
