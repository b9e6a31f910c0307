"""Sorting, the largest k, binary search and the distinct values."""

from bench.registry import bench


@bench(params=((256, 1000), (1, 1 << 20)), bytes=lambda m, n: 16 * m * n)
def sort(fw, m, n):
    x = fw.randn(m, n)
    return lambda: x.sort()


@bench(params=((256, 1000, 5), (64, 50000, 50)), bytes=lambda m, n, k: 4 * m * n)
def topk(fw, m, n, k):
    x = fw.randn(m, n)
    return lambda: x.topk(k)


@bench(params=((10000, 16), (1000, 100)), bytes=lambda m, n: 4 * m * n)
def median(fw, m, n):
    x = fw.randn(m, n)
    return lambda: x.median(1)


@bench(params=((100, 100000), (10000, 100000)), bytes=lambda n, k: 12 * k)
def searchsorted(fw, n, k):
    x, values = fw.randn(n).sort()[0], fw.randn(k)
    return lambda: fw.searchsorted(x, values)


@bench(params=((1000, 1 << 20),), bytes=lambda n, k: 8 * k)
def unique(fw, n, k):
    x = fw.randint(0, n, (k,))
    return lambda: fw.unique(x)
