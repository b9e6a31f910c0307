"""The machine: its name, its load, and its measured peaks, beside which every figure stands."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.harness import cores
from bench.worker import environment

# Without -march=native there is no FMA to measure; Arm compilers call it -mcpu.
_FLAGS = (["-march=native"], ["-mcpu=native"])

_NUMPY_PEAKS = """
import json, time, numpy as np
def best(work, amount):
    work()
    took = []
    for _ in range(8):
        start = time.perf_counter(); work(); took.append(time.perf_counter() - start)
    return amount / min(took) * 1e-9
x = np.ones((1024, 1024), np.float32)
bandwidth = {}
for size in (64 << 10, 512 << 10, 4 << 20, 32 << 20, 256 << 20):
    a = np.ones(size // 8, np.float32); b = np.ones(size // 8, np.float32)
    bandwidth[size] = best(lambda: np.copyto(a, b), size)
print(json.dumps({"gflops": best(lambda: x @ x, 2 * 1024**3), "bandwidth": bandwidth}))
"""


def peaks(threads: int) -> dict[str, Any]:
    """Peaks on `threads` threads: {"gflops": G, "bandwidth": {working set in bytes: GB/s}, "source": ...}."""
    with tempfile.TemporaryDirectory() as folder:
        program = _compile(Path(folder) / "peaks")
        if program is not None:
            command, source = [str(program), str(threads)], "C"
        else:  # a lower bound: one core's copies, and the matrix product of NumPy's BLAS
            command, source = [sys.executable, "-c", _NUMPY_PEAKS], "NumPy"
        done = subprocess.run(command, env=environment(threads), stdout=subprocess.PIPE, check=True)
    measured = json.loads(done.stdout)
    bandwidth = {int(size): rate for size, rate in measured["bandwidth"].items()}
    return {"gflops": measured["gflops"], "bandwidth": bandwidth, "source": source}


def better(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The higher of two measurements, figure by figure: a busy machine only ever shows less than its peak."""
    bandwidth = {size: max(rate, b["bandwidth"][size]) for size, rate in a["bandwidth"].items()}
    return {**a, "gflops": max(a["gflops"], b["gflops"]), "bandwidth": bandwidth}


def floor(peak: dict[str, Any], flops: float | None, moved: float | None) -> float | None:
    """The least seconds in which the machine does `flops` and moves `moved` bytes from the nearest cache."""
    times = []
    if flops:
        times.append(flops / (peak["gflops"] * 1e9))
    if moved:
        sizes = sorted(int(size) for size in peak["bandwidth"])
        size = next((s for s in sizes if s >= moved), sizes[-1])
        rates = {int(s): rate for s, rate in peak["bandwidth"].items()}
        times.append(moved / (rates[size] * 1e9))
    return max(times, default=None)


def describe(threads: int) -> dict[str, Any]:
    """CPU, cores, load and versions, for the first line of the JSON."""
    return {
        "cpu": _cpu_name(),
        "cores": cores(),
        "threads": threads,
        "load": load(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def load() -> float | None:
    """How many processes wanted to run in the last minute, where the system tells."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def cpu_seconds(pids: Iterable[int]) -> tuple[float, float] | None:
    """CPU seconds of all processes (and of the hypervisor's other guests), and of `pids`; Linux only."""
    try:
        # user nice system idle iowait irq softirq steal
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        ours = 0
        for pid in pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ours += sum(int(field) for field in fields[11:15])  # own time, and that of ended children
    except OSError:
        return None
    hertz = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - ticks[3] - ticks[4]) / hertz, ours / hertz


def c_compiler() -> list[str] | None:
    """The command: CC, or the first that is installed."""
    found = [c for c in ("cc", "gcc", "clang") if shutil.which(c)]
    return (shlex.split(os.environ.get("CC", "")) or found[:1] or None) if os.name == "posix" else None


def _compile(program: Path) -> Path | None:
    compiler = c_compiler()
    if compiler is None:
        return None
    source = Path(__file__).with_name("peaks.c")
    for flags in _FLAGS:
        command = [*compiler, "-O3", *flags, str(source), "-o", str(program), "-pthread"]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
            return program
    return None


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        sysctl = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(sysctl, stdout=subprocess.PIPE, text=True).stdout.strip()
    return platform.processor() or platform.machine()
