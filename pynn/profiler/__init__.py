"""What ops cost, in a table or as a Chrome trace. Names as in torch.profiler."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from pynn import _C
from pynn.autograd.profiler import record_function as record_function
from pynn.autograd.profiler_util import EventList

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerActivity(Enum):
    """What is recorded: only the CPU can be."""

    CPU = 0
    XPU = 1
    CUDA = 2


class ProfilerAction(Enum):
    """What happens in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def supported_activities() -> set[ProfilerActivity]:
    """The CPU."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """Which steps are recorded: after `skip_first` steps cycles of wait, warmup and active ones, `repeat` times or for ever.

    Same as torch.profiler.schedule.
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:  # the first cycle does not wait
            step += wait
        cycle, place = divmod(step, wait + warmup + active)
        if repeat > 0 and cycle >= repeat:
            return ProfilerAction.NONE
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == wait + warmup + active - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """For on_trace_ready: writes a trace to a folder."""

    def handler(prof: profile) -> None:
        import socket

        os.makedirs(dir_name, exist_ok=True)
        name = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        path = os.path.join(dir_name, f"{name}.{time.time_ns()}.pt.trace.json")
        prof.export_chrome_trace(path + ".gz" if use_gzip else path)

    return handler


class profile:
    """Records the ops of a with block, or of the steps that a schedule picks. Same as torch.profiler.profile, for the CPU.

    An op is an event as Python calls it; what it calls in C++ is part of it. Nodes of a backward pass are events too.

    Args:
        activities: accepted; the CPU is recorded.
        schedule: from a step's number to an action; step() goes to the next.
        on_trace_ready: called with the profiler when a cycle is complete.
        record_shapes: keep the shapes of the tensors that ops take.
        profile_memory, with_stack, with_flops, with_modules, ...: accepted without effect.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        **options: Any,
    ) -> None:
        self.activities = set(activities) if activities is not None else supported_activities()
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        self.step_num = 0
        self._action = ProfilerAction.NONE
        self._found: EventList | None = None
        self._step_start = 0

    def _planned(self) -> ProfilerAction:
        return self.schedule(self.step_num) if self.schedule else ProfilerAction.RECORD

    def _begin(self) -> None:
        if _C._profiler_on():
            raise RuntimeError("profile: a profiler is running already")
        self._found = None
        _C._profiler_start(self.record_shapes)

    def _end(self, save: bool) -> None:
        self._found = EventList.of_raw(_C._profiler_stop())
        if save and self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def start(self) -> None:
        """Begin, as the with block does."""
        self._action = self._planned()
        if self._action in _RECORDING:
            self._begin()
        self._step_start = _C._profiler_clock()

    def stop(self) -> None:
        """End, as the with block does."""
        if self._action in _RECORDING:
            self._mark_step()
            self._end(save=True)
        self._action = ProfilerAction.NONE

    def _mark_step(self) -> None:
        if self.schedule is not None:
            _C._profiler_mark(f"ProfilerStep#{self.step_num}", self._step_start)

    def step(self) -> None:
        """Say that the next step begins."""
        before = self._action
        if before in _RECORDING:
            self._mark_step()
        self.step_num += 1
        self._action = self._planned()
        if before in _RECORDING and (
            before is ProfilerAction.RECORD_AND_SAVE or self._action not in _RECORDING
        ):
            self._end(save=before is ProfilerAction.RECORD_AND_SAVE)
            before = ProfilerAction.NONE
        if before not in _RECORDING and self._action in _RECORDING:
            self._begin()
        self._step_start = _C._profiler_clock()

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def events(self) -> EventList:
        """What was recorded last."""
        if self._found is None:
            raise AssertionError("profile: nothing was recorded yet (ask after the with block)")
        return self._found

    def key_averages(self, group_by_input_shape: bool = False, *args: Any, **kwargs: Any) -> EventList:
        """Averages by name, or by name and shapes."""
        return self.events().key_averages(group_by_input_shape)

    def export_chrome_trace(self, path: str) -> None:
        """A file for chrome://tracing or Perfetto; compressed if its name ends in .gz."""
        if not str(path).endswith(".gz"):
            self.events().export_chrome_trace(path)
            return
        import gzip

        plain = str(path)[:-3]
        self.events().export_chrome_trace(plain)
        with open(plain, "rb") as source, gzip.open(path, "wb") as out:
            out.write(source.read())
        os.unlink(plain)

    def add_metadata(self, key: str, value: str) -> None:
        """Accepted without effect."""

    def add_metadata_json(self, key: str, value: str) -> None:
        """Accepted without effect."""

    def preset_metadata_json(self, key: str, value: str) -> None:
        """Accepted without effect."""


def kineto_available() -> bool:
    """True: `profile` records."""
    return True
