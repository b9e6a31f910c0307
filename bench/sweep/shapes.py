"""Joining, turning, padding, indexing and filling."""

from collections.abc import Iterator
from typing import Any

SHAPES = [
    (10,),
    (64, 10),
    (100, 1000),
    (1000, 100),
    (3, 224, 224),
    (16, 64, 14, 14),
    (50, 7, 50),
    (1000, 1000),
]


def moving(fw: Any, x: Any) -> dict[str, Any]:
    pad = fw.nn.functional.pad
    return {
        "cat first": lambda: fw.cat([x, x, x], 0),
        "cat last": lambda: fw.cat([x, x, x], -1),
        "stack first": lambda: fw.stack([x, x]),
        "stack last": lambda: fw.stack([x, x], -1),
        "flip first": lambda: x.flip(0),
        "flip last": lambda: x.flip(-1),
        "roll first": lambda: x.roll(1, 0),
        "roll last": lambda: x.roll(1, -1),
        "repeat": lambda: x.repeat(*([2] * x.dim())),
        "repeat_interleave": lambda: x.repeat_interleave(2, 0),
        "transposed copy": lambda: x.transpose(0, -1).contiguous(),
        "every second": lambda: x[::2].contiguous(),
        "every second of a row": lambda: x[..., ::2].contiguous(),
        "pad": lambda: pad(x, (1, 1)),
        "split": lambda: x.split(max(1, x.shape[0] // 4)),
        "chunk": lambda: x.chunk(2, -1),
        "triangle": lambda: x.tril() if x.dim() > 1 else x.diag(),
        "equal": lambda: fw.equal(x, x.clone()),
        "allclose": lambda: fw.allclose(x, x.clone()),
        "to list": lambda: x.flatten()[:100].tolist(),
        "product of rows": lambda: fw.einsum("...i,...i->...", x, x),
    }


def indexing(fw: Any, x: Any) -> dict[str, Any]:
    shape = tuple(x.shape)
    first, last = fw.randint(0, shape[0], (shape[0],)), fw.randint(0, shape[-1], (shape[-1],))
    each, mask, y = fw.randint(0, shape[-1], shape), x > 0, x.clone()
    ordered = x.flatten().sort()[0]
    return {
        "index first": lambda: x[first],
        "index last": lambda: x[..., last],
        "index_select first": lambda: x.index_select(0, first),
        "index_select last": lambda: x.index_select(-1, last),
        "by mask": lambda: x[mask],
        "set by mask": lambda: y.__setitem__(mask, 0.0),
        "set by index": lambda: y.__setitem__(first, 1.0),
        "set every second": lambda: y.__setitem__(slice(None, None, 2), 1.0),
        "gather": lambda: x.gather(-1, each),
        "scatter_": lambda: y.scatter_(-1, each, 1.0),
        "scatter_add_": lambda: y.scatter_add_(-1, each, x),
        "index_add_": lambda: y.index_add_(0, first, x),
        "take": lambda: fw.take(x, each),
        "one_hot": lambda: fw.nn.functional.one_hot(last),
        "searchsorted": lambda: fw.searchsorted(ordered, x),
    }


def filling(fw: Any, shape: tuple[int, ...], n: int) -> dict[str, Any]:
    return {
        "arange": lambda: fw.arange(n),
        "linspace": lambda: fw.linspace(0, 1, n),
        "full": lambda: fw.full(shape, 1.5),
        "randperm": lambda: fw.randperm(shape[0]),
    }


def cases(fw: Any) -> Iterator[tuple[str, Any]]:
    for shape in SHAPES:
        x = fw.randn(*shape)
        for name, call in (moving(fw, x) | indexing(fw, x) | filling(fw, shape, x.numel())).items():
            yield f"{name} {'x'.join(map(str, shape))}", call
