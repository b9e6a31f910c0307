"""pad, for functional.py."""

from __future__ import annotations

import pynn
from pynn import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add elements at the ends of the last dims, or cut some off where a number is negative.

    Same as torch.nn.functional.pad. The modes other than "constant" take (N, C, ...) or (C, ...) and pad all of the
    one to three dims behind C.

    Args:
        pad: (left, right) of the last dim, then of the one before it, and so on.
        mode: "constant", "reflect", "replicate" or "circular".
        value: what "constant" adds; None is 0.
    """
    pad = list(pad)
    if len(pad) % 2 or len(pad) > 2 * input.dim():
        raise RuntimeError(
            f"pad: two numbers for each padded dim are required, got {len(pad)} numbers for {input.dim()} "
            "dims"
        )
    ends = [(input.dim() - 1 - i // 2, pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    for dim, left, right in ends:
        if input.size(dim) + left + right < 0:
            raise RuntimeError(
                f"pad: the sizes must not get negative, got {left} + {input.size(dim)} + {right}"
            )
        if mode == "constant" and input.size(dim) + min(left, 0) + min(right, 0) < 0:
            raise RuntimeError(
                f"pad: no more can be cut off than there is, got {left} and {right} for size {input.size(dim)}"
            )
    if mode == "constant":
        return _pad_constant(input, ends, 0 if value is None else value)
    if mode not in _INDEX:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise RuntimeError(f'pad: mode "{mode}" doesn\'t take in value argument, got {value}')
    dims = len(ends)
    if not 1 <= dims <= 3 or input.dim() not in (dims + 1, dims + 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} pads all of the 1 to 3 spatial dims, got {len(pad)} numbers for {input.dim()} dims"
        )
    if mode != "circular":
        sizes = [input.size(dim) + left + right for dim, left, right in ends]
        if 0 in input.shape[-dims - 1 :] or max(sizes) < 1:
            raise RuntimeError(
                f"pad: mode {mode!r} needs sizes that are not zero (but that of the batch), got "
                f"{tuple(input.shape)} padded by {pad} (the input is too small)"
            )
    if mode == "circular":  # what is cut off does not come round again
        for dim, left, right in ends:
            if max(left, right) > input.size(dim):
                raise RuntimeError(
                    f"pad: circular wraps around once at most, got ({left}, {right}) for size {input.size(dim)}"
                )
        input = _pad_constant(input, [(dim, min(left, 0), min(right, 0)) for dim, left, right in ends], 0)
        ends = [(dim, max(left, 0), max(right, 0)) for dim, left, right in ends]
    for dim, left, right in ends:
        if left or right:
            input = input.index_select(dim, _INDEX[mode](input.size(dim), left, right, input.device))
    return input


def _pad_constant(input: Tensor, ends: list[tuple[int, int, int]], value: float) -> Tensor:
    shape = list(input.shape)
    for dim, left, right in ends:
        shape[dim] += left + right
    padded = input.new_full(shape, value)
    inner = padded
    for dim, left, right in ends:
        size = max(input.size(dim) + min(left, 0) + min(right, 0), 0)
        input = input.narrow(dim, min(max(-left, 0), input.size(dim)), size)
        inner = inner.narrow(dim, min(max(left, 0), inner.size(dim)), size)
    inner.copy_(input)
    return padded


def _reflected(size: int, left: int, right: int, device: pynn.device) -> Tensor:
    if max(left, right) >= size:
        raise RuntimeError(
            f"pad: reflect needs a padding smaller than the size, got ({left}, {right}) for {size}"
        )
    last = size - 1
    return last - (last - pynn.arange(-left, size + right, device=device).abs()).abs()


def _replicated(size: int, left: int, right: int, device: pynn.device) -> Tensor:
    if size == 0:
        raise RuntimeError("pad: replicate needs an element to repeat, got size 0")
    return pynn.arange(-left, size + right, device=device).clamp(0, size - 1)


def _wrapped(size: int, left: int, right: int, device: pynn.device) -> Tensor:
    return pynn.arange(-left, size + right, device=device) % max(size, 1)


_INDEX = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}
