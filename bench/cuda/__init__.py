"""Benches of the CUDA backend: `python -m bench.cuda` on a machine with a GPU and PyTorch built for it."""
