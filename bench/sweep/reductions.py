"""Reductions, scans, softmax and sorting over all dims and over each."""

from collections.abc import Iterator
from typing import Any

SHAPES = [
    (10,),
    (100,),
    (1000,),
    (33, 77),
    (64, 10),
    (100, 1000),
    (1000, 100),
    (1000, 3),
    (3, 1000),
    (16, 64, 14, 14),
    (1000, 1000),
    (50, 7, 50),
]
WHOLE_OR_DIM = "sum mean amax amin argmax argmin max min std var prod median count_nonzero nansum norm"
DIM = "logsumexp cumsum cumprod softmax log_softmax sort argsort"


def cases(fw: Any) -> Iterator[tuple[str, Any]]:
    for shape in SHAPES:
        x = fw.randn(*shape)
        size = "x".join(map(str, shape))
        for name in WHOLE_OR_DIM.split():
            f = getattr(x, name)
            yield f"{name} {size}", f
            for d in range(len(shape)):
                yield f"{name} {size} dim {d}", lambda f=f, d=d: f(dim=d)
        for d in range(len(shape)):
            for name in DIM.split():
                yield f"{name} {size} dim {d}", lambda f=getattr(x, name), d=d: f(dim=d)
            if shape[d] >= 3:
                yield f"topk {size} dim {d}", lambda x=x, d=d: x.topk(3, dim=d)
            yield f"all {size} dim {d}", lambda x=x > 0, d=d: x.all(dim=d)
        i = (100 * x).long()
        for name in ("sum", "max", "sort"):
            yield f"long {name} {size}", getattr(i, name)
        yield f"unique {size}", lambda i=i: fw.unique(i)
        yield f"bincount {size}", lambda i=i.abs().flatten(): fw.bincount(i)
        yield f"nonzero {size}", lambda x=x > 1: x.nonzero()
        yield f"histc {size}", lambda x=x: fw.histc(x, 20)
        yield f"quantile {size}", lambda x=x: fw.quantile(x, 0.5)
        yield f"double sum {size}", x.double().sum
