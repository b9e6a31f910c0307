"""Elementwise ops and sums, float32: a good kernel is limited by the bandwidth of the memory or a cache."""

from bench.registry import bench

SIZES = (4096, 4 << 20)


def numpy_unary(name):
    def build(np, n):
        x = np.linspace(-3, 3, n, dtype=np.float32)
        f = getattr(np, name)
        return lambda: f(x)

    return build


def map_ratio(n):
    return 0.5 if n == 4 << 20 else 1.0


def numpy_add(np, n):
    x, y = np.ones(n, np.float32), np.ones(n, np.float32)
    return lambda: x + y


@bench(params=SIZES, bytes=lambda n: 12 * n, variants={"numpy": numpy_add})
def add(fw, n):
    x, y = fw.randn(n), fw.randn(n)
    return lambda: x + y


@bench(params=SIZES, ratio=map_ratio, bytes=lambda n: 8 * n, variants={"numpy": numpy_unary("exp")})
def exp(fw, n):
    x = fw.linspace(-3, 3, n)
    return lambda: x.exp()


@bench(params=SIZES, ratio=map_ratio, bytes=lambda n: 8 * n, variants={"numpy": numpy_unary("tanh")})
def tanh(fw, n):
    x = fw.linspace(-3, 3, n)
    return lambda: x.tanh()


@bench(params=((1000, 3), (10000, 10)), bytes=lambda n, d: 8 * n * d)
def add_row(fw, n, d):
    """A short row to each row of a matrix."""
    x, y = fw.randn(n, d), fw.randn(d)
    return lambda: x + y


FUSED = {
    "addcmul": lambda fw, x, y, z: fw.addcmul(x, y, z, value=0.5),
    "addcdiv": lambda fw, x, y, z: fw.addcdiv(x, y, z, value=0.5),
    "lerp": lambda fw, x, y, z: fw.lerp(x, y, z),
    "where": lambda fw, x, y, z: fw.where(x > 0.5, y, z),
}
MAPS = ("log1p", "sigmoid", "gelu", "silu")


@bench(params=tuple((name, n) for name in FUSED for n in SIZES), bytes=lambda name, n: 16 * n)
def fused(fw, name, n):
    x, y, z, f = fw.rand(n), fw.rand(n), fw.rand(n) + 1, FUSED[name]
    return lambda: f(fw, x, y, z)


@bench(params=tuple((name, 4 << 20) for name in MAPS), ratio=0.5, bytes=lambda name, n: 8 * n)
def map(fw, name, n):
    x, f = fw.rand(n), getattr(fw, name, None) or getattr(fw.nn.functional, name)
    return lambda: f(x)


PLAIN = ("nan_to_num", "hardswish", "hardsigmoid", "erfinv", "lgamma", "sinc", "nansum")


@bench(params=tuple((name, 256000) for name in PLAIN), bytes=lambda name, n: 8 * n, quick=False)
def plain(fw, name, n):
    x, f = fw.rand(n) * 1.98 - 0.99, getattr(fw, name, None) or getattr(fw.nn.functional, name)
    return lambda: f(x)


@bench(
    params=tuple(
        (name, dtype) for name in ("gelu", "silu", "hardswish") for dtype in ("bfloat16", "float16")
    ),
    bytes=lambda name, dtype: 4 * 256000,
    quick=False,
)
def map_of_half(fw, name, dtype):
    x, f = fw.randn(256000).to(getattr(fw, dtype)), getattr(fw.nn.functional, name)
    return lambda: f(x)


@bench(params=(("gelu", 256000), ("silu", 256000), ("relu", 4 << 20)), bytes=lambda name, n: 20 * n)
def map_backward(fw, name, n):
    x, g, f = fw.randn(n, requires_grad=True), fw.randn(n), getattr(fw.nn.functional, name)

    def call():
        f(x).backward(g)
        x.grad = None

    return call


@bench(params=((4096, 512),), bytes=lambda m, n: 4 * m * n)
def outer(fw, m, n):
    x, y = fw.randn(m, 1), fw.randn(1, n)
    return lambda: x * y


@bench(params=((4096, 512),), bytes=lambda m, n: 6 * m * n)
def strided(fw, m, n):
    x = fw.randn(m, n)[:, ::2]
    return lambda: x * 2


@bench(params=SIZES, bytes=lambda n: 4 * n)
def sum(fw, n):
    x = fw.randn(n)
    return lambda: x.sum()


@bench(params=((2048, 2048),), bytes=lambda m, n: 4 * m * n)
def sum_columns(fw, m, n):
    x = fw.randn(m, n)
    return lambda: x.sum(0)


@bench(params=((2048, 2048),), bytes=lambda m, n: 8 * m * n)
def transpose_copy(fw, m, n):
    x = fw.randn(m, n).t()
    return lambda: x.contiguous()
