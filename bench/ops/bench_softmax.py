"""Softmax and its logarithm along the last dimension: rows of logits, forward and with its gradient."""

from bench.registry import bench

SHAPES = ((64, 10), (256, 1000), (4096, 512))


@bench(params=SHAPES, ratio=0.6, bytes=lambda m, n: 8 * m * n)
def forward(fw, m, n):
    x, f = fw.randn(m, n), fw.softmax
    return lambda: f(x, dim=1)


@bench(params=SHAPES[1:], ratio=0.6, bytes=lambda m, n: 8 * m * n)
def log_forward(fw, m, n):
    x, f = fw.randn(m, n), fw.log_softmax
    return lambda: f(x, dim=1)


@bench(params=SHAPES[1:], ratio=0.6, bytes=lambda m, n: 8 * m * n)
def first_dim(fw, m, n):
    x, f = fw.randn(m, n), fw.softmax
    return lambda: f(x, dim=0)


@bench(params=SHAPES[1:], ratio=0.6, bytes=lambda m, n: 20 * m * n)
def forward_backward(fw, m, n):
    x, g, f = fw.randn(m, n, requires_grad=True), fw.randn(m, n), fw.softmax

    def call():
        f(x, dim=1).backward(g)
        x.grad = None

    return call
