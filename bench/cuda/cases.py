"""What is timed. A case takes a framework module with PyTorch's API, and returns the call to time on "cuda"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Build = Callable[[Any], Callable[[], Any]]


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    build: Build
    ratio: float | None = 1.0  # target: at most so much of PyTorch's time
    share: float | None = None  # target: at least so much of the measured bandwidth
    bytes: float = 0  # that must be moved per call
    flops: float = 0
    reference: Build | None = None  # PyTorch's side, where it is another one


CASES: list[Case] = []


def case(name: str, *, reference: Build | None = None, **figures: Any) -> Callable[[Build], Build]:
    """Adds a row."""

    def add(build: Build) -> Build:
        CASES.append(Case(name, build, reference=reference, **figures))
        return build

    return add


def randn(fw: Any, *sizes: int, dtype: str = "float32", grad: bool = False) -> Any:
    x = fw.randn(*sizes, device="cuda").to(getattr(fw, dtype))
    return x.requires_grad_() if grad else x


def in_no_grad(fw: Any, f: Callable[[], Any]) -> Callable[[], Any]:
    def call() -> None:
        with fw.no_grad():
            f()

    return call


# ---- memory bound

N = 1 << 28  # 1 GiB of float32


@case("copy 1 GiB", share=0.9, bytes=8 * N)
def copy(fw: Any) -> Callable[[], Any]:
    x, y = randn(fw, N), fw.empty(N, device="cuda")
    return lambda: y.copy_(x)


@case("add float32", share=0.9, bytes=12 * N)
def add(fw: Any) -> Callable[[], Any]:
    x, y = randn(fw, N), randn(fw, N)
    return lambda: fw.add(x, y)


@case("gelu bfloat16", share=0.9, bytes=4 * N)
def gelu(fw: Any) -> Callable[[], Any]:
    x = randn(fw, N, dtype="bfloat16")
    return lambda: fw.nn.functional.gelu(x)


@case("transpose copy", share=0.75, bytes=8 * (1 << 26))
def transpose(fw: Any) -> Callable[[], Any]:
    x = randn(fw, 8192, 8192)
    return lambda: x.t().contiguous()


@case("sum over rows", share=0.85, bytes=4 * N)
def row_sums(fw: Any) -> Callable[[], Any]:
    x = randn(fw, N // 4096, 4096)
    return lambda: x.sum(1)


@case("sum over columns", share=0.85, bytes=4 * N)
def column_sums(fw: Any) -> Callable[[], Any]:
    x = randn(fw, N // 4096, 4096)
    return lambda: x.sum(0)


ROWS, WIDE = 32768, 4096


@case("softmax forward", share=0.85, bytes=8 * ROWS * WIDE)
def softmax(fw: Any) -> Callable[[], Any]:
    x = randn(fw, ROWS, WIDE)
    return lambda: fw.softmax(x, -1)


@case("layer norm forward", share=0.85, bytes=8 * ROWS * WIDE)
def layer_norm(fw: Any) -> Callable[[], Any]:
    x, norm = randn(fw, ROWS, WIDE), fw.nn.LayerNorm(WIDE).to("cuda")
    return in_no_grad(fw, lambda: norm(x))


@case("layer norm forward + backward, bf16", bytes=2 * 5 * ROWS * WIDE)
def layer_norm_training(fw: Any) -> Callable[[], Any]:
    norm = fw.nn.LayerNorm(WIDE).to("cuda").to(fw.bfloat16)
    x, g = randn(fw, ROWS, WIDE, dtype="bfloat16", grad=True), randn(fw, ROWS, WIDE, dtype="bfloat16")

    def call() -> None:
        norm(x).backward(g)
        x.grad = None

    return call


TOKENS, VOCABULARY = 8192, 50304


@case("cross-entropy forward + backward", share=0.85, bytes=4 * 3 * TOKENS * VOCABULARY)
def cross_entropy(fw: Any) -> Callable[[], Any]:
    x, t = randn(fw, TOKENS, VOCABULARY, grad=True), fw.randint(0, VOCABULARY, (TOKENS,), device="cuda")

    def call() -> None:
        fw.nn.functional.cross_entropy(x, t).backward()
        x.grad = None

    return call


def adam(fw: Any, tensors: int, size: int) -> Callable[[], Any]:
    parameters = [fw.nn.Parameter(randn(fw, size)) for _ in range(tensors)]
    for p in parameters:
        p.grad = randn(fw, size)
    optimizer = fw.optim.Adam(parameters, lr=1e-3, **({"fused": True} if fw.__name__ == "torch" else {}))
    optimizer.step()
    return optimizer.step


@case("Adam step, 1 tensor of 2^27", share=0.85, bytes=28 * (1 << 27))
def adam_large(fw: Any) -> Callable[[], Any]:
    return adam(fw, 1, 1 << 27)


@case("Adam step, 148 tensors of 2^20", share=0.85, bytes=28 * 148 * (1 << 20))
def adam_many(fw: Any) -> Callable[[], Any]:
    return adam(fw, 148, 1 << 20)


# ---- products


def product(dtype: str, size: int, tf32: bool = False) -> Build:
    def build(fw: Any) -> Callable[[], Any]:
        fw.backends.cuda.matmul.allow_tf32 = tf32
        a, b = randn(fw, size, size, dtype=dtype), randn(fw, size, size, dtype=dtype)
        return lambda: a @ b

    return build


for _size in (8192, 4096, 512):
    _flops = 2.0 * _size**3
    case(f"product bf16 {_size}", ratio=1.03, flops=_flops)(product("bfloat16", _size))
    case(f"product tf32 {_size}", ratio=1.03, flops=_flops)(product("float32", _size, tf32=True))
case("product float32 4096", ratio=1.03, flops=2.0 * 4096**3)(product("float32", 4096))


@case("linear + bias bf16", ratio=1.03, flops=2.0 * 16384 * 768 * 3072)
def linear(fw: Any) -> Callable[[], Any]:
    x, layer = randn(fw, 16384, 768, dtype="bfloat16"), fw.nn.Linear(768, 3072).to("cuda").to(fw.bfloat16)
    return in_no_grad(fw, lambda: layer(x))


@case("attention bf16 causal, 16 x 12 x 1024 x 64", ratio=1.1, flops=2.0 * 16 * 12 * 1024 * 1024 * 64)
def attention(fw: Any) -> Callable[[], Any]:
    q, k, v = (randn(fw, 16, 12, 1024, 64, dtype="bfloat16") for _ in range(3))
    return lambda: fw.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


@case("conv2d bf16 64 x 64 x 56 x 56, 3 x 3", ratio=1.1, flops=2.0 * 64 * 56 * 56 * 64 * 64 * 9)
def conv(fw: Any) -> Callable[[], Any]:
    x = randn(fw, 64, 64, 56, 56, dtype="bfloat16")
    layer = fw.nn.Conv2d(64, 64, 3, padding=1).to("cuda").to(fw.bfloat16)
    return in_no_grad(fw, lambda: layer(x))


# ---- recurrent nets


def recurrent(fw: Any, kind: str, size: int, layers: int, dtype: str) -> Callable[[], Any]:
    net = getattr(fw.nn, kind)(size, size, layers).to("cuda").to(getattr(fw, dtype))
    x, g = randn(fw, 128, 64, size, dtype=dtype, grad=True), randn(fw, 128, 64, size, dtype=dtype)

    def call() -> None:
        net.zero_grad()
        x.grad = None
        net(x)[0].backward(g)

    return call


@case("LSTM 2 x 512 float32, 128 steps of 64, forward + backward", ratio=1.1)
def lstm(fw: Any) -> Callable[[], Any]:
    return recurrent(fw, "LSTM", 512, 2, "float32")


@case("GRU 1 x 128 float32, 128 steps of 64, forward + backward", ratio=1.1)
def gru(fw: Any) -> Callable[[], Any]:
    return recurrent(fw, "GRU", 128, 1, "float32")


@case("LSTM 2 x 512 bfloat16, 128 steps of 64, forward + backward", ratio=1.1)
def lstm_half(fw: Any) -> Callable[[], Any]:
    return recurrent(fw, "LSTM", 512, 2, "bfloat16")


# ---- launch bound


@case("chain of 10 small ops", ratio=0.5)
def chain(fw: Any) -> Callable[[], Any]:
    x, y = randn(fw, 64), randn(fw, 64)

    def call() -> None:
        z = x
        for _ in range(5):
            z = (z * y) + x

    return call


@case("chain of 10 small ops with gradients", ratio=0.5)
def chain_training(fw: Any) -> Callable[[], Any]:
    x, y = randn(fw, 64, grad=True), randn(fw, 64)

    def call() -> None:
        z = x
        for _ in range(5):
            z = (z * y) + x
        z.sum().backward()
        x.grad = None

    return call


def mlp(fw: Any, batch: int) -> Callable[[], Any]:
    nn = fw.nn
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)).to("cuda")
    optimizer = fw.optim.Adam(model.parameters(), lr=1e-3)
    x, t = randn(fw, batch, 784), fw.randint(0, 10, (batch,), device="cuda")
    loss = nn.CrossEntropyLoss()

    def call() -> None:
        optimizer.zero_grad()
        loss(model(x), t).backward()
        optimizer.step()

    return call


@case("MLP 784-128-10 training step, batch 64", ratio=0.5)
def mlp_step(fw: Any) -> Callable[[], Any]:
    return mlp(fw, 64)


# ---- GPT-2 small


def gpt2(fw: Any, layers: int = 12, d: int = 768, heads: int = 12, context: int = 1024) -> Any:
    nn, f = fw.nn, fw.nn.functional
    base: Any = nn.Module

    class Block(base):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

        def forward(self, x: Any) -> Any:
            n, t, _ = x.shape
            q, k, v = (
                p.view(n, t, heads, d // heads).transpose(1, 2)
                for p in self.qkv(self.norm1(x)).split(d, dim=2)
            )
            y = f.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(n, t, d))
            return x + self.down(f.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Model(base):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(50257, d), nn.Embedding(context, d)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 50257, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, tokens: Any) -> Any:
            x = self.tokens(tokens) + self.positions(fw.arange(tokens.shape[1], device="cuda"))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return Model().to("cuda")


def gpt2_step(fw: Any, batch: int, make_optimizer: Callable[[Any], Any]) -> Callable[[], Any]:
    model = gpt2(fw)
    optimizer = make_optimizer(model.parameters())
    tokens = fw.randint(0, 50257, (batch, 1024), device="cuda")
    targets = fw.randint(0, 50257, (batch * 1024,), device="cuda")

    def call() -> None:
        with fw.autocast("cuda", dtype=fw.bfloat16):
            logits = model(tokens)
            loss = fw.nn.functional.cross_entropy(logits.view(-1, 50257), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


@case("GPT-2 small training step, batch 16", flops=6.0 * 16 * 1024 * 124e6)
def gpt2_large_batch(fw: Any) -> Callable[[], Any]:
    return gpt2_step(fw, 16, lambda parameters: fw.optim.AdamW(parameters, lr=1e-4))


def gpt2_small_batch(fw: Any) -> Callable[[], Any]:
    return gpt2_step(fw, 1, lambda parameters: fw.optim.SGD(parameters, lr=1e-4))


case("GPT-2 small training step, batch 1", flops=6.0 * 1024 * 124e6)(gpt2_small_batch)


@case("GPT-2 small, batch 1, as a CUDA graph against eager", reference=gpt2_small_batch)
def gpt2_graph(fw: Any) -> Callable[[], Any]:
    call = gpt2_small_batch(fw)
    stream = fw.cuda.Stream()
    with fw.cuda.stream(stream):
        for _ in range(3):
            call()
    fw.cuda.synchronize()
    graph = fw.cuda.CUDAGraph()
    with fw.cuda.graph(graph):
        call()
    return graph.replay
