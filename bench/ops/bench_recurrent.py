"""LSTM, GRU and RNN layers over sequences: forward, and with their gradient."""

from bench.registry import bench

KINDS = ("LSTM", "GRU", "RNN")
SHAPES = ((16, 64, 256), (1, 64, 64), (64, 32, 512))  # batch, steps, width


def layer(fw, kind, batch, steps, width, **options):
    return getattr(fw.nn, kind)(width, width, **options), fw.randn(steps, batch, width)


@bench(params=tuple((kind, *shape) for kind in KINDS for shape in SHAPES), ratio=0.5)
def forward(fw, kind, batch, steps, width):
    (cells, x), no_grad = layer(fw, kind, batch, steps, width), fw.no_grad

    def call():
        with no_grad():
            cells(x)

    return call


@bench(params=tuple((kind, *shape) for kind in KINDS for shape in SHAPES), ratio=0.5)
def forward_backward(fw, kind, batch, steps, width):
    cells, x = layer(fw, kind, batch, steps, width)
    g = fw.randn(steps, batch, width)

    def call():
        cells(x)[0].backward(g)
        cells.zero_grad()

    return call
