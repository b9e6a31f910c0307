"""An LSTM that writes, character by character, what it has read.

Run: pynn run examples/06_char_lstm.py
"""

import math

import common
import torch
import torch.nn.functional as F
from torch import nn, optim


class CharLSTM(nn.Module):
    def __init__(self, letters, width, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(letters, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, dropout=0.1)
        self.head = nn.Linear(width, letters)

    def forward(self, x, state=None):
        """Letters (N, T) to scores of the next ones (N, T, letters), and the state to go on from."""
        y, state = self.lstm(self.embedding(x), state)
        return self.head(y), state


@torch.no_grad()
def write(net, alphabet, length, temperature=0.8):
    net.eval()
    letter, state, text = torch.tensor([[alphabet.index("\n")]]), None, []
    for _ in range(length):
        scores, state = net(letter, state)
        letter = torch.multinomial(F.softmax(scores[0, -1] / temperature, dim=0), 1)[None]
        text.append(alphabet[letter.item()])
    return "".join(text)


args = common.options(
    __doc__, steps=(2000, 20), batch=(16, 4), length=(64, 32), width=(256, 32), lr=(3e-3, 1e-2)
)
text, alphabet = common.characters()
train, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]

net = CharLSTM(len(alphabet), args.width)
optimizer = optim.AdamW(net.parameters(), lr=args.lr)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)

# The text is cut into `batch` long strips that are read side by side; the state is carried from piece to piece.
strips = train[: len(train) // args.batch * args.batch].view(args.batch, -1)
losses, state, place = [], None, 0
for _ in (bar := common.progress(range(args.steps), "reading")):
    if place + args.length + 1 > strips.shape[1]:
        state, place = None, 0
    x, y = strips[:, place : place + args.length], strips[:, place + 1 : place + args.length + 1]
    place += args.length
    scores, state = net(x, state)
    state = tuple(s.detach() for s in state)
    loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
    bar.set_postfix(loss=f"{losses[-1]:.3f}")

net.eval()
with torch.no_grad():
    part = held_out[: 50_000 if not args.quick else 2_000]
    scores, _ = net(part[None, :-1])
    nats = F.cross_entropy(scores[0], part[1:]).item()
print(write(net, alphabet, 400 if not args.quick else 60))
common.plot(args.out / "06_char_lstm.png", loss=losses)
print(f"held-out loss {nats:.4f} nats a character, perplexity {math.exp(nats):.2f}")
