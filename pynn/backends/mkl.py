"""Not used by pynn. Names as in torch.backends.mkl."""


def is_available() -> bool:
    """False: pynn has its own kernels."""
    return False
