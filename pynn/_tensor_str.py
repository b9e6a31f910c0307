"""Tensors as text, in PyTorch's format.

One number format serves a whole tensor: integers bare, floats as `1.`, `1.5000` or `1.5000e+00`, all
right-aligned to the widest. Tensors above `threshold` elements show only `edgeitems` at both ends of each
dim, and the format is chosen from these.
"""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["get_printoptions", "printoptions", "set_printoptions", "tensor_repr"]

_DEFAULTS: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80}
_PROFILES: dict[str, dict[str, Any]] = {
    "default": _DEFAULTS,
    "short": {**_DEFAULTS, "precision": 2, "edgeitems": 2},
    "full": {**_DEFAULTS, "threshold": math.inf},
}
_options: dict[str, Any] = {**_DEFAULTS, "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed. Same as torch.set_printoptions.

    Args:
        precision: digits after the point.
        threshold: above so many elements only the ends of each dim are shown.
        edgeitems: how many at each end.
        linewidth: characters per line.
        profile: "default", "short" or "full", before the other arguments.
        sci_mode: always or never scientific notation; None: where it is shorter to read.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(
                f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}"
            )
        _options.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({name: value for name, value in given.items() if value is not None})
    _options["sci_mode"] = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The current options, as set_printoptions takes them."""
    return dict(_options)


@contextmanager
def printoptions(**kwargs: Any) -> Any:
    """set_printoptions for the length of a with block."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        _options.update(before)


class _IntFormat:
    """Integers and bools."""

    def __init__(self, values: list[Any]) -> None:
        self.width = max((len(str(v)) for v in values), default=1)

    def __call__(self, value: Any) -> str:
        return str(value).rjust(self.width)


class _FloatFormat:
    """Floats: whole ones as `1.`, others with `precision` digits, scientific if they differ much in size."""

    def __init__(self, values: list[float]) -> None:
        self.whole, self.scientific, self.width = True, False, 1
        self.precision = _options["precision"]
        shown = [v for v in values if math.isfinite(v) and v != 0]
        if not shown:
            return
        low, high = min(map(abs, shown)), max(map(abs, shown))
        self.whole = all(v == math.floor(v) for v in shown)
        self.scientific = _options["sci_mode"]
        if self.scientific is None:
            self.scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        self.width = max(len(self._text(v)) for v in shown)

    def _text(self, value: float) -> str:
        if self.scientific:
            return f"{value:.{self.precision}e}"
        if self.whole:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return f"{value:.{self.precision}f}"

    def __call__(self, value: float) -> str:
        return self._text(value).rjust(self.width)


class _ComplexFormat:
    def __init__(self, values: list[complex]) -> None:
        self.real = _FloatFormat([v.real for v in values])
        self.imag = _FloatFormat([v.imag for v in values])
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip() + "j"
        return self.real(value.real) + ("" if imag[0] in "+-" else "+") + imag


def _ends(x: Tensor) -> list[Tensor] | None:
    """The two ends of the first dim, or None when it is shown whole."""
    edge = _options["edgeitems"]
    return [x[:edge], x[x.size(0) - edge :]] if x.size(0) > 2 * edge else None


def _shown(x: Tensor, summarize: bool) -> list[Any]:
    """All elements that will be seen, in any order."""
    if not summarize:
        return x.reshape(-1).tolist()
    if x.dim() == 0:
        return [x.item()]
    parts = _ends(x) or [x]
    if x.dim() == 1:
        return [v for part in parts for v in part.tolist()]
    return [v for part in parts for row in part.unbind(0) for v in _shown(row, True)]


def _vector(x: Tensor, indent: int, summarize: bool, number: Any) -> str:
    per_line = max(1, (_options["linewidth"] - indent) // (number.width + 2))
    ends = _ends(x) if summarize else None
    if summarize and not _options["edgeitems"]:
        items = ["..."]
    elif ends is None:
        items = [number(v) for v in x.tolist()]
    else:
        items = [*map(number, ends[0].tolist()), " ...", *map(number, ends[1].tolist())]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(x: Tensor, indent: int, summarize: bool, number: Any) -> str:
    if x.dim() == 0:
        return number(x.item())
    if x.dim() == 1:
        return _vector(x, indent, summarize, number)
    ends = _ends(x) if summarize else None
    rows = [[_nested(row, indent + 1, summarize, number) for row in part.unbind(0)] for part in ends or [x]]
    items = rows[0] if ends is None else [*rows[0], "...", *rows[1]]
    return "[" + ("," + "\n" * (x.dim() - 1) + " " * (indent + 1)).join(items) + "]"


def _contents(x: Tensor, indent: int) -> str:
    if x.numel() == 0:
        return "[]"
    summarize = x.numel() > _options["threshold"]
    if not summarize:
        x = x.cpu()  # once, not value by value
    values = _shown(x, summarize)
    if x.is_complex():
        number: Any = _ComplexFormat(values)
    elif x.is_floating_point():
        number = _FloatFormat(values)
    else:
        number = _IntFormat(values)
    return _nested(x, indent, summarize, number)


def _suffixes(x: Tensor) -> list[str]:
    default = _C.get_default_dtype()
    default_complex = _C.complex128 if default is _C.float64 else _C.complex64
    out = []
    if x.device.type != "cpu":
        out.append(f"device='{x.device}'")
    empty = x.is_meta or x.numel() == 0
    if x.is_meta or (empty and x.dim() != 1) or not (empty or _options["edgeitems"]):
        out.append(f"size={tuple(x.shape)}")
    implied = (default,) if empty else (default, default_complex, _C.int64, _C.bool)
    if x.dtype not in implied:
        out.append(f"dtype={x.dtype}")
    if x.grad_fn is not None:
        out.append(f"grad_fn=<{x.grad_fn.name()}>")
    elif x.requires_grad:
        out.append("requires_grad=True")
    return out


def tensor_repr(x: Tensor, contents: str | None = None) -> str:
    """`tensor([1., 2.], requires_grad=True)`."""
    module = sys.modules.get("pynn.nn.parameter")  # before it is loaded, nothing is a Parameter
    parameter = module is not None and isinstance(x, module.Parameter)
    plain = type(x) is Tensor or (parameter and type(x).__name__ == "Parameter")
    prefix = "tensor(" if plain else f"{type(x).__name__}("
    indent = len(prefix)
    if contents is None:
        contents = "..." if x.is_meta else _contents(x.detach(), indent)
    text = prefix + contents
    column = len(text) - text.rfind("\n") + 1
    for suffix in _suffixes(x):
        if column + len(suffix) + 2 > _options["linewidth"]:
            text += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            text += ", " + suffix
            column += len(suffix) + 2
    text += ")"
    return f"Parameter({text})" if parameter and not plain else text
