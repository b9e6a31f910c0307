"""Padding of images."""

from bench.registry import bench


@bench(
    params=tuple(
        (m, *s) for m in ("constant", "reflect", "circular") for s in ((1, 3, 32, 32), (4, 64, 56, 56))
    ),
)
def forward(fw, mode, *shape):
    x, pad = fw.randn(*shape), fw.nn.functional.pad
    return lambda: pad(x, (1, 1, 1, 1), mode)


@bench(params=(("reflect", 4, 64, 56, 56),))
def backward(fw, mode, *shape):
    x, pad = fw.randn(*shape).requires_grad_(), fw.nn.functional.pad
    return lambda: pad(x, (1, 1, 1, 1), mode).sum().backward()
