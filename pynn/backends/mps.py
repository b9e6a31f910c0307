"""Apple's GPUs. Names as in torch.backends.mps."""


def is_available() -> bool:
    """False."""
    return False


def is_built() -> bool:
    """False."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """False: it is asked for the GPU alone."""
    return False
