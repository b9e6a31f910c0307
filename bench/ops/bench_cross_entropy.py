"""Cross-entropy of logits against class indices, forward and with its gradient."""

from bench.registry import bench

SHAPES = ((64, 10), (256, 1000))


@bench(params=SHAPES, bytes=lambda m, n: 4 * m * n)
def forward(fw, m, n):
    x, y, f = fw.randn(m, n), fw.randint(0, n, (m,)), fw.nn.functional.cross_entropy
    return lambda: f(x, y)


@bench(
    params=(*SHAPES, (1024, 10000)),
    ratio=lambda m, n: 0.2 if n == 10000 else 1.0,
    bytes=lambda m, n: 12 * m * n,
)
def forward_backward(fw, m, n):
    x, y, f = fw.randn(m, n, requires_grad=True), fw.randint(0, n, (m,)), fw.nn.functional.cross_entropy

    def call():
        f(x, y).backward()
        x.grad = None

    return call
