"""Distances of all pairs, and triangular systems."""

from bench.registry import bench


@bench(params=((1000, 1000, 8), (300, 300, 200)), flops=lambda n, m, d: 3 * n * m * d)
def cdist(fw, n, m, d):
    x, y = fw.randn(n, d), fw.randn(m, d)
    return lambda: fw.cdist(x, y)


@bench(params=((32, 3), (200, 200)), flops=lambda n, m: n * n * m)
def solve_triangular(fw, n, m):
    a, b = fw.randn(n, n) / n + 3 * fw.eye(n), fw.randn(n, m)
    return lambda: fw.linalg.solve_triangular(a, b, upper=True)
