"""Matrix products of odd sizes, single and in batches, and linear layers of all batch sizes."""

from collections.abc import Iterator
from typing import Any

SQUARE = (5, 10, 17, 33, 50, 65, 96, 100, 150, 200, 300, 400, 500)
SHAPES = [(n, n, n) for n in SQUARE] + [
    (1000, 10, 1000),
    (10, 1000, 1000),
    (1000, 1000, 10),
    (1000, 1000, 3),
    (3, 1000, 1000),
    (2000, 50, 50),
    (50, 2000, 50),
    (50, 50, 2000),
    (7, 333, 91),
    (1, 1000, 1000),
    (1000, 1, 1000),
    (1, 64, 64),
    (1, 300, 300),
]
BATCHES = [
    (10, 10, 10, 10),
    (100, 5, 5, 5),
    (32, 50, 50, 64),
    (8, 100, 100, 30),
    (16, 1, 64, 64),
    (256, 3, 3, 3),
    (12, 64, 32, 64),
    (48, 20, 20, 64),
    (4, 256, 256, 64),
]
ROWS = (2, 4, 8, 12, 16, 20, 24, 30, 32, 40, 48, 50, 64, 100)
WEIGHTS = [(128, 784), (512, 512), (64, 64), (256, 256), (768, 3072)]


def cases(fw: Any) -> Iterator[tuple[str, Any]]:
    for m, n, k in SHAPES:
        a, b, at, bt = fw.randn(m, k), fw.randn(k, n), fw.randn(k, m), fw.randn(n, k)
        yield f"nn {m} {n} {k}", lambda a=a, b=b: a @ b
        yield f"nt {m} {n} {k}", lambda a=a, b=bt: a @ b.t()
        yield f"tn {m} {n} {k}", lambda a=at, b=b: a.t() @ b
    for batch, m, n, k in BATCHES:
        a, b, bt = fw.randn(batch, m, k), fw.randn(batch, k, n), fw.randn(batch, n, k)
        yield f"batch nn {batch} {m} {n} {k}", lambda a=a, b=b: a @ b
        yield f"batch nt {batch} {m} {n} {k}", lambda a=a, b=bt: a @ b.transpose(1, 2)
    linear = fw.nn.functional.linear
    for n, k in WEIGHTS:
        w, b = fw.randn(n, k), fw.randn(n)
        for m in ROWS:
            yield f"linear {m} {k} {n}", lambda x=fw.randn(m, k), w=w, b=b: linear(x, w, b)
