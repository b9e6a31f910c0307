"""How tensors print: the text equals PyTorch's, character for character."""

from __future__ import annotations

import math
from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = ["set_printoptions", "tensor_str"]


class _Options:
    precision: int = 4
    threshold: float = 1000  # elements from which the middle is left out
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, math.inf, 3, 80),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print. Same as torch.set_printoptions."""
    if profile is not None:
        _Options.precision, _Options.threshold, _Options.edgeitems, _Options.linewidth = _PROFILES[profile]
    if precision is not None:
        _Options.precision = precision
    if threshold is not None:
        _Options.threshold = threshold
    if edgeitems is not None:
        _Options.edgeitems = edgeitems
    if linewidth is not None:
        _Options.linewidth = linewidth
    _Options.sci_mode = sci_mode


class _Style:
    """One format for all elements shown: integers with a dot, fixed, or scientific, padded to one width."""

    def __init__(self, values: list[Any], floats: bool) -> None:
        self.floats = floats
        self.spec = ""
        self.width = 1
        if not floats:
            self.width = max([1, *(len(str(v)) for v in values)])
            return
        counted = [v for v in values if math.isfinite(v) and v != 0]
        if not counted:
            return
        low, high = min(map(abs, counted)), max(map(abs, counted))
        scientific = _Options.sci_mode
        if scientific is None:
            scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        whole = all(v == math.ceil(v) for v in counted)
        if scientific:
            self.spec = f".{_Options.precision}e"
        elif not whole:
            self.spec = f".{_Options.precision}f"
        dot = not self.spec
        self.width = max([1, *(len(format(v, self.spec or ".0f")) + dot for v in counted)])

    def format(self, value: Any) -> str:
        if not self.floats:
            text = str(value)
        elif self.spec:
            text = format(value, self.spec)
        else:
            text = f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return text.rjust(self.width)


def _edges(t: Tensor, summarize: bool) -> tuple[list[int], bool]:
    """The positions of dim 0 that are shown, and whether some are left out between them."""
    n, edge = t.size(0), _Options.edgeitems
    if summarize and n > 2 * edge:
        return [*range(edge), *range(n - edge, n)], True
    return list(range(n)), False


def _shown(t: Tensor, summarize: bool) -> list[Any]:
    if t.dim() == 0:
        return [t.item()]
    picked, cut = _edges(t, summarize)
    if t.dim() == 1:
        values = t.tolist()
        return [values[i] for i in picked] if cut else values
    return [v for i in picked for v in _shown(t.select(0, i), summarize)]


def _body(t: Tensor, indent: int, summarize: bool, style: _Style) -> str:
    if t.dim() == 0:
        return style.format(t.item())
    picked, cut = _edges(t, summarize)
    edge = _Options.edgeitems
    if t.dim() == 1:
        values = t.tolist()
        words = [style.format(values[i]) for i in picked]
        if cut:
            words.insert(edge, " ...")
        per_line = max(1, (_Options.linewidth - indent) // (style.width + 2))
        lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = [_body(t.select(0, i), indent + 1, summarize, style) for i in picked]
    if cut:
        rows.insert(edge, "...")
    return "[" + ("," + "\n" * (t.dim() - 1) + " " * (indent + 1)).join(rows) + "]"


def _suffixes(t: Tensor) -> list[str]:
    default = _C.get_default_dtype()
    out = []
    if t.device.type != "cpu":
        out.append(f"device='{t.device}'")
    if t.is_meta:
        out.append(f"size={tuple(t.shape)}")
        if t.dtype != default:
            out.append(f"dtype={t.dtype}")
    elif t.numel() == 0:
        if t.dim() != 1:
            out.append(f"size={tuple(t.shape)}")
        if t.dtype != default:
            out.append(f"dtype={t.dtype}")
    elif t.dtype not in (default, _C.int64, _C.bool):
        out.append(f"dtype={t.dtype}")
    if t.grad_fn is not None:
        out.append(f"grad_fn=<{t.grad_fn.name()}>")
    elif t.requires_grad:
        out.append("requires_grad=True")
    return out


def tensor_str(t: Tensor) -> str:
    """What repr(t) and str(t) give."""
    name = type(t).__name__
    prefix = "tensor(" if name in ("Tensor", "Parameter") else f"{name}("
    indent = len(prefix)
    if t.is_meta:
        body = "..."
    elif t.numel() == 0:
        body = "[]"
    else:
        values = t.detach()
        summarize = t.numel() > _Options.threshold
        style = _Style(_shown(values, summarize), t.dtype.is_floating_point)
        body = _body(values, indent, summarize, style)
    text = prefix + body
    last = len(text) - text.rfind("\n") + 1
    for suffix in _suffixes(t):
        if last + len(suffix) + 2 > _Options.linewidth:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"
