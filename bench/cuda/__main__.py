"""`python -m bench.cuda`: our time against PyTorch's on one GPU, in one process, turn about; within two minutes."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.cuda.cases import CASES, Case

Call = Callable[[], Any]
COLUMNS = ("bench", "ours", "torch", "ratio", "target", "ours reach", "torch reaches")


def elapsed(fw: Any, call: Call, inner: int) -> float:
    """Seconds per call of `inner` calls, launches and the device's work together."""
    fw.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(inner):
        call()
    fw.cuda.synchronize()
    return (time.perf_counter() - start) / inner


def measure(sides: dict[str, tuple[Any, Call]], rounds: int, seconds: float) -> dict[str, float]:
    """The median time of each side; they take turns, so that both see the same machine."""
    inner: dict[str, int] = {}
    for name, (fw, call) in sides.items():
        elapsed(fw, call, 2)  # warms up
        inner[name] = max(1, min(2000, int(seconds / max(elapsed(fw, call, 1), 1e-6))))
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (fw, call) in sides.items():
            times[name].append(elapsed(fw, call, inner[name]))
    return {name: statistics.median(t) for name, t in times.items()}


def bandwidth(fw: Any) -> float:
    """Bytes per second of the best copy on the device: the measure of what is reached."""
    x = fw.ones(1 << 28, device="cuda")
    y = fw.empty_like(x)
    best = min(elapsed(fw, lambda: y.copy_(x), 10) for _ in range(5))
    return 2 * 4 * (1 << 28) / best


def run(case: Case, frameworks: dict[str, Any], rounds: int, seconds: float) -> dict[str, Any]:
    """One row: times, or what went wrong."""
    record: dict[str, Any] = {"bench": case.name, "ratio_target": case.ratio, "share_target": case.share}
    sides: dict[str, tuple[Any, Call]] = {}
    for name, fw in frameworks.items():
        try:
            build = case.reference if name == "torch" and case.reference else case.build
            sides[name] = (fw, build(fw))
            elapsed(*sides[name], 1)
        except Exception as error:  # the other rows still count
            sides.pop(name, None)
            record[f"{name}_error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    try:
        record.update(measure(sides, rounds, seconds))
    except Exception as error:
        record["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    sides.clear()
    gc.collect()
    for fw in frameworks.values():
        fw.cuda.empty_cache()
    return record


def row(case: Case, record: dict[str, Any], ours: str, peak: float) -> list[str]:
    """The record as the table shows it."""

    def seconds(name: str) -> str:
        if name not in record:
            return "-"
        t = record[name]
        return f"{t * 1e3:.3f} ms" if t >= 1e-3 else f"{t * 1e6:.1f} us"

    def reach(name: str) -> str:
        if name not in record:
            return record.get(f"{name}_error", record.get("error", "-"))
        if case.bytes:
            return f"{case.bytes / record[name] / peak:.0%} of bandwidth"
        return f"{case.flops / record[name] / 1e12:.0f} TFLOP/s" if case.flops else ""

    ratio = record[ours] / record["torch"] if ours in record and "torch" in record else None
    target, met = "", True
    if case.share and ours in record:
        target = f"{case.share:.0%}"
        met = case.bytes / record[ours] / peak >= case.share
    elif case.ratio and ratio is not None:
        target = f"<= {case.ratio:g}"
        met = ratio <= case.ratio
    return [
        case.name,
        seconds(ours),
        seconds("torch"),
        "-" if ratio is None else f"{ratio:.2f}",
        f"{target} {'met' if met else 'MISSED'}" if target else "-",
        reach(ours),
        reach("torch"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cuda", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names (default: all)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.03, help="of one sample")
    parser.add_argument(
        "--budget", type=float, default=110, help="seconds after which no further row is begun"
    )
    parser.add_argument("--ours", default="pynn", help="under test; torch alone shows the noise")
    parser.add_argument("--without-torch", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    started = time.perf_counter()
    names = [args.ours] if args.without_torch else [args.ours, "torch"]
    frameworks = {name: importlib.import_module(name) for name in names}
    for name, fw in frameworks.items():
        if not fw.cuda.is_available():
            sys.exit(f"bench.cuda: {name} finds no CUDA device")
    peak = max(bandwidth(fw) for fw in frameworks.values())
    versions = ", ".join(f"{name} {fw.__version__}" for name, fw in frameworks.items())
    device = frameworks[args.ours].cuda.get_device_name(0)
    print(f"{device}: {peak / 1e9:.0f} GB/s measured; {versions}\n")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    records: list[dict[str, Any]] = [{"device": device, "bandwidth": peak, "versions": versions}]
    for case in CASES:
        if args.names and not any(name in case.name for name in args.names):
            continue
        if time.perf_counter() - started > args.budget:
            print(f"| {case.name} | left out: over {args.budget:g} s |")
            continue
        records.append(run(case, frameworks, args.rounds, args.seconds))
        print("| " + " | ".join(row(case, records[-1], args.ours, peak)) + " |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")
    if args.json:
        Path(args.json).write_text("".join(json.dumps(r) + "\n" for r in records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
