"""`python -m bench`: our time against PyTorch's, in the same run, on the same threads, turn about."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from bench import compare, machine
from bench.harness import FULL, QUICK, Measure, Plan, cores, take_turns
from bench.registry import Bench, select
from bench.worker import Fresh, Worker


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names or globs: gemm, 'models/*' (default: all)")
    parser.add_argument("--threads", type=int, default=cores(), help="of every framework (default: all)")
    parser.add_argument("--rounds", type=int, help=f"turns per framework (default {FULL.rounds})")
    parser.add_argument("--quick", action="store_true", help="about two minutes: fewer and shorter turns")
    parser.add_argument("--json", metavar="FILE", help="write one JSON line per bench")
    parser.add_argument("--markdown", metavar="FILE", help="write the table")
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    parser.add_argument("--against", default="torch", help="torch,numpy: the targets' reference comes first")
    parser.add_argument("--ours", default="pynn", help="under test; torch shows the machine's noise")
    args = parser.parse_args()
    if args.threads < 1 or (args.rounds is not None and args.rounds < 1):
        parser.error("--threads and --rounds take a number of 1 or more")
    return args


def installed(names: list[str]) -> list[str]:
    """Those of `names` that can be imported; says which cannot."""
    found = [name for name in names if importlib.util.find_spec(name) is not None]
    for name in names:
        if name not in found:
            print(f"bench: {name} is not installed and is left out", file=sys.stderr)
    return found


def measure(bench: Bench, workers: dict[int, Worker], plan: Plan) -> dict[str, Any]:
    """One bench in every framework that has it."""
    sides: list[tuple[str, Measure]] = []
    for worker in workers.values():
        build = bench.builder(worker.framework)
        if build is None:
            continue
        if bench.kind == "process":
            fresh = Fresh(worker.framework, worker.threads)
            sides.append((worker.framework, partial(once, build, fresh, *bench.args)))
        elif bench.kind == "busy":
            request = {"do": "busy", "bench": bench.name, "seconds": plan.window, "spinners": cores()}
            sides.append((worker.framework, partial(worker.ask, **request)))
        else:
            request = {"do": "run", "bench": bench.name, "samples": plan.samples, "seconds": plan.seconds}
            sides.append((worker.framework, partial(worker.ask, **request)))
    pids = [os.getpid(), *(worker.process.pid for worker in workers.values() if worker.process)]
    started, before = time.perf_counter(), machine.cpu_seconds(pids)
    record = take_turns(bench, sides, min(plan.rounds, bench.rounds or plan.rounds))
    if before and (after := machine.cpu_seconds(pids)):
        others = (after[0] - before[0]) - (after[1] - before[1])
        record["others"] = round(max(others, 0.0) / (time.perf_counter() - started), 2)
    return record


def once(build: Callable[..., float], *args: Any) -> tuple[list[float], dict[str, float]]:
    """The one figure of a process bench, in the form of a worker's answer."""
    return [build(*args)], {}


def main() -> int:
    args = arguments()
    benches = select(args.names, quick=args.quick)
    if args.list:
        print("\n".join(bench.name for bench in benches))
        return 0
    if not installed([args.ours]):
        return 2
    names = [args.ours, *installed(args.against.split(","))]
    plan = QUICK if args.quick else FULL
    if args.rounds:
        plan = Plan(args.rounds, plan.samples, plan.seconds, plan.window)

    started = time.perf_counter()
    workers = {position: Worker(name, args.threads) for position, name in enumerate(names)}
    try:
        about = {worker.framework: worker.ask(do="about") for worker in workers.values()}
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
    head = {
        **machine.describe(args.threads),
        "frameworks": names,
        "about": about,
        "rounds": plan.rounds,
        "peaks": machine.peaks(args.threads),
    }
    print(compare.machine_line(head), file=sys.stderr, flush=True)
    records = []
    for bench in benches:
        records.append(measure(bench, workers, plan))
        print(" | ".join(compare.row(head, records[-1])), file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.close()
    head["peaks"] = machine.better(head["peaks"], machine.peaks(args.threads))
    head["load_at_end"] = machine.load()
    head["seconds"] = round(time.perf_counter() - started)

    text = compare.table(head, records)
    print(text)
    if args.markdown:
        Path(args.markdown).write_text(text + "\n")
    if args.json:
        with open(args.json, "w") as file:
            write(file, [head, *records])
    return 1 if any("error" in side for record in records for side in record["sides"]) else 0


def write(file: TextIO, records: list[dict[str, Any]]) -> None:
    for record in records:
        file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
