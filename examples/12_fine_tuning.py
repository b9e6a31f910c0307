"""Little data: a network trained on the digits 0 to 4 learns 5 to 9 from ten images each.

Run: pynn run examples/12_fine_tuning.py
"""

import common
import torch
import torch.nn.functional as F
from torch import nn, optim


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 5),
    )  # fmt: skip


def train(net, parameters, x, y, steps, lr, title):
    optimizer = optim.AdamW(parameters, lr=lr, weight_decay=0.01)
    for _ in common.progress(range(steps), title):
        i = torch.randint(len(x), (min(64, len(x)),))
        optimizer.zero_grad()
        F.cross_entropy(net(x[i]), y[i]).backward()
        optimizer.step()
    return net


@torch.no_grad()
def accuracy_of(net, x, y):
    return 100 * (net(x).argmax(1) == y).float().mean().item()


args = common.options(__doc__, steps=(1500, 20), few=(10, 10))
train_x, train_y, test_x, test_y = common.mnist()
old, old_test = train_y < 5, test_y < 5
new_x, new_y, new_test_x, new_test_y = (
    train_x[~old],
    train_y[~old] - 5,
    test_x[~old_test],
    test_y[~old_test] - 5,
)
few = torch.cat([(new_y == digit).nonzero()[: args.few, 0] for digit in range(5)])
few_x, few_y = new_x[few], new_y[few]

first = network()
train(first, first.parameters(), train_x[old], train_y[old], args.steps, 1e-3, "0 to 4")
print(
    f"0 to 4, {old.sum()} images: test accuracy {accuracy_of(first, test_x[old_test], test_y[old_test]):.2f} %"
)
torch.save(first.state_dict(), args.out / "12_fine_tuning.pt")

# From nothing: fifty images are too few.
scratch = network()
scratch = accuracy_of(
    train(scratch, scratch.parameters(), few_x, few_y, args.steps // 5, 1e-3, "from nothing"),
    new_test_x,
    new_test_y,
)
print(f"5 to 9, {len(few)} images, from nothing: {scratch:.2f} %")

# From the saved weights: everything but the last layer is kept, first frozen, then trained gently.
tuned = network()
weights = torch.load(args.out / "12_fine_tuning.pt", weights_only=True)
print(tuned.load_state_dict({k: v for k, v in weights.items() if not k.startswith("9.")}, strict=False))
train(tuned, tuned[9].parameters(), few_x, few_y, args.steps // 10, 1e-2, "last layer")
train(tuned, tuned.parameters(), few_x, few_y, args.steps // 10, 3e-4, "all layers")
print(f"5 to 9, {len(few)} images, fine-tuned: {accuracy_of(tuned, new_test_x, new_test_y):.2f} %")
