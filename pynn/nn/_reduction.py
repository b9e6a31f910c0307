"""The old `size_average` and `reduce` arguments of the losses."""

from __future__ import annotations


def legacy_get_string(size_average: bool | None, reduce: bool | None, stacklevel: int = 3) -> str:
    """Return the `reduction` that the old arguments stand for, with PyTorch's warning."""
    import warnings

    if reduce is not None and not reduce:
        reduction = "none"
    elif size_average is None or size_average:
        reduction = "mean"
    else:
        reduction = "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
        stacklevel=stacklevel,
    )
    return reduction
