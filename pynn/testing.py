"""assert_close, for tests. Names as in torch.testing."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pynn
from pynn import Tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# dtype: (rtol, atol)
_TOLERANCES = {
    pynn.float16: (1e-3, 1e-5),
    pynn.bfloat16: (1.6e-2, 1e-5),
    pynn.float32: (1.3e-6, 1e-5),
    pynn.float64: (1e-7, 1e-7),
    pynn.complex64: (1.3e-6, 1e-5),
    pynn.complex128: (1e-7, 1e-7),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise unless |actual - expected| <= atol + rtol |expected| everywhere. Same as torch.testing.assert_close.

    Tensors, arrays, numbers, None, and sequences and mappings of them are compared. The tolerances depend on the dtype
    unless both are given; integers and bools have to be equal.

    Raises:
        AssertionError: values, shapes, dtypes or structures differ; it says where, and by how much.
        TypeError: things that cannot be compared.
        ValueError: only one of the tolerances is given.
    """
    if (rtol is None) != (atol is None):
        given, missing = ("atol", "rtol") if rtol is None else ("rtol", "atol")
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.")
    options = _Options(
        rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride, allow_subclasses
    )
    try:
        options.compare(actual, expected, "")
    except _Differs as e:
        text = str(e)
        if msg is not None:
            text = msg(text) if callable(msg) else msg
        raise AssertionError(text) from None


class _Differs(Exception):
    pass


class _Options:
    def __init__(
        self,
        rtol: float | None,
        atol: float | None,
        equal_nan: bool,
        device: bool,
        dtype: bool,
        layout: bool,
        stride: bool,
        subclasses: bool,
    ) -> None:
        self.rtol, self.atol, self.equal_nan = rtol, atol, equal_nan
        self.device, self.dtype, self.stride = device, dtype, stride
        self.subclasses = subclasses

    def tolerances(self, *dtypes: Any) -> tuple[float, float]:
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        pairs = [_TOLERANCES.get(dtype, (0.0, 0.0)) for dtype in dtypes]
        return max(p[0] for p in pairs), max(p[1] for p in pairs)

    def compare(self, a: Any, b: Any, where: str) -> None:
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            missing, extra = set(b) - set(a), set(a) - set(b)
            if missing or extra:
                raise _Differs(
                    "The keys of the mappings do not match:\n"
                    f"Missing keys in the actual mapping: {sorted(missing, key=str)}\n"
                    f"Additional keys in the actual mapping: {sorted(extra, key=str)}" + _at(where)
                )
            for key in sorted(b, key=str):
                self.compare(a[key], b[key], f"{where}[{key!r}]")
        elif _is_sequence(a) and _is_sequence(b):
            if len(a) != len(b):
                raise _Differs(f"The length of the sequences mismatch: {len(a)} != {len(b)}" + _at(where))
            for i in range(len(a)):
                self.compare(a[i], b[i], f"{where}[{i}]")
        elif a is None or b is None:
            if a is not b:
                raise _Differs(f"None mismatch: {a} is not {b}" + _at(where))
        elif _is_bool(a) and _is_bool(b):
            if bool(a) is not bool(b):
                raise _Differs(f"Booleans mismatch: {a} is not {b}" + _at(where))
        elif isinstance(a, (int, float, complex)) and isinstance(b, (int, float, complex)):
            self.numbers(a, b, where)
        elif (isinstance(a, Tensor) and isinstance(b, Tensor)) or (_is_array(a) and _is_array(b)):
            if not self.subclasses and type(a) is not type(b):
                raise TypeError(
                    f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}."
                )
            x, y = (t if isinstance(t, Tensor) else pynn.as_tensor(t) for t in (a, b))
            self.tensors(x, y, where)
        else:
            raise TypeError(
                f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}." + _at(where)
            )

    def numbers(self, a: Any, b: Any, where: str) -> None:
        if self.dtype and type(a) is not type(b):
            raise _Differs(f"The (d)types do not match: {type(a)} != {type(b)}." + _at(where))
        kinds = {int: pynn.int64, float: pynn.float64, complex: pynn.complex128}
        rtol, atol = self.tolerances(*(kinds.get(type(x), pynn.float64) for x in (a, b)))
        close = a == b or abs(a - b) <= atol + rtol * abs(b)
        if close or (self.equal_nan and a != a and b != b):
            return
        equal = rtol == atol == 0
        absolute = abs(a - b)
        relative = absolute / abs(b) if b != 0 else math.inf
        raise _Differs(
            f"Scalars are not {'equal' if equal else 'close'}!\n\nExpected {b} but got {a}.\n"
            f"Absolute difference: {absolute}{'' if equal else f' (up to {atol} allowed)'}\n"
            f"Relative difference: {relative}{'' if equal else f' (up to {rtol} allowed)'}" + _at(where)
        )

    def tensors(self, a: Tensor, b: Tensor, where: str) -> None:
        checks: list[tuple[str, Any, Any]] = [("shape", a.shape, b.shape)]
        if self.device:
            checks.append(("device", a.device, b.device))
        if self.dtype:
            checks.append(("dtype", a.dtype, b.dtype))
        if self.stride and a.shape == b.shape:
            checks.append(("stride()", tuple(a.stride()), tuple(b.stride())))
        for name, mine, other in checks:
            if mine != other:
                raise _Differs(
                    f"The values for attribute '{name}' do not match: {mine} != {other}." + _at(where)
                )
        rtol, atol = self.tolerances(a.dtype, b.dtype)
        a, b = a.detach().cpu(), b.detach().cpu()
        wide = pynn.promote_types(a.dtype, b.dtype)
        if wide == pynn.bool:
            wide = pynn.int64
        x, y = a.to(wide), b.to(wide)
        if rtol == atol == 0 and not wide.is_floating_point:
            close = x == y
        else:
            close = pynn.isclose(x, y, rtol=rtol, atol=atol, equal_nan=self.equal_nan)
        if bool(close.all()):
            return
        raise _Differs(_report(x, y, ~close, rtol, atol) + _at(where))


