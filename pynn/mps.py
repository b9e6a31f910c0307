"""Apple's GPUs: none. Names as in torch.mps."""


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Accepted without effect where there is no device."""


def empty_cache() -> None:
    """Nothing is cached where there is no device."""
