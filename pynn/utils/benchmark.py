"""Timing of statements. Names as in torch.utils.benchmark; there is no fuzzing, and no counting of instructions."""

from __future__ import annotations

import dataclasses
import enum
import math
import statistics
import textwrap
import timeit
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pynn

__all__ = [
    "Compare",
    "Language",
    "Measurement",
    "TaskSpec",
    "Timer",
    "ordered_unique",
    "select_unit",
    "set_torch_threads",
    "trim_sigfig",
    "unit_to_english",
]

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_IQR_WARNING, _IQR_GROSS_WARNING = 0.1, 0.25  # of the median


class Language(enum.Enum):
    """Of statements to time: only Python's are."""

    PYTHON = 0
    CPP = 1


@dataclasses.dataclass(repr=False, frozen=True)
class TaskSpec:
    """What a Timer measures, but its globals."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or the statement."""
        sub = f": {self.sub_label}" if self.sub_label else ""
        if self.label is not None:
            return self.label + sub
        if "\n" not in self.stmt:
            return self.stmt + sub
        sub = f" ({self.sub_label})" if self.sub_label else ""
        return f"stmt:{sub}\n{textwrap.indent(self.stmt, '  ')}"

    def setup_str(self) -> str:
        """The setup as a Measurement shows it."""
        if self.setup in ("", "pass"):
            return ""
        return (
            "setup:\n" + textwrap.indent(self.setup, "  ") if "\n" in self.setup else f"setup: {self.setup}"
        )

    def summarize(self) -> str:
        """Title, description and setup, those that there are."""
        parts = (self.title, self.description or "", self.setup_str())
        return "\n".join(part + "\n" if "\n" in part else part for part in parts if part)


@dataclasses.dataclass(repr=False)
class Measurement:
    """Seconds that runs of a statement took: `raw_times`, each of `number_per_run` runs."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name != "task_spec" and name in TaskSpec.__dataclass_fields__:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute {name!r}")

    @property
    def times(self) -> list[float]:
        """Seconds of one run, as each measurement has it."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """The range between the quartiles."""
        low, high = self._quartiles()
        return high - low

    def _quartiles(self) -> tuple[float, float]:
        if len(self.raw_times) == 1:
            return self.times[0], self.times[0]
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return low, high

    @property
    def significant_figures(self) -> int:
        """How many digits of the median are worth showing, between 1 and 4."""
        ordered, n = sorted(self.times), len(self.times)
        inner = ordered[n // 4 : -(-3 * n // 4)]
        # 90 % of a normal distribution, and never below the clock's 25 ns
        error = max(1.645 * statistics.pstdev(inner) / len(inner) ** 0.5, 25e-9)
        return min(max(_exponent(self.median / error), 1), 4)

    def meets_confidence(self, threshold: float = _IQR_WARNING) -> bool:
        """Whether the range between the quartiles is below this part of the median."""
        return self.iqr < threshold * self.median

    @property
    def has_warnings(self) -> bool:
        return not self.meets_confidence()

    @property
    def title(self) -> str:
        return self.task_spec.title

    @property
    def as_row_name(self) -> str:
        return self.sub_label or self.stmt or "[Unknown]"

    def __repr__(self) -> str:
        n, (low, high) = len(self.raw_times), self._quartiles()
        unit, scale = select_unit(self.median)
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        lines = [object.__repr__(self), self.task_spec.summarize()]
        lines.append(f"  {'Median: ' if n > 1 else ''}{self.median / scale:.2f} {unit}")
        if n >= 4:
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        runs = f"{self.number_per_run} runs {'per measurement,' if n > 1 else ','}"
        lines.append(f"  {n} measurement{'s' if n > 1 else ''}, {runs} {threads}")
        if self.has_warnings:
            cause = (
                "This could indicate system fluctuation."
                if self.meets_confidence(_IQR_GROSS_WARNING)
                else "This suggests significant environmental influence."
            )
            part = f"{self.iqr / self.median * 100:.1f}%"
            lines.append(f"  WARNING: Interquartile range is {part} of the median measurement.")
            lines.append(f"           {cause}")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Those of the same task become one."""
        groups: dict[TaskSpec, list[float]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).extend(m.times)
        return [Measurement(1, times, task) for task, times in groups.items()]


