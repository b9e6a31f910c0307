"""A variational autoencoder: digits in two numbers each, and new digits from numbers. Kingma and Welling 2013.

Run: pynn run examples/09_vae.py
"""

import common
import torch
import torch.nn.functional as F
from torch import nn, optim


class VAE(nn.Module):
    def __init__(self, width=400, code=2):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 2 * code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 784)
        )

    def forward(self, x):
        """Images to the logits of their pixels, and mean and log-variance of their codes."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


def loss_of(net, x):
    """Minus the evidence lower bound, in nats an image: pixels that differ, and codes that stray from N(0, 1)."""
    logits, mean, log_variance = net(x)
    pixels = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (pixels + divergence) / len(x)


args = common.options(__doc__, epochs=(10, 1), batch=(128, 128), lr=(1e-3, 1e-3))
train_x, _, test_x, _ = common.mnist()
net = VAE()
optimizer = optim.Adam(net.parameters(), lr=args.lr)
losses = []
for epoch in range(args.epochs):
    for i in common.progress(common.batches(len(train_x), args.batch), f"epoch {epoch + 1}"):
        optimizer.zero_grad()
        loss = loss_of(net, train_x[i])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}: loss {sum(losses[-100:]) / len(losses[-100:]):.2f} nats an image")

with torch.no_grad():
    steps = torch.distributions.Normal(0.0, 1.0).icdf(torch.linspace(0.03, 0.97, 16))
    grid = torch.cartesian_prod(steps, steps)  # the whole plane of codes, evenly by probability
    common.save_images(args.out / "09_vae.png", net.decoder(grid).sigmoid().view(-1, 1, 28, 28))
    print(f"test loss {loss_of(net, test_x).item():.2f} nats an image")
