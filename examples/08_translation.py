"""A Transformer that translates German into English, word by word.

Run: pynn run examples/08_translation.py
"""

import math
from collections import Counter

import common
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.nn.utils.rnn import pad_sequence

PAD, START, END, UNKNOWN = range(4)


class Words:
    """The words that occur at least `least` times, by number."""

    def __init__(self, sentences, least):
        counts = Counter(w for s in sentences for w in self.split(s))
        self.words = ["", "<s>", "</s>", "?"] + sorted(w for w, n in counts.items() if n >= least)
        self.number = {w: i for i, w in enumerate(self.words)}

    @staticmethod
    def split(sentence):
        return "".join(c if c.isalnum() or c == " " else f" {c} " for c in sentence).split()

    def encode(self, sentence):
        return torch.tensor([START, *(self.number.get(w, UNKNOWN) for w in self.split(sentence)), END])

    def decode(self, numbers):
        return " ".join(self.words[i] for i in numbers)


class Translator(nn.Module):
    """Vaswani et al. 2017, arXiv:1706.03762, with norms before the layers."""

    def __init__(self, sources, targets, width, layers, longest=128):
        super().__init__()
        self.source, self.target = nn.Embedding(sources, width, PAD), nn.Embedding(targets, width, PAD)
        self.transformer = nn.Transformer(
            width, 4, layers, layers, 4 * width, 0.1, batch_first=True, norm_first=True
        )
        self.head = nn.Linear(width, targets)
        place = torch.arange(longest)[:, None] * torch.exp(
            torch.arange(0, width, 2) * (-math.log(10_000) / width)
        )
        self.register_buffer(
            "places", torch.stack([place.sin(), place.cos()], dim=2).flatten(1), persistent=False
        )

    def forward(self, source, target):
        """Words (N, S) and the first words of the translation (N, T) to scores of each next word (N, T, targets)."""
        t = target.shape[1]
        later = torch.ones(t, t, dtype=torch.bool).triu(1)
        x = self.source(source) * math.sqrt(self.source.embedding_dim) + self.places[: source.shape[1]]
        y = self.target(target) * math.sqrt(self.target.embedding_dim) + self.places[:t]
        hidden = source == PAD
        y = self.transformer(
            x,
            y,
            tgt_mask=later,
            src_key_padding_mask=hidden,
            memory_key_padding_mask=hidden,
            tgt_key_padding_mask=target == PAD,
        )
        return self.head(y)

    @torch.no_grad()
    def translate(self, source, longest=40):
        """The likeliest next word, again and again: (N, S) to a list of lists of words."""
        target = torch.full((len(source), 1), START)
        for _ in range(longest):
            target = torch.cat([target, self(source, target)[:, -1:].argmax(2)], dim=1)
        rows = target[:, 1:].tolist()
        return [row[: row.index(END)] if END in row else row for row in rows]


def bleu(pairs):
    """Share of runs of 1 to 4 words found in the reference, times a penalty for short ones. Papineni et al. 2002."""
    hits, total, ours, theirs = [0] * 4, [0] * 4, 0, 0
    for guess, truth in pairs:
        ours, theirs = ours + len(guess), theirs + len(truth)
        for n in range(4):
            runs = [Counter(tuple(s[i : i + n + 1]) for i in range(len(s) - n)) for s in (guess, truth)]
            hits[n] += (runs[0] & runs[1]).total()
            total[n] += runs[0].total()
    if min(hits) == 0:
        return 0.0
    precision = sum(math.log(h / t) for h, t in zip(hits, total)) / 4
    return 100 * math.exp(precision + min(0.0, 1 - theirs / ours))


args = common.options(
    __doc__,
    epochs=(8, 1),
    batch=(64, 32),
    width=(256, 32),
    layers=(3, 1),
    lr=(5e-4, 1e-3),
    pairs=(10**9, 640),
)
train, test = common.sentences()
train = train[: args.pairs]
german, english = (Words([pair[i] for pair in train], 2 if len(train) > 20_000 else 1) for i in (0, 1))
data = sorted(
    ((german.encode(g), english.encode(e)) for g, e in train), key=lambda pair: len(pair[0])
)  # alike lengths together

net = Translator(len(german.words), len(english.words), args.width, args.layers)
optimizer = optim.AdamW(net.parameters(), lr=args.lr, betas=(0.9, 0.98))
groups = [data[i : i + args.batch] for i in range(0, len(data), args.batch)]
scheduler = optim.lr_scheduler.OneCycleLR(
    optimizer, args.lr, total_steps=args.epochs * len(groups), pct_start=0.2
)
losses = []
for epoch in range(args.epochs):
    net.train()
    for i in common.progress(torch.randperm(len(groups)).tolist(), f"epoch {epoch + 1}"):
        source, target = (pad_sequence(part, batch_first=True, padding_value=PAD) for part in zip(*groups[i]))
        scores = net(source, target[:, :-1])
        loss = F.cross_entropy(
            scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=0.1
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}: loss {sum(losses[-100:]) / len(losses[-100:]):.4f}")

net.eval()
test = test[: 1000 if not args.quick else 32]
guesses = []
for i in range(0, len(test), 100):
    source = pad_sequence(
        [german.encode(g) for g, _ in test[i : i + 100]], batch_first=True, padding_value=PAD
    )
    guesses += net.translate(source, 40 if not args.quick else 10)
for (g, e), guess in list(zip(test, guesses))[:5]:
    print(f"{g}\n  {english.decode(guess)}\n  ({e})")
common.plot(args.out / "08_translation.png", loss=losses)
score = bleu([([english.words[w] for w in guess], english.split(e)) for (_, e), guess in zip(test, guesses)])
print(f"BLEU {score:.2f} on {len(test)} sentences")
