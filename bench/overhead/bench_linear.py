"""`nn.Linear` on one row: what a Module's call costs, and what it costs on a machine that others use too."""

from bench.registry import bench


@bench(ratio=0.3)
def call_1x64(fw):
    layer, x = fw.nn.Linear(64, 64), fw.randn(1, 64)
    return lambda: layer(x)


@bench(ratio=0.3)
def call_1x64_nograd(fw):
    layer, x = fw.nn.Linear(64, 64).requires_grad_(False), fw.randn(1, 64)
    return lambda: layer(x)


# 64x256 -> 256 is large enough for PyTorch to fork its threads; one process spins on every core meanwhile.
@bench(kind="busy", unit="x", ratio=None, at_most=2.5, rounds=5)
def beside_busy_processes(fw):
    layer, x = fw.nn.Linear(256, 256).requires_grad_(False), fw.randn(64, 256)
    return lambda: layer(x)
