"""Layers and losses with their backward pass, pooling and padding, recurrent and attention layers, optimiser steps."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from bench.sweep.convolutions import both_passes

ROWS = [(8, 64), (32, 100), (64, 256), (128, 512), (10, 1000), (256, 32), (1000, 8)]
ACTIVATIONS = "GELU PReLU ReLU Tanh ELU SiLU Softplus LeakyReLU"
IMAGES = [(1, 3, 32), (8, 16, 16), (32, 6, 24), (4, 64, 56), (16, 10, 11)]
RECURRENT = [
    (10, 1, 8, 16),
    (20, 8, 32, 64),
    (35, 20, 100, 200),
    (50, 4, 64, 128),
    (5, 64, 20, 50),
    (100, 1, 10, 32),
]
ATTENTION = [(1, 10, 16, 2), (8, 20, 64, 4), (4, 50, 128, 8), (2, 100, 256, 8), (16, 7, 32, 2)]
PARAMETERS = [(4, (10, 10)), (20, (64, 64)), (2, (1000, 1000)), (100, (8,))]
OPTIMISERS = {
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "Adam": {"lr": 1e-4},
    "AdamW": {"lr": 1e-4},
    "RMSprop": {"lr": 1e-4},
    "Adagrad": {"lr": 1e-4},
}


def of_rows(fw: Any) -> Iterator[tuple[str, Any]]:
    nn, functional = fw.nn, fw.nn.functional
    for n, d in ROWS:
        x, y = fw.randn(n, d).requires_grad_(), fw.randn(n, d)
        target = fw.randint(0, d, (n,))
        layers: list[Any] = [getattr(nn, name)() for name in ACTIVATIONS.split()]
        layers += [nn.LayerNorm(d), nn.BatchNorm1d(d), nn.GroupNorm(4, d), nn.Linear(d, d), nn.Softmax(-1)]
        for layer in layers:
            yield f"{type(layer).__name__} {n} {d}", lambda f=layer, x=x: f(x).sum().backward()
        losses: dict[str, Any] = {
            "cross_entropy": lambda x=x, t=target: functional.cross_entropy(x, t),
            "mse_loss": lambda x=x, y=y: functional.mse_loss(x, y),
            "l1_loss": lambda x=x, y=y: functional.l1_loss(x, y),
            "huber_loss": lambda x=x, y=y: functional.huber_loss(x, y),
            "bce": lambda x=x, y=y.sigmoid(): functional.binary_cross_entropy_with_logits(x, y),
            "kl_div": lambda x=x, y=y.softmax(-1): functional.kl_div(functional.log_softmax(x, -1), y),
            "cosine": lambda x=x, y=y: functional.cosine_similarity(x, y).sum(),
            "normalize": lambda x=x: functional.normalize(x).sum(),
            "nll_loss": lambda x=x, t=target: functional.nll_loss(x, t),
            "multi_margin": lambda x=x, t=target: functional.multi_margin_loss(x, t),
        }
        for name, loss in losses.items():
            yield f"{name} {n} {d}", lambda loss=loss: loss().backward()
        yield f"cdist {n} {d}", lambda x=x.detach(), y=y: fw.cdist(x, y)


def of_images(fw: Any) -> Iterator[tuple[str, Any]]:
    nn = fw.nn
    for n, c, size in IMAGES:
        layers: list[Any] = [
            nn.MaxPool2d(2),
            nn.AvgPool2d(2),
            nn.MaxPool2d(3, 2, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.BatchNorm2d(c),
            nn.InstanceNorm2d(c),
            nn.Upsample(scale_factor=2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Unfold(3, padding=1),
            nn.ReflectionPad2d(1),
            nn.ReplicationPad2d(2),
            nn.ZeroPad2d(1),
        ]
        x = fw.randn(n, c, size, size)
        for layer in layers:
            yield from both_passes(fw, f"{layer} {n} {c} {size}", layer, x)
        grid, target = fw.rand(n, size, size, 2) * 2 - 1, fw.randint(0, c, (n, size, size))
        sample = nn.functional.grid_sample
        for mode in ("bilinear", "nearest", "bicubic"):
            at = partial(sample, grid=grid, mode=mode, align_corners=False)
            yield from both_passes(fw, f"grid_sample {mode} {n} {c} {size}", at, x)
        for name in ("cross_entropy", "nll_loss"):
            loss = partial(getattr(nn.functional, name), target=target)
            yield from both_passes(fw, f"{name} of planes {n} {c} {size}", loss, x)


def of_sequences(fw: Any) -> Iterator[tuple[str, Any]]:
    nn = fw.nn
    for steps, n, d, hidden in RECURRENT:
        for kind in (nn.LSTM, nn.GRU, nn.RNN):
            layer, x = kind(d, hidden), fw.randn(steps, n, d)
            name = f"{kind.__name__} {steps} {n} {d} {hidden}"
            yield from both_passes(fw, name, lambda x, layer=layer: layer(x)[0], x)
    for n, tokens, d, heads in ATTENTION:
        x = fw.randn(n, tokens, d)
        layer = nn.MultiheadAttention(d, heads, batch_first=True)
        name = f"{n} {tokens} {d} {heads}"
        for weights in (False, True):
            attend = lambda x, layer=layer, weights=weights: layer(x, x, x, need_weights=weights)[0]  # noqa: E731
            yield from both_passes(fw, f"attention, weights {weights} {name}", attend, x)
        encoder = nn.TransformerEncoderLayer(d, heads, 4 * d, batch_first=True)
        yield from both_passes(fw, f"encoder {name}", encoder, x)


def of_parameters(fw: Any) -> Iterator[tuple[str, Any]]:
    for count, shape in PARAMETERS:
        size = f"{count} of {'x'.join(map(str, shape))}"
        for name, options in OPTIMISERS.items():
            parameters = [fw.nn.Parameter(fw.randn(*shape)) for _ in range(count)]
            for p in parameters:
                p.grad = fw.randn(*shape)
            yield f"{name} {size}", getattr(fw.optim, name)(parameters, **options).step
        yield f"clip_grad_norm_ {size}", lambda p=parameters: fw.nn.utils.clip_grad_norm_(p, 1.0)


def cases(fw: Any) -> Iterator[tuple[str, Any]]:
    yield from of_rows(fw)
    yield from of_images(fw)
    yield from of_sequences(fw)
    yield from of_parameters(fw)
