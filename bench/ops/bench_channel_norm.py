"""Batch and group normalisation: forward, and with gradients."""

from bench.registry import bench

SHAPES = ((256, 512), (16, 64, 56, 56), (16, 512, 7, 7))


def layer(fw, kind, *shape):
    nn = fw.nn
    if kind == "group":
        return nn.GroupNorm(32, shape[1])
    return nn.BatchNorm1d(shape[1]) if len(shape) == 2 else nn.BatchNorm2d(shape[1])


CASES = tuple((kind, *shape) for kind in ("batch", "group") for shape in SHAPES)


def size(kind, n, c, *spatial):
    for s in spatial:
        n *= s
    return n * c


@bench(params=CASES, bytes=lambda *case: 8 * size(*case))
def forward(fw, kind, *shape):
    m, x = layer(fw, kind, *shape), fw.randn(*shape)
    return lambda: m(x)


@bench(params=CASES, bytes=lambda *case: 20 * size(*case))
def forward_backward(fw, kind, *shape):
    m, x, g = layer(fw, kind, *shape), fw.randn(*shape, requires_grad=True), fw.randn(*shape)

    def call():
        m(x).backward(g)
        m.zero_grad()
        x.grad = None

    return call
