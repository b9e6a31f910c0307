"""Matrix products, float32: 2 n^3 operations."""

from bench.registry import bench


def numpy_square(np, n):
    a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    return lambda: a @ b


@bench(
    params=(32, 64, 128, 256, 512, 1024),
    share=lambda n: 0.94 if n >= 512 else None,
    flops=lambda n: 2 * n**3,
    variants={"numpy": numpy_square},
)
def square(fw, n):
    a, b = fw.randn(n, n), fw.randn(n, n)
    return lambda: a @ b


@bench(params=(512,), flops=lambda n: 2 * n**3)
def square_transposed(fw, n):
    a, b = fw.randn(n, n), fw.randn(n, n).t()
    return lambda: a @ b


@bench(
    params=((1, 784, 128), (64, 784, 128), (64, 256, 256), (4096, 64, 64)),
    flops=lambda m, k, n: 2 * m * k * n,
)
def linear(fw, m, k, n):
    x, w, b, f = fw.randn(m, k), fw.randn(n, k), fw.randn(n), fw.nn.functional.linear
    return lambda: f(x, w, b)


@bench(params=((64, 32, 32, 32),), flops=lambda b, m, k, n: 2 * b * m * k * n)
def batched(fw, b, m, k, n):
    x, y = fw.randn(b, m, k), fw.randn(b, k, n)
    return lambda: x @ y
