"""Pooling of images, and interpolation: forward, and with gradients."""

from bench.registry import bench

KINDS = {
    "max2": lambda F, x: F.max_pool2d(x, 2),
    "max3": lambda F, x: F.max_pool2d(x, 3, 2, 1),
    "avg2": lambda F, x: F.avg_pool2d(x, 2),
    "global": lambda F, x: F.adaptive_avg_pool2d(x, 1),
    "bilinear": lambda F, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "nearest": lambda F, x: F.interpolate(x, scale_factor=2),
}


@bench(params=tuple(KINDS), bytes=lambda kind: 4 * 16 * 64 * 56 * 56)
def forward(fw, kind):
    x, f, functional = fw.randn(16, 64, 56, 56), KINDS[kind], fw.nn.functional
    return lambda: f(functional, x)


@bench(params=tuple(KINDS), bytes=lambda kind: 8 * 16 * 64 * 56 * 56)
def forward_backward(fw, kind):
    x, f, functional = fw.randn(16, 64, 56, 56, requires_grad=True), KINDS[kind], fw.nn.functional
    g = fw.randn(*f(functional, x).shape)

    def call():
        f(functional, x).backward(g)
        x.grad = None

    return call