def _report(x: Tensor, y: Tensor, bad: Tensor, rtol: float, atol: float) -> str:
    equal = rtol == atol == 0
    kind = "equal" if equal else "close"
    if x.dim() == 0:
        a, b = x.item(), y.item()
        absolute = abs(a - b)
        return (
            f"Scalars are not {kind}!\n\nExpected {b} but got {a}.\n"
            f"Absolute difference: {absolute}{'' if equal else f' (up to {atol} allowed)'}\n"
            f"Relative difference: {absolute / abs(b) if b else math.inf}"
            f"{'' if equal else f' (up to {rtol} allowed)'}"
        )
    count, total = int(bad.sum()), bad.numel()
    wide = x if x.is_floating_point() or x.is_complex() else x.to(pynn.float64)
    difference = (x - y).abs()
    relative = (wide - y).abs() / y.abs()
    lines = [
        f"Tensor-likes are not {kind}!\n",
        f"Mismatched elements: {count} / {total} ({count / total:.1%})",
    ]
    # what is close does not count
    for name, values, limit in (("absolute", difference, atol), ("relative", relative, rtol)):
        shown = pynn.where(bad, values, pynn.zeros((), dtype=values.dtype))
        flat = int(shown.flatten().argmax())
        largest = shown.flatten()[flat].item()
        place: list[int] = []
        for n in reversed(x.shape):
            flat, i = divmod(flat, n)
            place.insert(0, i)
        allowed = "" if equal else f" (up to {limit} allowed)"
        lines.append(f"Greatest {name} difference: {largest} at index {tuple(place)}{allowed}")
    return "\n".join(lines)


def _at(where: str) -> str:
    return f"\n\nThe failure occurred for item {where}" if where else ""


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, (str, bytes))


def _is_array(x: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(x, (numpy.ndarray, numpy.generic)) and not _is_bool(x)


def _is_bool(x: Any) -> bool:
    return isinstance(x, bool) or type(x).__name__ in ("bool_", "bool")


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """The old form of assert_close, which checks values alone."""
    assert_close(
        actual if isinstance(actual, Tensor) else pynn.tensor(actual),
        expected if isinstance(expected, Tensor) else pynn.tensor(expected),
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=True,
        check_dtype=False,
        msg=msg or None,
    )


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any = None,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of random numbers from [low, high), by default [-9, 9) ([0, 10) for uint8). Like torch.testing.make_tensor."""
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if noncontiguous and sizes:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    if dtype == pynn.bool:
        out = pynn.randint(0, 2, sizes).to(dtype)
    else:
        bottom = low if low is not None else (0 if dtype == pynn.uint8 else -9)
        top = high if high is not None else (10 if dtype in (pynn.uint8,) else 9)
        if dtype.is_floating_point:
            wide = dtype if dtype in (pynn.float32, pynn.float64) else pynn.float32
            out = pynn.empty(sizes, dtype=wide).uniform_(bottom, top).to(dtype)
        else:
            out = pynn.randint(int(bottom), int(top), sizes).to(dtype)
        if exclude_zero:
            out[out == 0] = 1
    if device is not None:
        out = out.to(device)
    if noncontiguous and sizes:
        out = out[..., ::2]
    return out.requires_grad_(requires_grad)
