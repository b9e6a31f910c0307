"""Two networks against each other: one draws digits, the other tells them from real ones. Radford et al. 2015.

Run: pynn run examples/10_gan.py
"""

import common
import torch
import torch.nn.functional as F
from torch import nn, optim

args = common.options(__doc__, steps=(3000, 5), batch=(64, 16), width=(32, 8), lr=(2e-4, 2e-4))
train_x, train_y, _, _ = common.mnist()
w, noise = args.width, 64

generator = nn.Sequential(  # (N, noise) to (N, 1, 28, 28) in [0, 1]
    nn.Linear(noise, 2 * w * 49, bias=False), nn.BatchNorm1d(2 * w * 49), nn.ReLU(), nn.Unflatten(1, (2 * w, 7, 7)),
    nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(),
    nn.ConvTranspose2d(w, 1, 4, 2, 1), nn.Sigmoid(),
)  # fmt: skip
critic = nn.Sequential(  # (N, 1, 28, 28) to (N, 1): large for real
    nn.Conv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2),
    nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.LeakyReLU(0.2),
    nn.Flatten(), nn.Linear(2 * w * 49, 1),
)  # fmt: skip
for m in [*generator.modules(), *critic.modules()]:
    if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(m.weight, std=0.02)

steps_g = optim.Adam(generator.parameters(), lr=args.lr, betas=(0.5, 0.999))
steps_c = optim.Adam(critic.parameters(), lr=args.lr, betas=(0.5, 0.999))
loss_of = F.binary_cross_entropy_with_logits
curves = {"generator": [], "critic": []}
for _ in common.progress(range(args.steps), "drawing"):
    real = train_x[torch.randint(len(train_x), (args.batch,))]
    fake = generator(torch.randn(args.batch, noise))

    scores_real, scores_fake = critic(real), critic(fake.detach())
    loss_c = loss_of(scores_real, torch.full_like(scores_real, 0.9)) + loss_of(
        scores_fake, torch.zeros_like(scores_fake)
    )
    steps_c.zero_grad()
    loss_c.backward()
    steps_c.step()

    scores = critic(fake)
    loss_g = loss_of(scores, torch.ones_like(scores))
    steps_g.zero_grad()
    loss_g.backward()
    steps_g.step()
    curves["generator"].append(loss_g.item())
    curves["critic"].append(loss_c.item())

# A figure of merit: how far the drawn digits are from real ones in the eyes of a third network, as the squared
# Frechet distance of Gaussians fitted to its features (Heusel et al. 2017, with a judge trained here).
features = nn.Sequential(
    nn.Conv2d(1, 16, 5, 2),
    nn.ReLU(),
    nn.Conv2d(16, 32, 5, 2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 32),
    nn.ReLU(),
)
judge = nn.Sequential(features, nn.Linear(32, 10))
optimizer = optim.Adam(judge.parameters(), lr=2e-3)
for i in common.progress(common.batches(len(train_x), 64)[: 600 if not args.quick else 10], "judge"):
    optimizer.zero_grad()
    F.cross_entropy(judge(train_x[i]), train_y[i]).backward()
    optimizer.step()


@torch.no_grad()
def distance(a, b):
    a, b = features(a).double(), features(b).double()
    product = torch.linalg.eigvals(a.T.cov() @ b.T.cov()).real.clamp(min=0)
    return (
        ((a.mean(0) - b.mean(0)) ** 2).sum()
        + a.T.cov().trace()
        + b.T.cov().trace()
        - 2 * product.sqrt().sum()
    )


generator.eval()
count = 2000 if not args.quick else 200
with torch.no_grad():
    drawn = generator(torch.randn(count, noise))
order = torch.randperm(len(train_x))[: 2 * (count // 2 + count // 2)]
real, other = train_x[order[:count]], train_x[order[-count:]]
common.save_images(args.out / "10_gan.png", drawn[:128])
common.plot(args.out / "10_gan_curves.png", loss=curves)
print(
    f"Frechet distance to real digits {distance(drawn, real):.2f} (of noise {distance(torch.rand_like(real), real):.2f}, of other real ones {distance(other, real):.2f})"
)
