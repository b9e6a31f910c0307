"""Where torch.utils.data keeps what programs import from it nonetheless."""
