"""Two small language models train as in PyTorch: a GPT over characters, and an LSTM over packed sentences."""

import math

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

TEXT = "the quick brown fox jumps over the lazy dog, and then the dog sleeps while the fox runs away. " * 4
LETTERS = sorted(set(TEXT))
CODES = np.array([LETTERS.index(c) for c in TEXT])


def gpt(lib, layers=2, width=32, heads=4, context=16):
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv = nn.Linear(width, 3 * width)
            self.out = nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).split(width, dim=2)
            q, k, v = (y.view(b, t, heads, width // heads).transpose(1, 2) for y in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).contiguous().view(b, t, width))
            return x + self.mlp(self.norm2(x))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(len(LETTERS), width)
            self.places = nn.Embedding(context, width)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, len(LETTERS), bias=False)
            self.head.weight = self.tokens.weight
            self.apply(self.start)

        def start(self, m):
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.02)
            if isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.zeros_(m.bias)

        def forward(self, x, targets):
            h = self.tokens(x) + self.places(lib.arange(x.size(1)))
            for block in self.blocks:
                h = block(h)
            logits = self.head(self.norm(h))
            return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))

    return GPT()


def lstm(lib, width=24):
    nn = lib.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(len(LETTERS) + 1, 12, padding_idx=len(LETTERS))
            self.rnn = nn.LSTM(12, width, num_layers=2, batch_first=True, bidirectional=False)
            self.head = nn.Linear(width, len(LETTERS))

        def forward(self, x, lengths, targets):
            packed = nn.utils.rnn.pack_padded_sequence(self.tokens(x), lengths, True, enforce_sorted=False)
            h, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
            return nn.functional.cross_entropy(
                self.head(h).flatten(0, 1), targets.flatten(), ignore_index=len(LETTERS)
            )

    return Model()


def windows(lib, step, batch=4, context=16):
    starts = np.random.default_rng(step).integers(0, len(CODES) - context - 1, batch)
    x = np.stack([CODES[s : s + context] for s in starts])
    y = np.stack([CODES[s + 1 : s + context + 1] for s in starts])
    return lib.from_numpy(x), lib.from_numpy(y)


def sentences(lib, step, batch=5):
    rng = np.random.default_rng(step)
    lengths = rng.integers(3, 15, batch).tolist()
    starts = rng.integers(0, len(CODES) - 20, batch)
    pad = len(LETTERS)
    rows = [CODES[s : s + n + 1] for s, n in zip(starts, lengths, strict=True)]
    longest = max(lengths)
    x = np.stack([np.pad(r[:-1], (0, longest - len(r) + 1), constant_values=pad) for r in rows])
    y = np.stack([np.pad(r[1:], (0, longest - len(r) + 1), constant_values=pad) for r in rows])
    return lib.from_numpy(x), lengths, lib.from_numpy(y)


def train(lib, make, batch, steps=5):
    lib.manual_seed(1337)
    model = make(lib)
    optimizer = lib.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = lib.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for step in range(steps):
        loss = model(*batch(lib, step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        losses += [loss.item(), float(lib.nn.utils.clip_grad_norm_(model.parameters(), 1.0))]
        optimizer.step()
        schedule.step()
    return losses, [p.detach().numpy() for p in model.parameters()], list(model.state_dict())


@pytest.mark.parametrize("make,batch", [(gpt, windows), (lstm, sentences)])
def test_training(make, batch):
    (losses, weights, names), (theirs, their_weights, their_names) = (
        train(lib, make, batch) for lib in (pynn, torch)
    )
    assert names == their_names and abs(losses[0] - math.log(len(LETTERS))) < 0.5
    np.testing.assert_allclose(losses, theirs, rtol=1e-4, atol=1e-4)
    for a, b in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
