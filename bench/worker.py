"""A process that imports one framework and answers requests: one JSON line in, one JSON line out.

`Worker` is the parent's handle. Frameworks never share a process: thread pools and allocators would meet.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 120.0  # seconds for one request
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYNN_NUM_THREADS",
)


def environment(threads: int) -> dict[str, str]:
    """The environment of every measured process."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}


@dataclass(frozen=True)
class Fresh:
    """A new interpreter for every call: what process benches (import time, memory, size) measure."""

    framework: str
    threads: int

    def python(self, code: str) -> str:
        """What `code` prints in a new process, away from the checkout: it finds the installed package."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", code],
                env=environment(self.threads),
                cwd=folder,
                capture_output=True,
                text=True,
            )
        if done.returncode:
            raise RuntimeError((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1])
        return done.stdout


class Worker:
    """Starts the process on the first request, and again after it died."""

    def __init__(self, framework: str, threads: int) -> None:
        self.framework = framework
        self.threads = threads
        self.process: subprocess.Popen[str] | None = None

    def ask(self, **request: Any) -> Any:
        """The answer to a request. Raises RuntimeError with the worker's words if it fails, dies or hangs."""
        process = self.process or self._start()
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            line = process.stdout.readline()  # type: ignore[union-attr]
        except OSError:
            line = ""
        finally:
            watchdog.cancel()
        if not line:
            self.process = None
            code = process.wait()
            raise RuntimeError(f"the {self.framework} process ended with {code}, or took over {TIMEOUT:g} s")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def close(self) -> None:
        if self.process is not None:
            self.process.stdin.close()  # type: ignore[union-attr]
            self.process.wait()
            self.process = None

    def _start(self) -> subprocess.Popen[str]:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", self.framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(self.threads),
            cwd=Path(__file__).resolve().parent.parent,
        )
        return self.process


class Measurer:
    """The worker's side: keeps the current bench prepared from turn to turn."""

    def __init__(self, framework: str) -> None:
        from bench.harness import loop_cost
        from bench.registry import discover

        self.framework = framework
        self.benches = {bench.name: bench for bench in discover()}
        self.fw = importlib.import_module(framework)
        self.loop = loop_cost()
        self.current: tuple[str, Any, int] | None = None

    def about(self) -> dict[str, Any]:
        """Version and threads of the framework."""
        threads = getattr(self.fw, "get_num_threads", None)
        return {
            "version": str(getattr(self.fw, "__version__", "unknown")),
            "threads": threads() if threads else int(os.environ["OMP_NUM_THREADS"]),
        }

    def run(self, bench: str, samples: int, seconds: float) -> tuple[list[float], dict[str, float]]:
        """One turn: `samples` figures in seconds per call."""
        from bench.harness import elapsed, sample

        call, inner = self._prepared(bench, seconds)
        elapsed(call, 1 + inner // 8)  # the caches and clocks are the other framework's
        return [sample(call, inner, self.loop) for _ in range(samples)], {"inner": inner}

    def busy(self, bench: str, seconds: float, spinners: int) -> tuple[list[float], dict[str, float]]:
        """One turn: how many times longer a call takes on average beside `spinners` busy processes."""
        from bench.harness import busy_processes, elapsed, mean_over

        call, inner = self._prepared(bench, 0.002)
        elapsed(call, inner)
        quiet = mean_over(call, inner, seconds)
        with busy_processes(spinners):
            busy = mean_over(call, inner, seconds)
        return [busy / quiet], {"quiet": quiet, "busy": busy}

    def _prepared(self, name: str, seconds: float) -> tuple[Any, int]:
        from bench.harness import calibrate

        if self.current is None or self.current[0] != name:
            self.current = None
            gc.collect()
            bench = self.benches[name]
            build = bench.builder(self.framework)
            assert build is not None, name
            if hasattr(self.fw, "manual_seed"):
                self.fw.manual_seed(0)
            call = build(self.fw, *bench.args)
            self.current = name, call, calibrate(call, seconds)
        return self.current[1:]


def main() -> None:
    requests, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints must not get between the answers
    # From a checkout, `-m` puts the sources first; the installed package is the one to measure.
    root = str(Path(__file__).resolve().parent.parent)
    sys.path[:] = [p for p in sys.path if p not in ("", root)] + [root]
    measurer = None
    for line in requests:
        try:
            request = json.loads(line)
            measurer = measurer or Measurer(sys.argv[1])
            answer = {"ok": getattr(measurer, request.pop("do"))(**request)}
        except Exception as error:  # every failure is the parent's to report
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
