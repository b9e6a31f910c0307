"""Batches of sequences of different lengths. Same as torch.nn.utils.rnn.

A PackedSequence holds step 0 of all sequences, then step 1 of those that have one, and so on, without padding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import pynn
from pynn import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence_(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """The steps of a batch of sequences behind each other. Same as torch.nn.utils.rnn.PackedSequence.

    Args:
        data: (sum of lengths, ...).
        batch_sizes: for each step, how many sequences have one; int64, never growing.
        sorted_indices: the order, longest first, in which the sequences were packed.
        unsorted_indices: the way back.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created manually. "
                "They should be instantiated by functions like pack_sequence and pack_padded_sequences in "
                "nn.utils.rnn. https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Return the sequences with data.to(...); self if that is the same tensor."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = [
            None if t is None else t.to(data.device) for t in (self.sorted_indices, self.unsorted_indices)
        ]
        return type(self)(data, self.batch_sizes, *moved)

    def pin_memory(self) -> PackedSequence:
        """Return the sequences in page-locked memory."""
        indices = [
            None if t is None else t.pin_memory() for t in (self.sorted_indices, self.unsorted_indices)
        ]
        return type(self)(self.data.pin_memory(), self.batch_sizes, *indices)

    def is_pinned(self) -> bool:
        """Return whether the data lies in pinned memory."""
        return bool(self.data.is_pinned())

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Return the sequences on a GPU."""
        return self.to(*args, **{"device": "cuda", **kwargs})

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Return the sequences in main memory."""
        return self.to(*args, **{"device": "cpu", **kwargs})

    def double(self) -> PackedSequence:
        """Return the sequences as float64."""
        return self.to(dtype=pynn.float64)

    def float(self) -> PackedSequence:
        """Return the sequences as float32."""
        return self.to(dtype=pynn.float32)

    def half(self) -> PackedSequence:
        """Return the sequences as float16."""
        return self.to(dtype=pynn.float16)

    def long(self) -> PackedSequence:
        """Return the sequences as int64."""
        return self.to(dtype=pynn.int64)

    def int(self) -> PackedSequence:
        """Return the sequences as int32."""
        return self.to(dtype=pynn.int32)

    def short(self) -> PackedSequence:
        """Return the sequences as int16."""
        return self.to(dtype=pynn.int16)

    def char(self) -> PackedSequence:
        """Return the sequences as int8."""
        return self.to(dtype=pynn.int8)

    def byte(self) -> PackedSequence:
        """Return the sequences as uint8."""
        return self.to(dtype=pynn.uint8)

    @property
    def is_cuda(self) -> bool:
        """Whether the data lies on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """Return the permutation that undoes `permutation`."""
    if permutation is None:
        return None
    places = pynn.arange(0, permutation.numel(), device=permutation.device)
    return pynn.empty_like(permutation).scatter_(0, permutation, places)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences (steps, batch, ...), or (batch, steps, ...) if `batch_first`.

    Args:
        lengths: steps of each sequence, as a list or an int64 tensor.
        enforce_sorted: raise unless the lengths fall; False sorts the sequences by length.

    Raises:
        RuntimeError: a length is not positive, the lengths are not sorted, not one for each sequence, or
            beyond the padded steps.
    """
    lengths = pynn.as_tensor(lengths, dtype=pynn.int64)
    if lengths.device.type != "cpu":
        raise RuntimeError(
            f"pack_padded_sequence: 'lengths' argument should be a 1D CPU int64 tensor, but got one on {lengths.device}"
        )
    order = None
    if not enforce_sorted:
        lengths, order = pynn.sort(lengths, descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    x = input.transpose(0, 1) if batch_first else input
    counts = lengths.tolist()
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    if len(counts) != x.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} (batch_size={x.size(1)})"
        )
    if min(counts) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if counts != sorted(counts, reverse=True):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if "
            "you do not need ONNX exportability."
        )
    if counts[0] > x.size(0):
        raise RuntimeError(
            f"pack_padded_sequence: no length may exceed the padded {x.size(0)} steps, got {counts[0]}"
        )
    steps = pynn.arange(counts[0])
    present = steps.unsqueeze(1) < lengths  # (steps, batch)
    where = present.flatten().nonzero().squeeze(1).to(x.device)
    data = x[: counts[0]].reshape(-1, *x.shape[2:]).index_select(0, where)
    return PackedSequence(data, present.sum(1), order, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undo pack_padded_sequence: return the padded sequences, in their first order, and their lengths.

    Args:
        padding_value: what stands behind the shorter sequences.
        total_length: pad to so many steps, instead of to the longest sequence's.
    """
    data, batch_sizes, _, back = sequence
    longest = batch_sizes.size(0)
    if total_length is None:
        total_length = longest
    elif total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    batch = int(batch_sizes[0])
    present = pynn.arange(batch) < batch_sizes.unsqueeze(1)
    where = present.flatten().nonzero().squeeze(1).to(data.device)
    padded = pynn.full(
        (total_length * batch, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device
    )
    padded = padded.index_copy(0, where, data).view(total_length, batch, *data.shape[1:])
    lengths = present.sum(0)
    if batch_first:
        padded = padded.transpose(0, 1)
    if back is not None:
        return padded.index_select(0 if batch_first else 1, back), lengths[back.to(lengths.device)]
    return padded, lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stack sequences (steps, ...) as (longest, batch, ...), or (batch, longest, ...) if `batch_first`.

    Args:
        padding_side: "right" pads behind the sequences, "left" before them.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    items = list(sequences)
    if not items:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(s.size(0) for s in items)
    rows = []
    for s in items:
        rest = longest - s.size(0)
        if rest:
            fill = s.new_full((rest, *s.shape[1:]), padding_value)
            s = pynn.cat([s, fill] if padding_side == "right" else [fill, s])
        rows.append(s)
    return pynn.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """Return the sequences that pad_sequence stacked, given their lengths."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    steps = pynn.arange(padded_sequences.shape[1], device=lengths.device)
    return [rows[steps < n] for rows, n in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (steps, ...); longest first unless `enforce_sorted` is False."""
    lengths = pynn.as_tensor([s.size(0) for s in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Return the list of sequences that pack_sequence packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
