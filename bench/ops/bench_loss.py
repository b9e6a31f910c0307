"""Losses of pairs of numbers, with their gradients."""

from bench.registry import bench

NAMES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits")


@bench(
    params=tuple((name, m, n) for name in NAMES for m, n in ((64, 10), (256, 1000), (4096, 512))),
    bytes=lambda name, m, n: 20 * m * n,
)
def forward_backward(fw, name, m, n):
    x, y, f = fw.randn(m, n, requires_grad=True), fw.rand(m, n), getattr(fw.nn.functional, name)

    def call():
        f(x, y).backward()
        x.grad = None

    return call
