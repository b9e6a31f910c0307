"""The default generator's seed and state. Names as in torch.random."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pynn
from pynn._C import default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]


@contextlib.contextmanager
def fork_rng(devices: Sequence[Any] | None = None, enabled: bool = True, **kwargs: Any) -> Iterator[None]:
    """What is drawn in the with block does not move the default generators. Same as torch.random.fork_rng.

    Args:
        devices: the CUDA devices whose generators stay where they are, all by default.
        enabled: without it, the block runs as if this were not there.
    """
    if not enabled:
        yield
        return
    cuda = pynn.cuda
    forked = range(cuda.device_count()) if devices is None else devices
    state, states = get_rng_state(), [(d, cuda.get_rng_state(d)) for d in forked]
    try:
        yield
    finally:
        set_rng_state(state)
        for d, s in states:
            cuda.set_rng_state(s, d)


def thread_safe_generator() -> None:
    """None, the default generator, whose state threads may share. Same as torch.random.thread_safe_generator."""
    return None
