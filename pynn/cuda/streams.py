"""Streams of work, which run side by side, and events in them. Same as torch.cuda.Stream and Event."""

from __future__ import annotations

from typing import Any

from pynn.cuda._device import current_device, index_of, require, set_device

__all__ = [
    "Event",
    "ExternalStream",
    "Stream",
    "StreamContext",
    "current_stream",
    "default_stream",
    "get_stream_from_external",
    "set_stream",
    "stream",
]


class Stream:
    """Work of a device that runs in order; different streams run side by side.

    Args:
        device: where; None is the current device.
        priority: -1 for high, 0 for normal.
    """

    def __init__(self, device: Any = None, priority: int = 0, **kwargs: Any) -> None:
        index = index_of(device)
        self._set(require().stream_from_pool(index, priority < 0), index, -1 if priority < 0 else 0)

    @classmethod
    def _of(cls, handle: int, index: int) -> Stream:
        self = object.__new__(Stream)
        self._set(handle, index, 0)
        return self

    def _set(self, handle: int, index: int, priority: int) -> None:
        self.cuda_stream = handle
        self.device_index = index
        self.priority = priority

    @property
    def device(self) -> Any:
        import pynn

        return pynn.device("cuda", self.device_index)

    @property
    def stream_id(self) -> int:
        return self.cuda_stream

    def query(self) -> bool:
        """Whether all its work is done."""
        return require().stream_query(self.cuda_stream)

    def synchronize(self) -> None:
        """Wait for all its work."""
        require().stream_synchronize(self.cuda_stream, self.device_index)

    def record_event(self, event: Event | None = None) -> Event:
        """Put an event (None: a new one) behind the work so far."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Later work waits for the event; the caller does not."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Later work waits for the work so far of another stream."""
        self.wait_event(stream.record_event())

    def __enter__(self) -> Stream:
        self._context = StreamContext(self)
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self.cuda_stream, self.device_index) == (
            other.cuda_stream,
            other.device_index,
        )

    def __hash__(self) -> int:
        return hash((self.cuda_stream, self.device_index))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device=cuda:{self.device_index} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream of another library, given as its address. Same as torch.cuda.ExternalStream."""

    def __init__(self, stream_ptr: int, device: Any = None, **kwargs: Any) -> None:
        self._set(stream_ptr, index_of(device), 0)


class Event:
    """A mark in a stream, to wait for or to take the time at.

    Args:
        enable_timing: whether elapsed_time may be asked for.
        blocking: whether synchronize() sleeps rather than spins.
    """

    def __init__(
        self,
        enable_timing: bool = False,
        blocking: bool = False,
        interprocess: bool = False,
        external: bool = False,
    ) -> None:
        if interprocess:
            raise NotImplementedError("Event: events are not shared between processes, got interprocess=True")
        self._event = require().Event(enable_timing, blocking)

    @property
    def cuda_event(self) -> int:
        return self._event.handle

    def record(self, stream: Stream | None = None) -> None:
        """Put it behind the work so far of a stream (None: the current one)."""
        stream = current_stream() if stream is None else stream
        self._event.record(stream.cuda_stream, stream.device_index)

    def wait(self, stream: Stream | None = None) -> None:
        """Later work of a stream (None: the current one) waits for it."""
        self._event.wait((current_stream() if stream is None else stream).cuda_stream)

    def query(self) -> bool:
        """Whether the work before it is done."""
        return self._event.query()

    def synchronize(self) -> None:
        """Wait for the work before it."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to a later one."""
        return self._event.elapsed_time(end_event._event)

    def __repr__(self) -> str:
        return (
            f"<torch.cuda.Event {self.cuda_event:#x}>"
            if self.cuda_event
            else "<torch.cuda.Event uninitialized>"
        )


def current_stream(device: Any = None) -> Stream:
    """The stream that this thread's work on a device goes to."""
    index = index_of(device)
    return Stream._of(require().current_stream(index), index)


def default_stream(device: Any = None) -> Stream:
    """The stream that work goes to where no other was chosen."""
    return Stream._of(0, index_of(device))


def get_stream_from_external(data_ptr: int, device: Any = None) -> Stream:
    """A stream of another library, given as its address. Same as torch.cuda.get_stream_from_external."""
    return ExternalStream(data_ptr, device)


def set_stream(stream: Stream | None) -> None:
    """Make a stream the current one of its device, and that device the current one."""
    if stream is None:
        return
    set_device(stream.device_index)
    require().set_stream(stream.cuda_stream, stream.device_index)


class StreamContext:
    """A with block whose work goes to a stream; to the one before for None."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is None:
            return
        self._device = current_device()
        self._before = current_stream(self.stream.device_index)
        set_stream(self.stream)

    def __exit__(self, *error: Any) -> None:
        if self.stream is None:
            return
        require().set_stream(self._before.cuda_stream, self._before.device_index)
        set_device(self._device)


def stream(stream: Stream | None) -> StreamContext:
    """A with block whose work goes to a stream. Same as torch.cuda.stream."""
    return StreamContext(stream)
