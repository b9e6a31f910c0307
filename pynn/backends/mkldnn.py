"""Not used by pynn. Names as in torch.backends.mkldnn."""

enabled = True


def is_available() -> bool:
    """False: pynn has its own kernels."""
    return False
