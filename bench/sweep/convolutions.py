"""Convolutions of one and two dims and transposed ones: inference, and a forward and backward pass."""

from collections.abc import Iterator
from typing import Any

# batch, in, out, size, kernel, stride, padding, groups
TWO = [
    (1, 1, 6, 28, 5, 1, 0, 1),
    (32, 1, 6, 28, 5, 1, 0, 1),
    (32, 6, 16, 12, 5, 1, 0, 1),
    (1, 3, 16, 32, 3, 1, 1, 1),
    (8, 3, 64, 32, 3, 1, 1, 1),
    (8, 16, 32, 16, 3, 1, 1, 1),
    (8, 32, 64, 16, 3, 2, 1, 1),
    (4, 64, 64, 56, 1, 1, 0, 1),
    (4, 64, 256, 28, 1, 1, 0, 1),
    (4, 256, 64, 28, 1, 1, 0, 1),
    (2, 3, 64, 112, 7, 2, 3, 1),
    (8, 20, 50, 12, 5, 1, 0, 1),
    (1, 64, 64, 14, 3, 1, 1, 1),
    (1, 512, 512, 7, 3, 1, 1, 1),
    (8, 32, 32, 28, 3, 1, 1, 32),
    (8, 64, 64, 14, 5, 1, 2, 64),
    (16, 10, 10, 10, 3, 1, 1, 1),
    (4, 12, 24, 30, 3, 1, 1, 4),
    (1, 256, 256, 14, 3, 1, 1, 1),
    (2, 128, 128, 28, 3, 1, 1, 1),
    (64, 1, 32, 28, 3, 1, 1, 1),
    (64, 32, 64, 26, 3, 1, 0, 1),
    (8, 3, 32, 224, 3, 2, 1, 1),
    (16, 96, 24, 28, 1, 1, 0, 1),
    (16, 4, 16, 84, 8, 4, 0, 1),
    (16, 16, 32, 20, 4, 2, 0, 1),
    (8, 3, 96, 64, 11, 4, 2, 1),
    (4, 3, 192, 224, 16, 16, 0, 1),
]
# batch, in, out, length, kernel
ONE = [(8, 16, 32, 100, 3), (1, 1, 16, 1000, 7), (16, 64, 64, 128, 5), (4, 80, 256, 200, 3)]
# batch, in, out, size, kernel, stride, padding
TRANSPOSED = [
    (8, 64, 32, 14, 4, 2, 1),
    (8, 100, 64, 1, 4, 1, 0),
    (2, 32, 3, 32, 4, 2, 1),
    (8, 16, 8, 16, 2, 2, 0),
]


def both_passes(fw: Any, name: str, layer: Any, x: Any) -> Iterator[tuple[str, Any]]:
    def forward(x: Any = x) -> None:
        with fw.no_grad():
            layer(x)

    leaf = x.clone().requires_grad_()
    yield f"{name} forward", forward
    yield f"{name} both", lambda: layer(leaf).sum().backward()


def cases(fw: Any) -> Iterator[tuple[str, Any]]:
    nn = fw.nn
    for n, ci, co, size, kernel, stride, padding, groups in TWO:
        layer = nn.Conv2d(ci, co, kernel, stride, padding, groups=groups)
        name = f"conv2d {n} {ci} {co} {size} {kernel} {stride} {padding} {groups}"
        yield from both_passes(fw, name, layer, fw.randn(n, ci, size, size))
    for n, ci, co, size, kernel in ONE:
        layer = nn.Conv1d(ci, co, kernel, padding=kernel // 2)
        yield from both_passes(fw, f"conv1d {n} {ci} {co} {size} {kernel}", layer, fw.randn(n, ci, size))
    for n, ci, co, size, kernel, stride, padding in TRANSPOSED:
        layer = nn.ConvTranspose2d(ci, co, kernel, stride, padding)
        name = f"transposed {n} {ci} {co} {size} {kernel} {stride} {padding}"
        yield from both_passes(fw, name, layer, fw.randn(n, ci, size, size))
