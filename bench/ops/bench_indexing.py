"""Gather, scatter, whole rows by index, and embedding with its gradient."""

from bench.registry import bench

ROWS = ((64, 10, 32), (10000, 128, 4096))  # rows of the table, their length, rows that are taken
LOOKUPS = ((1000, 64, 64), (50000, 256, 8192))


def table(fw, n, d, k):
    return fw.randn(n, d), fw.randint(0, n, (k,)), fw.randn(k, d)


@bench(params=ROWS, bytes=lambda n, d, k: 8 * k * d + 8 * k)
def index_select(fw, n, d, k):
    x, index, _ = table(fw, n, d, k)
    return lambda: x.index_select(0, index)


@bench(params=ROWS, bytes=lambda n, d, k: 12 * k * d + 8 * k)
def index_add_(fw, n, d, k):
    x, index, source = table(fw, n, d, k)
    return lambda: x.index_add_(0, index, source)


@bench(params=((1000, 1 << 20),), bytes=lambda n, k: 12 * k)
def index_add_numbers(fw, n, k):
    x, index, source = fw.zeros(n), fw.randint(0, n, (k,)), fw.randn(k)
    return lambda: x.index_add_(0, index, source)


@bench(params=ROWS, bytes=lambda n, d, k: 16 * n * d)
def gather_last_dim(fw, n, d, k):
    x, index = fw.randn(n, d), fw.randint(0, d, (n, d))
    return lambda: x.gather(1, index)


@bench(params=ROWS, bytes=lambda n, d, k: 16 * k * d)
def gather_first_dim(fw, n, d, k):
    x, index = fw.randn(n, d), fw.randint(0, n, (k, d))
    return lambda: x.gather(0, index)


@bench(params=ROWS, bytes=lambda n, d, k: 20 * n * d)
def scatter_add_last_dim(fw, n, d, k):
    x, index, source = fw.zeros(n, d), fw.randint(0, d, (n, d)), fw.randn(n, d)
    return lambda: x.scatter_add_(1, index, source)


@bench(params=ROWS, bytes=lambda n, d, k: 20 * k * d)
def scatter_add_first_dim(fw, n, d, k):
    x, index, source = fw.zeros(n, d), fw.randint(0, n, (k, d)), fw.randn(k, d)
    return lambda: x.scatter_add_(0, index, source)


@bench(params=ROWS, bytes=lambda n, d, k: 9 * n * d)
def masked_fill(fw, n, d, k):
    x = fw.randn(n, d)
    mask = x > 0
    return lambda: x.masked_fill(mask, 1.0)


@bench(params=LOOKUPS, bytes=lambda n, d, k: 8 * k * d + 8 * k)
def embedding(fw, n, d, k):
    w, index, f = fw.randn(n, d), fw.randint(0, n, (k,)), fw.nn.functional.embedding
    return lambda: f(index, w)


# The gradient is a whole table: zeros, and what is added to them.
@bench(params=LOOKUPS, ratio=0.5, bytes=lambda n, d, k: 4 * n * d + 20 * k * d + 16 * k)
def embedding_forward_backward(fw, n, d, k):
    w, index, f = fw.randn(n, d, requires_grad=True), fw.randint(0, n, (k,)), fw.nn.functional.embedding
    g = fw.randn(k, d)

    def call():
        f(index, w).backward(g)
        w.grad = None

    return call
