"""Events of the profiler: nesting, averages, a table, and a Chrome trace."""

from __future__ import annotations

import json
import os
from typing import Any

from pynn._files import atomic_write

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "Interval"]

_KINDS = ("cpu_op", "backward", "user_annotation")


class Interval:
    """From start to end, in microseconds."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def elapsed_us(self) -> float:
        """end - start"""
        return self.end - self.start


class FunctionEvent:
    """One call of an op, a backward node, or a block of record_function; times in microseconds."""

    def __init__(self, id: int, raw: tuple[Any, ...]) -> None:
        self.name, start, end, self.thread, kind, self.input_shapes = raw
        self.id = id
        self.key = self.name
        self.count = 1
        self.kind = _KINDS[kind]
        self.is_user_annotation = self.kind == "user_annotation"
        self.time_range = Interval(start / 1e3, end / 1e3)
        self.cpu_parent: FunctionEvent | None = None
        self.cpu_children: list[FunctionEvent] = []

    @property
    def cpu_time_total(self) -> float:
        """From its start to its end."""
        return self.time_range.elapsed_us()

    cpu_time = cpu_time_total

    @property
    def self_cpu_time_total(self) -> float:
        """What the events within it do not take."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    def __repr__(self) -> str:
        return f"<FunctionEvent id={self.id} name={self.name} cpu_time={_time(self.cpu_time_total)} thread={self.thread}>"


class FunctionEventAvg:
    """All events of one name together."""

    def __init__(self, key: str, input_shapes: Any) -> None:
        self.key, self.input_shapes = key, input_shapes
        self.count = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0

    def add(self, event: FunctionEvent) -> None:
        self.count += 1
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total

    @property
    def cpu_time(self) -> float:
        """Of one call, on average."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={_time(self.self_cpu_time_total)} "
            f"cpu_time={_time(self.cpu_time)} calls={self.count}>"
        )


class EventList(list):
    """Events, or their averages."""

    @classmethod
    def of_raw(cls, raw: list[tuple[Any, ...]]) -> EventList:
        """What _C._profiler_stop gives, in order of time and nested by thread."""
        ordered = sorted(raw, key=lambda e: (e[1], -e[2]))
        events = cls(FunctionEvent(i, e) for i, e in enumerate(ordered))
        open_in: dict[Any, list[FunctionEvent]] = {}
        for event in events:
            stack = open_in.setdefault(event.thread, [])
            while stack and stack[-1].time_range.end < event.time_range.end:
                stack.pop()
            while stack and stack[-1].time_range.end <= event.time_range.start:
                stack.pop()
            if stack:
                event.cpu_parent = stack[-1]
                stack[-1].cpu_children.append(event)
            stack.append(event)
        return events

    @property
    def self_cpu_time_total(self) -> float:
        """The sum of what each took by itself."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(self, group_by_input_shapes: bool = False, *args: Any, **kwargs: Any) -> EventList:
        """Averages by name, or by name and shapes."""
        groups: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = event.input_shapes if group_by_input_shapes else None
            key = (event.key, str(shapes))
            if key not in groups:
                groups[key] = FunctionEventAvg(event.key, shapes)
            groups[key].add(event)
        return EventList(groups.values())

    def total_average(self) -> FunctionEventAvg:
        """All together."""
        total = FunctionEventAvg("Total", None)
        for event in self:
            total.count += event.count
            total.cpu_time_total += event.cpu_time_total
            total.self_cpu_time_total += event.self_cpu_time_total
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:
        """A table for people.

        Args:
            sort_by: "cpu_time", "cpu_time_total", "self_cpu_time_total", "count" or None.
            row_limit: the most rows; -1 for all.
        """
        rows = list(self)
        if top_level_events_only:
            rows = [event for event in rows if getattr(event, "cpu_parent", None) is None]
        if sort_by is not None:
            name = sort_by.replace("device", "cpu").replace("cuda", "cpu")
            rows.sort(key=lambda event: getattr(event, name), reverse=True)
        total = sum(event.self_cpu_time_total for event in self)
        shapes = any(getattr(event, "input_shapes", None) for event in rows)
        head = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls"]
        if shapes:
            head.append("Input Shapes")
        lines = [head]
        for event in rows if row_limit < 0 else rows[:row_limit]:
            line = [
                _short(event.key, max_name_column_width),
                f"{event.self_cpu_time_total / total if total else 0:.2%}",
                _time(event.self_cpu_time_total),
                f"{event.cpu_time_total / total if total else 0:.2%}",
                _time(event.cpu_time_total),
                _time(event.cpu_time),
                str(event.count),
            ]
            if shapes:
                line.append(_short(str(event.input_shapes or []), max_shapes_column_width))
            lines.append(line)
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        rule = "  ".join("-" * width for width in widths)
        text = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        body = [*([header] if header else []), rule, text[0], rule, *text[1:], rule]
        return "\n".join([*body, f"Self CPU time total: {_time(total)}", ""])

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """A file for chrome://tracing or Perfetto."""
        pid = os.getpid()
        threads = {thread: i for i, thread in enumerate(dict.fromkeys(event.thread for event in self))}
        trace = [
            {
                "ph": "X",
                "cat": event.kind,
                "name": event.name,
                "pid": pid,
                "tid": threads[event.thread],
                "ts": event.time_range.start,
                "dur": event.cpu_time_total,
                "args": {"Input Dims": event.input_shapes} if event.input_shapes else {},
            }
            for event in self
        ]
        with atomic_write(path) as out:
            out.write(json.dumps({"schemaVersion": 1, "traceEvents": trace}).encode())


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _time(us: float) -> str:
    if us >= 1e6:
        return f"{us / 1e6:.3f}s"
    return f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"
