"""Peak resident memory of training steps, each in a process of its own: at most PyTorch's."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status"),
]

# What the libraries take at their first product, convolution and recurrent layer is there before the model is built.
PROGRAM = """
import sys
import {lib} as torch
nn, F = torch.nn, torch.nn.functional
torch.set_num_threads(1)

def resident(what):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) / 1024

def warm(layer, *shape):
    y = layer(torch.randn(*shape, requires_grad=True))
    (y[0] if isinstance(y, tuple) else y).sum().backward()

def picture_loss(m, classes=10):
    x, target = torch.randn(m.batch, 3, 32, 32), torch.randint(0, classes, (m.batch,))
    return lambda: F.cross_entropy(m(x), target)

def text_loss(m, rows, length, words):
    text = torch.randint(0, words, (rows, length + 1))
    return lambda: F.cross_entropy(m(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())

def cnn():
    m = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4096, 10))
    m.batch = 128
    return m, picture_loss(m)

class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                                  nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.short = nn.Identity()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x))

def resnet18():
    sizes = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [b for i, o, stride in sizes for b in (Block(i, o, stride), Block(o, o, 1))]
    m = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *blocks,
                      nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    m.batch = 32
    return m, picture_loss(m)

class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(5000, 256), nn.Linear(256, 5000)
        self.lstm = nn.LSTM(256, 256, 2, batch_first=True)

    def forward(self, x):
        return self.out(self.lstm(self.words(x))[0])

def lstm():
    m = LSTM()
    return m, text_loss(m, 16, 64, 5000)

class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        heads = [t.unflatten(2, (4, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, 2)]
        x = x + self.out(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

class GPT(nn.Module):
    def __init__(self, words=1000, length=128, d=128):
        super().__init__()
        self.words, self.places = nn.Embedding(words, d), nn.Embedding(length, d)
        self.layers = nn.Sequential(*[Layer(d) for _ in range(4)], nn.LayerNorm(d), nn.Linear(d, words))

    def forward(self, x):
        return self.layers(self.words(x) + self.places(torch.arange(x.shape[1])))

def gpt():
    m = GPT()
    return m, text_loss(m, 32, 128, 1000)

warm(nn.Linear(3, 2), 4, 3)
warm(nn.Conv2d(3, 8, 3), 1, 3, 8, 8)
warm(nn.LSTM(3, 4), 2, 2, 3)
before = resident("VmHWM")
model, loss = {model}()
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(3):
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
print(resident("VmHWM") - before)
"""


def growth(lib, model):
    """MiB that the process grows by in three steps."""
    program = PROGRAM.replace("{lib}", lib).replace("{model}", model)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("model", ["cnn", "lstm", "gpt", "resnet18"])
def test_peak_of_training(model):
    ours, theirs = growth("pynn", model), growth("torch", model)
    print(f"{model}: {ours:.0f} MiB, PyTorch {theirs:.0f}")
    assert ours <= theirs
