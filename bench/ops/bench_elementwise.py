"""Elementwise ops and sums, float32: a good kernel is limited by the bandwidth of the memory or a cache."""

from bench.registry import bench

SIZES = (4096, 4 << 20)


def numpy_unary(name):
    def build(np, n):
        x = np.linspace(-3, 3, n, dtype=np.float32)
        f = getattr(np, name)
        return lambda: f(x)

    return build


def numpy_add(np, n):
    x, y = np.ones(n, np.float32), np.ones(n, np.float32)
    return lambda: x + y


@bench(params=SIZES, bytes=lambda n: 12 * n, variants={"numpy": numpy_add})
def add(fw, n):
    x, y = fw.randn(n), fw.randn(n)
    return lambda: x + y


@bench(params=SIZES, bytes=lambda n: 8 * n, variants={"numpy": numpy_unary("exp")})
def exp(fw, n):
    x = fw.linspace(-3, 3, n)
    return lambda: x.exp()


@bench(params=SIZES, bytes=lambda n: 8 * n, variants={"numpy": numpy_unary("tanh")})
def tanh(fw, n):
    x = fw.linspace(-3, 3, n)
    return lambda: x.tanh()


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
