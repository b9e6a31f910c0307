"""A small GPT that writes, character by character, what it has read.

Run: pynn run examples/07_char_gpt.py
"""

import common
import torch
import torch.nn.functional as F
from torch import nn, optim


class Block(nn.Module):
    """Causal attention, then a network of two layers, each beside the identity. Radford et al. 2019."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (n, heads, t, d / heads)
        x = x + self.dropout(self.out(y.transpose(1, 2).reshape(n, t, d)))
        return x + self.dropout(self.mlp(self.norm2(x)))


class GPT(nn.Module):
    def __init__(self, letters, length, width, layers, heads, dropout):
        super().__init__()
        self.length = length
        self.letters, self.places = nn.Embedding(letters, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, letters, bias=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)
        self.head.weight = self.letters.weight

    def forward(self, x):
        """Letters (N, T) to scores of the next ones (N, T, letters)."""
        x = self.letters(x) + self.places(torch.arange(x.shape[1]))
        return self.head(self.norm(self.blocks(x)))

    @torch.no_grad()
    def write(self, x, count, temperature=0.8):
        """Letters (N, T) continued by `count` more."""
        self.eval()
        for _ in range(count):
            scores = self(x[:, -self.length :])[:, -1] / temperature
            x = torch.cat([x, torch.multinomial(F.softmax(scores, dim=1), 1)], dim=1)
        return x


args = common.options(
    __doc__, steps=(5000, 10), batch=(12, 4), length=(64, 16), width=(128, 32), layers=(4, 2), heads=(4, 2), lr=(2e-3, 1e-3)
)  # fmt: skip
text, alphabet = common.characters()
train, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]


def batch_of(part):
    starts = torch.randint(len(part) - args.length - 1, (args.batch, 1)) + torch.arange(args.length + 1)
    chunk = part[starts]
    return chunk[:, :-1], chunk[:, 1:]


@torch.no_grad()
def held_out_loss(net, rounds):
    net.eval()
    loss = sum(
        F.cross_entropy(net(x).flatten(0, 1), y.flatten()).item()
        for x, y in (batch_of(held_out) for _ in range(rounds))
    )
    net.train()
    return loss / rounds


net = GPT(len(alphabet), args.length, args.width, args.layers, args.heads, dropout=0.0)
print(
    f"{sum(p.numel() for p in net.parameters()):,} parameters, {len(text):,} letters of {len(alphabet)} kinds"
)
optimizer = optim.AdamW(net.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=0.1)
warm_up = max(1, args.steps // 50)
schedule = optim.lr_scheduler.SequentialLR(
    optimizer,
    [
        optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=warm_up),
        optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps - warm_up, eta_min=args.lr / 10),
    ],
    milestones=[warm_up],
)
losses = []
for step in (bar := common.progress(range(args.steps), "reading")):
    x, y = batch_of(train)
    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if step % 50 == 0:
        bar.set_postfix(loss=f"{losses[-1]:.3f}")

start = torch.tensor([[alphabet.index("\n")]])
print("".join(alphabet[i] for i in net.write(start, 400 if not args.quick else 40)[0].tolist()))
common.plot(args.out / "07_char_gpt.png", loss=losses)
print(f"held-out loss {held_out_loss(net, 200 if not args.quick else 5):.4f} nats a character")
