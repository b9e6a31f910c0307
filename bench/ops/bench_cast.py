"""Casts between dtypes, copies of permuted and reversed tensors, and filling."""

from bench.registry import bench

SIZE = {
    "float64": 8,
    "float32": 4,
    "int32": 4,
    "int64": 8,
    "bfloat16": 2,
    "float16": 2,
    "bool": 1,
    "uint8": 1,
}
PAIRS = tuple(
    pair
    for other in ("bfloat16", "float16", "float64", "int32", "int64", "uint8", "bool")
    for pair in (("float32", other), (other, "float32"))
)


@bench(params=PAIRS, bytes=lambda a, b: 256000 * (SIZE[a] + SIZE[b]), quick=False)
def cast(fw, a, b):
    x, to = (fw.rand(256, 1000) * 100).to(getattr(fw, a)), getattr(fw, b)
    return lambda: x.to(to)


@bench(params=((256, 1000), (2048, 2048)), bytes=lambda m, n: 6 * m * n)
def to_bfloat16(fw, m, n):
    x = fw.rand(m, n)
    return lambda: x.bfloat16()


@bench(params=((16, 64, 28, 28),), bytes=lambda *shape: 8 * 16 * 64 * 28 * 28)
def to_channels_last(fw, *shape):
    x = fw.randn(*shape).permute(0, 2, 3, 1)
    return lambda: x.contiguous()


@bench(params=((256, 1000),), bytes=lambda m, n: 8 * m * n)
def flip(fw, m, n):
    x = fw.randn(m, n)
    return lambda: x.flip(1)


@bench(params=((256, 1000), (2048, 2048)), bytes=lambda m, n: 4 * m * n)
def fill(fw, m, n):
    x = fw.empty(m, n)
    return lambda: x.fill_(0.5)


@bench(params=((512, 512), (64, 64)), bytes=lambda m, n: 8 * m * n)
def tril(fw, m, n):
    x = fw.randn(m, n)
    return lambda: x.tril()


@bench(params=((256, 1000), (4096, 512)), bytes=lambda m, n: 4 * m * n)
def expanded_copy(fw, m, n):
    x = fw.randn(m, 1).expand(m, n)
    return lambda: x.contiguous()
