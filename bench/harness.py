"""Timing loops: how one figure is taken, and how two frameworks take turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.registry import Bench

Call = Callable[[], Any]
Measure = Callable[[], tuple[list[float], dict[str, float]]]  # one turn: samples, and details to keep


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int  # turns per framework
    samples: int  # per turn
    seconds: float  # per sample
    window: float  # of one figure beside busy processes


FULL = Plan(rounds=11, samples=3, seconds=0.02, window=1.0)
QUICK = Plan(rounds=3, samples=2, seconds=0.01, window=0.4)


def elapsed(call: Call, inner: int) -> float:
    """Seconds that `inner` calls take. The collector stays on: programs pay for it too."""
    start = time.perf_counter()
    for _ in repeat(None, inner):
        call()
    return time.perf_counter() - start


def loop_cost() -> float:
    """Seconds per call that the timing loop itself takes, subtracted from every sample."""
    return min(elapsed(lambda: None, 20_000) for _ in range(20)) / 20_000


def calibrate(call: Call, seconds: float) -> int:
    """The number of calls that take about `seconds`; warms up on the way."""
    elapsed(call, 1)
    inner = 1
    while (took := elapsed(call, inner)) < seconds / 4:
        inner *= 2 if took == 0 else max(2, min(10, int(seconds / 2 / took)))
    return max(1, round(inner * seconds / took))


def sample(call: Call, inner: int, loop: float) -> float:
    """Seconds per call, without the loop's own cost."""
    return max(elapsed(call, inner) / inner - loop, 1e-12)


def mean_over(call: Call, inner: int, seconds: float) -> float:
    """The mean time of a call over `seconds`: what a user sees, hiccups included."""
    start = time.perf_counter()
    calls = 0
    while (took := time.perf_counter() - start) < seconds or not calls:
        elapsed(call, inner)
        calls += inner
    return took / calls


_SPIN = """
import os, sys
while os.getppid() == int(sys.argv[1]):  # ends with its parent, however that ends
    for _ in range(1_000_000): pass
"""


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep `count` processes spinning meanwhile."""
    spinners = [subprocess.Popen([sys.executable, "-c", _SPIN, str(os.getpid())]) for _ in range(count)]
    try:
        time.sleep(0.2)  # until they have started
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
        for spinner in spinners:
            spinner.wait()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Side:
    """What one framework did in one bench."""

    name: str
    rounds: list[list[float]] = field(default_factory=list)
    details: list[dict[str, float]] = field(default_factory=list)
    error: str | None = None

    @property
    def medians(self) -> list[float]:
        return [statistics.median(samples) for samples in self.rounds]

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = {"name": self.name, "rounds": self.rounds}
        if self.rounds:
            record["median"] = statistics.median(self.medians)
        if any(self.details):
            record["details"] = self.details
        if self.error:
            record["error"] = self.error
        return record


def take_turns(bench: Bench, sides: Sequence[tuple[str, Measure]], rounds: int) -> dict[str, Any]:
    """Run A B A B ..., `rounds` times, and return the bench's record.

    A round's ratio compares neighbours in time, so a machine that slows down for a while slows both.
    """
    results = [Side(name) for name, _ in sides]
    for _ in range(rounds):
        for result, (_, measure) in zip(results, sides, strict=True):
            if result.error is None:
                try:
                    samples, details = measure()
                    result.rounds.append(samples)
                    result.details.append(details)
                except (RuntimeError, subprocess.CalledProcessError) as error:
                    result.error = str(error)
    ours, *others = results
    record: dict[str, Any] = {
        "bench": bench.name,
        "unit": bench.unit,
        "target": {k: v for k, v in vars(bench.target).items() if v is not None},
        "flops": bench.flops,
        "bytes": bench.bytes,
        "sides": [side.record() for side in results],
        "ratios": {},
    }
    for other in others:
        if ours.rounds and other.rounds:
            pairs = [a / b for a, b in zip(ours.medians, other.medians, strict=False)]
            record["ratios"][other.name] = {
                "median": statistics.median(pairs),
                "quartiles": quartiles(pairs),
                "rounds": pairs,
            }
    return record


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third: half of the values lie between."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
