"""Seeds and states of the CUDA devices' default generators. Names as in torch.cuda.random."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pynn import _C
from pynn.cuda._device import device_count, index_of, is_available

__all__ = [
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
]


def _generator(device: Any = None) -> _C.Generator:
    return _C._cuda_generator(index_of(device))


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a device's generator, as a uint8 tensor on the CPU. Same as torch.cuda.get_rng_state."""
    return _generator(device).get_state()


def get_rng_state_all() -> list[Any]:
    """One state per device. Same as torch.cuda.get_rng_state_all."""
    return [get_rng_state(i) for i in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Set the state of a device's generator. Same as torch.cuda.set_rng_state."""
    _generator(device).set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Set one state per device. Same as torch.cuda.set_rng_state_all."""
    for i, state in enumerate(new_states):
        set_rng_state(state, i)


def manual_seed(seed: int) -> None:
    """Start the current device's stream anew; without effect where there is none. Same as torch.cuda.manual_seed."""
    if is_available():
        _generator().manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    """Start every device's stream anew. Same as torch.cuda.manual_seed_all."""
    _C._cuda_manual_seed_all(int(seed))


def seed() -> None:
    """Seed the current device's generator from the system; without effect where there is none."""
    if is_available():
        _generator().seed()


def seed_all() -> None:
    """Seed every device's generator from the system, all alike. Same as torch.cuda.seed_all."""
    if is_available():
        manual_seed_all(_generator(0).seed())


def initial_seed() -> int:
    """The seed of the current device's generator. Same as torch.cuda.initial_seed."""
    return _generator().initial_seed()
