"""Reductions along the first and the last dim, of short rows, and over dims with others between them."""

from bench.registry import bench

NAMES = ("sum", "amax", "argmax", "var", "norm", "logsumexp")
SHAPES = ((64, 10), (256, 1000), (4096, 512))


@bench(
    params=tuple((name, *shape, dim) for name in NAMES for shape in SHAPES for dim in (0, 1)),
    bytes=lambda name, m, n, dim: 4 * m * n,
    quick=False,
)
def along(fw, name, m, n, dim):
    x = fw.randn(m, n)
    f = getattr(x, name)
    return lambda: f(dim=dim)


@bench(params=("max", "argmax", "sum"), bytes=lambda name: 4000000)
def short_rows(fw, name):
    x = fw.randn(100000, 10)
    f = getattr(x, name)
    return lambda: f(1)


@bench(
    params=tuple((dtype, dim) for dtype in ("bfloat16", "float16") for dim in (None, 0, 1)),
    bytes=lambda dtype, dim: 2 * 256000,
    quick=False,
)
def sum_of_half(fw, dtype, dim):
    x = fw.randn(256, 1000).to(getattr(fw, dtype))
    return lambda: x.sum() if dim is None else x.sum(dim)


# A bias's gradient.
@bench(params=((16, 64, 56, 56), (16, 512, 7, 7)), bytes=lambda n, c, h, w: 4 * n * c * h * w)
def sum_but_channels(fw, n, c, h, w):
    x = fw.randn(n, c, h, w)
    return lambda: x.sum((0, 2, 3))
