"""Names as in torch.backends.openmp."""


def is_available() -> bool:
    """Whether the kernels' loops run on OpenMP."""
    from pynn import _C

    return _C._build_info()["parallel_backend"] == "openmp"
