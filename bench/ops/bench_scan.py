"""Running sums along rows, short rows, columns and one long row."""

from bench.registry import bench


@bench(
    params=((256, 1000, 0), (256, 1000, 1), (100000, 10, 1), (4096, 512, 1), (1, 1 << 20, 1)),
    bytes=lambda m, n, dim: 8 * m * n,
)
def cumsum(fw, m, n, dim):
    x = fw.randn(m, n)
    return lambda: x.cumsum(dim)


@bench(params=(1 << 20,), bytes=lambda n: 16 * n)
def cumsum_integers(fw, n):
    x = fw.randint(0, 9, (n,))
    return lambda: x.cumsum(0)
