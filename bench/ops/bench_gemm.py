"""Matrix products. Floors are in float32 operations: float64 counts twice, bfloat16 half and int8 a quarter, which is
what AVX512-BF16 and VNNI do; AMX does eight times as much again."""

from bench.registry import bench


def numpy_square(np, n):
    a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    return lambda: a @ b


@bench(
    params=(32, 64, 128, 256, 512, 1024),
    share=lambda n: 0.94 if n >= 512 else 0.8 if n >= 64 else None,
    flops=lambda n: 2 * n**3,
    variants={"numpy": numpy_square},
)
def square(fw, n):
    a, b = fw.randn(n, n), fw.randn(n, n)
    return lambda: a @ b


@bench(
    params=(("nt", 512), ("tn", 512), ("tn", 1024)),
    flops=lambda layout, n: 2 * n**3,
)
def square_transposed(fw, layout, n):
    a, b = fw.randn(n, n), fw.randn(n, n)
    x, y = (a, b.t()) if layout == "nt" else (a.t(), b)
    return lambda: x @ y


@bench(
    params=(("float64", 256), ("float64", 1024), ("bfloat16", 256), ("bfloat16", 1024)),
    flops=lambda dtype, n: 2 * n**3 * {"float64": 2, "bfloat16": 0.5}[dtype],
)
def square_dtype(fw, dtype, n):
    a, b = fw.randn(n, n).to(getattr(fw, dtype)), fw.randn(n, n).to(getattr(fw, dtype))
    return lambda: a @ b


@bench(
    params=(("high", 512), ("medium", 64), ("medium", 512), ("medium", 1024)),
    flops=lambda precision, n: 2 * n**3,
)
def square_precision(fw, precision, n):
    """Products of float32 for programs that ask for less; PyTorch takes "high" as "highest" on CPUs."""
    a, b, choose = fw.randn(n, n), fw.randn(n, n), fw.set_float32_matmul_precision

    def run():
        choose(precision)
        a @ b
        choose("highest")

    return run


@bench(params=(512,), flops=lambda n: 2 * n**3 / 4)
def int8(fw, n):
    a, b = (fw.randint(-128, 128, (n, n)).to(fw.int8) for _ in "ab")
    return lambda: fw._int_mm(a, b.t())


@bench(params=((20, 784, 128), (32, 256, 256)), flops=lambda m, k, n: 2 * m * k * n)
def linear_inference(fw, m, k, n):
    x, layer = fw.randn(m, k), fw.nn.Linear(k, n)

    def run():
        with fw.no_grad():
            layer(x)

    return run


@bench(
    params=((1, 784, 128), (20, 784, 128), (64, 784, 128), (100, 784, 128), (64, 256, 256), (4096, 64, 64)),
    share=lambda m, k, n: 0.75 if (m, k) == (64, 784) else None,
    flops=lambda m, k, n: 2 * m * k * n,
)
def linear(fw, m, k, n):
    x, w, b, f = fw.randn(m, k), fw.randn(n, k), fw.randn(n), fw.nn.functional.linear
    return lambda: f(x, w, b)


@bench(params=((64, 784, 128), (256, 512, 512)), flops=lambda m, k, n: 6 * m * k * n)
def linear_forward_backward(fw, m, k, n):
    x, w, b = fw.randn(m, k).requires_grad_(), fw.randn(n, k).requires_grad_(), fw.randn(n).requires_grad_()
    g, f = fw.randn(m, n), fw.nn.functional.linear

    def run():
        x.grad = w.grad = b.grad = None
        f(x, w, b).backward(g)

    return run


@bench(
    params=((1, "float32"), (4, "float32"), (16, "float32"), (1, "bfloat16"), (16, "bfloat16")),
    share=lambda m, dtype: 0.9 if (m, dtype) == (1, "float32") else None,
    flops=lambda m, dtype: 2 * m * 4096**2 * (1 if dtype == "float32" else 0.5),
    bytes=lambda m, dtype: 4096**2 * (4 if dtype == "float32" else 2),
)
def skinny(fw, m, dtype):
    """Few rows against weights that no cache holds."""
    x, w = (fw.randn(n, 4096).to(getattr(fw, dtype)) for n in (m, 4096))
    f = fw.nn.functional.linear
    return lambda: f(x, w)


@bench(params=((64, 32, 32, 32), (256, 3, 3, 3)), flops=lambda b, m, k, n: 2 * b * m * k * n)
def batched(fw, b, m, k, n):
    x, y = fw.randn(b, m, k), fw.randn(b, k, n)
    return lambda: x @ y
