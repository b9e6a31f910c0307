"""Layer and RMS normalisation over the last dimension, forward and with its gradients."""

from bench.registry import bench

SHAPES = ((256, 1024), (4096, 512))


@bench(params=SHAPES, ratio=0.6, bytes=lambda m, n: 8 * m * n)
def forward(fw, m, n):
    x, w, b, f = fw.randn(m, n), fw.ones(n), fw.zeros(n), fw.nn.functional.layer_norm
    return lambda: f(x, (n,), w, b)


@bench(params=SHAPES, ratio=0.6, bytes=lambda m, n: 8 * m * n)
def rms_forward(fw, m, n):
    x, w, f = fw.randn(m, n), fw.ones(n), fw.nn.functional.rms_norm
    return lambda: f(x, (n,), w)


@bench(params=SHAPES[:1], ratio=0.6, bytes=lambda m, n: 20 * m * n)
def forward_backward(fw, m, n):
    layer, x, g = fw.nn.LayerNorm(n), fw.randn(m, n, requires_grad=True), fw.randn(m, n)

    def call():
        layer(x).backward(g)
        layer.zero_grad()
        x.grad = None

    return call