class Timer:
    """Like timeit.Timer, after a warm-up and on a set number of threads. Same as torch.utils.benchmark.Timer, of Python.

    Args:
        stmt, setup, timer, globals: as of timeit.Timer.
        label, sub_label, description: names in what Measurement and Compare print: of the table, the row and the column.
        env: tells runs of several builds apart in a Compare.
        num_threads: threads of pynn while it runs.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timeit.default_timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if language is not Language.PYTHON and str(language).lower() not in ("py", "python"):
            raise NotImplementedError(f"Timer: only Python is timed, got language={language!r}")
        if global_setup:
            raise ValueError(f"Timer: global_setup is for C++, got {global_setup!r}")
        stmt, setup = (
            textwrap.dedent(code[1:] if code[:1] == "\n" else code).rstrip() for code in (stmt, setup)
        )
        self._task_spec = TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)
        names = dict(globals or {})
        names.setdefault("torch", pynn)
        self._timer = timeit.Timer(stmt, setup, timer, names)

    def timeit(self, number: int = 1000000) -> Measurement:
        """One measurement of this many runs, after a hundredth of them."""
        with set_torch_threads(self._task_spec.num_threads):
            self._timer.timeit(max(number // 100, 2))
            return Measurement(number, [self._timer.timeit(number)], self._task_spec)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], Any] | None = None) -> None:
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Measurements of equal blocks of runs, until `min_run_time` seconds are full."""
        return self._measure(min_run_time / 1000, lambda times: sum(times) >= min_run_time, callback)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """Measurements until their quartiles are within `threshold` of the median, or `max_run_time` seconds are full."""

        def enough(times: list[float]) -> bool:
            settled = len(times) > 3 and Measurement(1, times, self._task_spec).meets_confidence(threshold)
            return sum(times) >= (min_run_time if settled else max_run_time)

        return self._measure(min_run_time, enough, callback)

    def _measure(
        self,
        block: float,
        enough: Callable[[list[float]], bool],
        callback: Callable[[int, float], Any] | None,
    ) -> Measurement:
        times: list[float] = []
        with set_torch_threads(self._task_spec.num_threads):
            number = 1  # of runs in a block, which lasts long enough for the clock to be no matter
            self._timer.timeit(2)
            while self._timer.timeit(number) < block:
                number *= 10
            while not enough(times):
                times.append(self._timer.timeit(number))
                if callback is not None:
                    callback(number, times[-1])
        return Measurement(number, times, self._task_spec)


class Compare:
    """A table of measurements: a row per sub_label, a column per description, a part per number of threads."""

    def __init__(self, results: list[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trim = self._highlight = False

    def extend_results(self, results: list[Measurement]) -> None:
        """Add measurements."""
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(r)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Show digits that mean something only."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Accepted without effect."""

    def highlight_warnings(self) -> None:
        """Mark measurements that vary much."""
        self._highlight = True

    def print(self) -> None:
        """Print the table."""
        print(str(self))

    def __str__(self) -> str:
        results = Measurement.merge(self._results)
        tables = ordered_unique(r.label for r in results)
        return "\n".join(self._table([r for r in results if r.label == label]) for label in tables)

    def _table(self, results: list[Measurement]) -> str:
        unit, scale = select_unit(min(r.median for r in results))
        rows = ordered_unique((r.num_threads, r.env, r.as_row_name) for r in results)
        columns = ordered_unique(r.description for r in results)
        cells = {(r.num_threads, r.env, r.as_row_name, r.description): self._cell(r, scale) for r in results}
        names = [f"  ({env})  {name}" if env else f"      {name}" for _, env, name in rows]
        heads = [str(c) if c is not None else "" for c in columns]
        widths = [
            max([len(head), *(len(cells.get((*row, c), "")) for row in rows)])
            for head, c in zip(heads, columns, strict=True)
        ]
        left = max(len(name) for name in names) + 2

        def line(name: str, values: list[str]) -> str:
            shown = [v.center(w) if name == "" else v.rjust(w) for v, w in zip(values, widths, strict=True)]
            return "  |  ".join([name.ljust(left), *shown])

        head = line("", heads)
        title = f" {results[0].label} " if results[0].label else ""
        out = [f"[{title.center(len(head) - 2, '-')}]", head]
        for i, row in enumerate(rows):
            if i == 0 or row[0] != rows[i - 1][0]:
                out.append(f"{row[0]} threads: ".ljust(len(head), "-"))
            out.append(line(names[i], [cells.get((*row, c), "") for c in columns]))
        return "\n".join([*out, "", f"Times are in {unit_to_english(unit)}s ({unit})."])

    def _cell(self, r: Measurement, scale: float) -> str:
        value = r.median
        if self._trim:
            value = trim_sigfig(value, r.significant_figures)
        digits = 0 if self._trim and value / scale >= 100 else 1
        spread = f" (! {r.iqr / r.median * 100:.0f}%)" if self._highlight and r.has_warnings else ""
        return f"{value / scale:.{digits}f}{spread}"


def _exponent(x: float) -> int:
    return math.floor(math.log10(max(x, 1e-12)))


def select_unit(t: float) -> tuple[str, float]:
    """The unit in which `t` seconds are a number from 1 to 1000, and its seconds."""
    name = {-3: "ns", -2: "us", -1: "ms"}.get(_exponent(t) // 3, "s")
    return name, _UNITS[name]


def unit_to_english(u: str) -> str:
    """The unit's name: "us" is a microsecond."""
    return {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}[u]


def trim_sigfig(x: float, n: int) -> float:
    """`x` rounded to `n` figures."""
    return float(f"{x:.{n - 1}e}")


def ordered_unique(elements: Iterable[Any]) -> list[Any]:
    """The elements without repetitions, in the order they came."""
    return list(dict.fromkeys(elements))


@contextmanager
def set_torch_threads(n: int) -> Iterator[None]:
    """`n` threads within."""
    before = pynn.get_num_threads()
    pynn.set_num_threads(n)
    try:
        yield
    finally:
        pynn.set_num_threads(before)
