"""What ops cost. Names as in torch.autograd.profiler; pynn.profiler has the newer form."""

from __future__ import annotations

import functools
import os
from typing import Any

from pynn import _C
from pynn.autograd.profiler_util import EventList, FunctionEventAvg

__all__ = ["EventList", "emit_itt", "emit_nvtx", "profile", "record_function"]


class record_function:
    """Gives a block, or the calls of a decorated function, a name in the profile. Same as torch.autograd.profiler.record_function."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args
        self._start = 0

    def __enter__(self) -> record_function:
        self._start = _C._profiler_clock() if _C._profiler_on() else 0
        return self

    def __exit__(self, *exc: object) -> None:
        if self._start and _C._profiler_on():
            _C._profiler_mark(self.name, self._start)

    def __call__(self, function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return wrapper


class profile:
    """Records the ops of a with block. Same as torch.autograd.profiler.profile, for the CPU.

    An op is an event as Python calls it; what it calls in C++ is part of it. Nodes of a backward pass are events too.

    Args:
        enabled: False records nothing.
        record_shapes: keep the shapes of the tensors that ops take.
        use_cuda, use_device, with_flops, profile_memory, with_stack, with_modules, ...: accepted without effect.
    """

    def __init__(self, enabled: bool = True, *, record_shapes: bool = False, **options: Any) -> None:
        self.enabled, self.record_shapes = enabled, record_shapes
        self.function_events: EventList | None = None

    def __enter__(self) -> profile:
        if self.enabled:
            if _C._profiler_on():
                raise RuntimeError("profile: a profiler is running already")
            self.function_events = None
            _C._profiler_start(self.record_shapes)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            self.function_events = EventList.of_raw(_C._profiler_stop())

    def _events(self) -> EventList:
        if self.function_events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self.function_events

    def table(self, *args: Any, **kwargs: Any) -> str:
        """The events as a table; see EventList.table."""
        return self._events().table(*args, **kwargs)

    def key_averages(self, group_by_input_shape: bool = False, *args: Any, **kwargs: Any) -> EventList:
        """Averages by name, or by name and shapes."""
        return self._events().key_averages(group_by_input_shape)

    def total_average(self) -> FunctionEventAvg:
        """All together."""
        return self._events().total_average()

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """A file for chrome://tracing or Perfetto."""
        self._events().export_chrome_trace(path)

    @property
    def self_cpu_time_total(self) -> float:
        """The sum of what each event took by itself, in microseconds."""
        return self._events().self_cpu_time_total

    def __str__(self) -> str:
        return (
            "<unfinished torch.autograd.profile>"
            if self.function_events is None
            else str(self.function_events)
        )


class _NoTool:
    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        if enabled:
            raise RuntimeError(f"{type(self).__name__}: that tool is not supported (use profile)")

    def __enter__(self) -> _NoTool:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class emit_nvtx(_NoTool):
    """Raises when enabled: there is no CUDA."""


class emit_itt(_NoTool):
    """Raises when enabled."""
