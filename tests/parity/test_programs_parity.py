"""Whole programs, unchanged, under PyTorch and under `pynn run`: what they print agrees."""

import os
import subprocess
import sys
import textwrap

import pytest

import pynn

pytest.importorskip("torch")

PATH = os.path.dirname(pynn.__path__[0])

CLASSIFIER = """
import argparse, os
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler, random_split
from torch.utils.checkpoint import checkpoint


class Rings(Dataset):
    def __init__(self, n):
        g = torch.Generator().manual_seed(5)
        self.x = torch.randn(n, 2, generator=g)
        self.y = (self.x.norm(dim=1) > 1.2).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i] + 0.01 * torch.randn(2), self.y[i]


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.GELU())
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.norm(checkpoint(self.body, x, use_reentrant=False)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.epochs)
    torch.backends.cudnn.deterministic = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train, test = random_split(Rings(256), [192, 64])
    loader = DataLoader(train, 32, shuffle=True, num_workers=args.workers, pin_memory=device.type == "cuda")
    model = torch.compile(Net(16), disable=True).to(device)
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    schedule = StepLR(optimizer, 1, gamma=0.7)
    for epoch in range(args.epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x.to(device)), y.to(device))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            outputs = [(model(x), y) for x, y in DataLoader(test, 64)]
        right = sum((o.argmax(1) == y).sum().item() for o, y in outputs)
        print(f"epoch {epoch}: loss {loss.item():.4f}, right {right}, lr {schedule.get_last_lr()[0]:.5f}")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, "last.pt")
    saved = torch.load("last.pt", map_location=device)
    again = Net(16)
    print(again.load_state_dict(saved["model"]), saved["epoch"])
    x = torch.ones(1, 2)
    print(torch.allclose(again(x), model(x)), sum(p.numel() for p in again.parameters()))
    print(again)


if __name__ == "__main__":
    main()
"""

POLICY = """
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.autograd.functional import hessian, jacobian
from torch.nn.parallel import DataParallel

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.Linear(5, 1))
params = {k: v.detach() for k, v in net.named_parameters()}
x, y = torch.randn(4, 3), torch.randn(4, 1)
loss = lambda p, a, b: (functional_call(net, p, (a.unsqueeze(0),)).squeeze(0) - b).pow(2).sum()
each = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
print({k: (tuple(v.shape), round(v.abs().sum().item(), 3)) for k, v in each.items()})
print(jacobian(lambda a: (a ** 2).cumsum(0), torch.arange(3.0)))
print(hessian(lambda a: (a ** 3).sum() * a[0], torch.arange(3.0)))
@torch.no_grad()
def value():
    return net(x).mean()
print(f"{value().item():.4f}", torch.distributed.is_available() and torch.distributed.is_initialized())
torch.testing.assert_close(net(x), DataParallel(net)(x))
print(list(DataParallel(net).state_dict()))
"""


def run(command, folder):
    folder.mkdir()
    env = {key: v for key, v in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONWARNINGS": "ignore"}
    if "pynn" in command:
        env["PYTHONPATH"] = PATH
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=folder, env=env, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "program, args", [(CLASSIFIER, ()), (CLASSIFIER, ("--workers", "2", "--epochs", "2")), (POLICY, ())]
)
def test_same_output(program, args, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(program))
    theirs = run([str(script), *args], tmp_path / "theirs")
    ours = run(["-m", "pynn", "run", str(script), *args], tmp_path / "ours")
    assert ours == theirs


def test_each_reads_what_the_other_saved(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(CLASSIFIER))
    reader = tmp_path / "reader.py"
    reader.write_text(
        "import sys, torch\nsaved = torch.load(sys.argv[1])\n"
        "print(saved['epoch'], {k: f'{v.sum().item():.4f}' for k, v in saved['model'].items()})\n"
    )
    run([str(script)], tmp_path / "theirs")
    run(["-m", "pynn", "run", str(script)], tmp_path / "ours")
    a = run(["-m", "pynn", "run", str(reader), str(tmp_path / "theirs" / "last.pt")], tmp_path / "a")
    b = run([str(reader), str(tmp_path / "ours" / "last.pt")], tmp_path / "b")
    assert a == b
