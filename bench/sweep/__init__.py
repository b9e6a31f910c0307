"""Many ops at many odd sizes against PyTorch: what is slower there, that the bench's table does not show."""
