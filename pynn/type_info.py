"""The limits of number types. Same as torch.finfo and torch.iinfo."""

from __future__ import annotations

from typing import Any

from pynn import _C

__all__ = ["finfo", "iinfo"]

# name: (bits, significand bits without the leading one, smallest normal exponent, largest exponent[, largest number])
_FLOATS = {
    "float16": (16, 10, -14, 15),
    "bfloat16": (16, 7, -126, 127),
    "float32": (32, 23, -126, 127),
    "float64": (64, 52, -1022, 1023),
    "float8_e4m3fn": (8, 3, -6, 8, 448.0),  # all ones is NaN
    "float8_e5m2": (8, 2, -14, 15),
    "float8_e4m3fnuz": (8, 3, -7, 7),
    "float8_e5m2fnuz": (8, 2, -15, 15),
}
_INTEGERS = {
    "uint8": (8, False),
    "int8": (8, True),
    "int16": (16, True),
    "int32": (32, True),
    "int64": (64, True),
    "uint16": (16, False),
    "uint32": (32, False),
    "uint64": (64, False),
}


class finfo:
    """bits, eps, max, min, tiny, smallest_normal, resolution and dtype of a float type (the default one if none is given)."""

    def __init__(self, type: Any = None) -> None:
        name = str(_C.get_default_dtype() if type is None else type.to_real())[6:]
        if name not in _FLOATS:
            raise TypeError(f"finfo: requires a floating point dtype, got {type} (use iinfo for integers)")
        self.bits, digits, low, high, *largest = _FLOATS[name]
        self.dtype = name
        self.eps = 2.0**-digits
        self.max = largest[0] if largest else (2.0 - self.eps) * 2.0**high
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0**low
        self.resolution = 10.0 ** -int(digits * 0.30103)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """bits, max, min and dtype of an integer type."""

    def __init__(self, type: Any) -> None:
        name = str(type)[6:]
        if name not in _INTEGERS:
            raise TypeError(
                f"iinfo: requires an integer dtype, got {type} (use finfo for floating point types)"
            )
        self.bits, signed = _INTEGERS[name]
        self.dtype = name
        self.max = 2 ** (self.bits - signed) - 1
        self.min = -(2 ** (self.bits - 1)) if signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
