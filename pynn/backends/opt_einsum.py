"""Flags of opt_einsum, which pynn does not use. Names as in torch.backends.opt_einsum."""

enabled = False
strategy = None


def is_available() -> bool:
    """False: operands are contracted from the left."""
    return False
