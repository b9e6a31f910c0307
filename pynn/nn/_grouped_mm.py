"""Matrix products of groups of different sizes, for functional.py."""

from __future__ import annotations

from typing import Any

import pynn
from pynn import Tensor


def grouped_mm(a: Tensor, b: Tensor, offs: Tensor | None, bias: Tensor | None, out_dtype: Any) -> Tensor:
    if a.dim() not in (2, 3) or b.dim() not in (2, 3):
        raise RuntimeError(f"grouped_mm: matrices of 2 or 3 dims are required, got {a.dim()} and {b.dim()}")
    for name, x in (("mat_a", a), ("mat_b", b)):
        if x.dtype not in (pynn.float32, pynn.bfloat16, pynn.float16):
            raise RuntimeError(
                f"grouped_mm: Expected {name} to be Float32, BFloat16 or Float16 matrix, got {x.dtype}"
            )
    if (offs is None) != (a.dim() == b.dim() == 3):
        raise RuntimeError("grouped_mm: Have to provide offsets if there is a 2d matrix, and only then")
    if offs is not None and (offs.dim() != 1 or offs.dtype != pynn.int32):
        raise RuntimeError(
            f"grouped_mm: Offsets have to be a 1-D int32 tensor, got {offs.dtype} of {offs.dim()} dims"
        )
    if bias is not None:
        raise RuntimeError("grouped_mm: Bias not supported yet")
    if offs is None:
        y = a @ b
    else:
        ends = offs.tolist()
        spans = list(zip([0, *ends], ends))  # of each group
        parts = [
            _part(a, i, -2 if b.dim() == 3 else -1, span) @ _part(b, i, -1 if a.dim() == 3 else -2, span)
            for i, span in enumerate(spans)
        ]
        dim, whole = (-2, a.size(0)) if b.dim() == 3 else (-1, b.size(-1))
        y = pynn.stack(parts) if a.dim() == b.dim() else pynn.cat(parts, dim)
        if a.dim() != b.dim() and y.size(dim) < whole:  # what lies behind the last offset
            size = list(y.shape)
            size[dim] = whole - y.size(dim)
            y = pynn.cat([y, y.new_zeros(size)], dim)
    return y if out_dtype is None else y.to(out_dtype)


def _part(x: Tensor, i: int, dim: int, span: tuple[int, int]) -> Tensor:
    return x[i] if x.dim() == 3 else x.narrow(dim, span[0], span[1] - span[0])
