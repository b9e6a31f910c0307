"""GPTs over characters, a small and a mid one, with fused projections and causal attention: training steps."""

from typing import Any

from bench.registry import bench

VOCABULARY = 65
SIZES = ((128, 4, 4, 64, 12), (384, 6, 6, 256, 4))  # width, layers, heads, tokens, batch


def network(fw, width, layers, heads, tokens):
    nn, f = fw.nn, fw.nn.functional
    base: Any = nn.Module

    class Attention(base):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = (p.view(b, t, heads, -1).transpose(1, 2) for p in self.qkv(x).split(width, dim=2))
            y = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(b, t, width))

    class Block(base):
        def __init__(self):
            super().__init__()
            self.norm1, self.attention, self.norm2 = nn.LayerNorm(width), Attention(), nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class GPT(base):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(VOCABULARY, width), nn.Embedding(tokens, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)

        def forward(self, x):
            places = fw.arange(x.size(1))
            return self.head(self.norm(self.blocks(self.tokens(x) + self.places(places))))

    return GPT()


def flops(width, layers, heads, tokens, batch):
    attention = layers * width * tokens  # q k^T and p v, the half that the causal mask leaves
    return 6 * batch * tokens * (12 * layers * width**2 + VOCABULARY * width + attention)


@bench(params=SIZES, ratio=0.5, flops=flops)
def train(fw, width, layers, heads, tokens, batch):
    model, f = network(fw, width, layers, heads, tokens), fw.nn.functional
    x, y = fw.randint(0, VOCABULARY, (batch, tokens)), fw.randint(0, VOCABULARY, (batch * tokens,))
    optimizer = fw.optim.AdamW(model.parameters(), lr=1e-4)

    def call():
        optimizer.zero_grad()
        f.cross_entropy(model(x).view(-1, VOCABULARY), y).backward()
        optimizer.step()

    return call


@bench(params=SIZES[:1], flops=flops)
def train_medium(fw, *size):
    """float32 products of factors rounded to bfloat16, as the program asks."""
    step = train(fw, *size)

    def run():
        fw.set_float32_matmul_precision("medium")
        step()
        fw.set_float32_matmul_precision("highest")

    return run
