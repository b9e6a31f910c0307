"""Recurrent language models over characters: two layers of 256, 16 sequences of 64 steps; training steps."""

from typing import Any

from bench.registry import bench

VOCABULARY, WIDTH, LAYERS, BATCH, STEPS = 65, 256, 2, 16, 64
GATES = {"lstm": 4, "gru": 3}


def network(fw, kind):
    nn = fw.nn
    base: Any = nn.Module

    class LanguageModel(base):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, WIDTH)
            self.cells = getattr(nn, kind.upper())(WIDTH, WIDTH, LAYERS, batch_first=True)
            self.head = nn.Linear(WIDTH, VOCABULARY)

        def forward(self, tokens):
            return self.head(self.cells(self.embedding(tokens))[0])

    return LanguageModel()


def flops(kind, ratio):
    weights = LAYERS * 2 * WIDTH * GATES[kind] * WIDTH + WIDTH * VOCABULARY
    return 6 * BATCH * STEPS * weights


@bench(params=(("lstm", 0.5), ("gru", 0.35)), ratio=lambda kind, ratio: ratio, flops=flops)
def train(fw, kind, ratio):
    model, f = network(fw, kind), fw.nn.functional
    x, y = fw.randint(0, VOCABULARY, (BATCH, STEPS)), fw.randint(0, VOCABULARY, (BATCH * STEPS,))
    optimizer = fw.optim.AdamW(model.parameters(), lr=1e-4)

    def call():
        optimizer.zero_grad()
        f.cross_entropy(model(x).view(-1, VOCABULARY), y).backward()
        optimizer.step()

    return call
