"""python -m bench.sweep [groups]: lists each case that takes longer than PyTorch's, for 1 and 2 threads.

A group is a file beside this one with `cases(fw)`, which yields (name, call) made of PyTorch's API. Each library runs
in a process of its own; a case's time is the least of several turns, so that what others do on the machine counts
little. Cases that one of the two refuses are listed too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GROUPS = sorted(p.stem for p in Path(__file__).parent.glob("[a-z]*.py"))
TURNS, TURN_S = 7, 1e-3


def least_time(call: Any) -> float:
    """Of one call, in us."""
    call()
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    n = max(1, min(300, int(TURN_S / (once + 1e-7))))
    best = once
    for _ in range(TURNS if once < 5e-3 else 3):
        start = time.perf_counter()
        for _ in range(n):
            call()
        best = min(best, (time.perf_counter() - start) / n)
    return best * 1e6


def measure(library: str, group: str, threads: int) -> dict[str, float | str]:
    """The time of each case, or why there is none."""
    fw = importlib.import_module(library)
    fw.set_num_threads(threads)
    fw.manual_seed(0)
    found: dict[str, float | str] = {}
    for name, call in importlib.import_module(f"bench.sweep.{group}").cases(fw):
        try:
            found[name] = least_time(call)
        except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found


def in_process(library: str, group: str, threads: int) -> dict[str, float | str]:
    command = [sys.executable, "-m", "bench.sweep", "--measure", library, group, str(threads)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float | str] = json.loads(out.splitlines()[-1])
    return found


def report(group: str, threads: int, above: float) -> None:
    ours, theirs = (in_process(library, group, threads) for library in ("pynn", "torch"))
    rows, refused = [], []
    for name, a in ours.items():
        b = theirs[name]
        if isinstance(a, str) or isinstance(b, str):
            refused.append(
                f"  {name}: {a if isinstance(a, str) else 'runs'}; torch: {b if isinstance(b, str) else 'runs'}"
            )
        else:
            rows.append((a / b, name, a, b))
    rows.sort(reverse=True)
    slower = [r for r in rows if r[0] > above]
    print(
        f"{group}, {threads} threads: {len(rows)} cases, {len(slower)} above {above}, median {rows[len(rows) // 2][0]:.2f}"
    )
    for ratio, name, a, b in slower:
        print(f"  {ratio:.2f}  {name}: {a:.2f} / {b:.2f} us")
    print(*refused, sep="\n", end="\n" if refused else "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--above", type=float, default=1.05, help="the ratio from which on a case is listed")
    parser.add_argument("--measure", nargs=3, metavar=("LIBRARY", "GROUP", "THREADS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        library, group, threads = args.measure
        print(json.dumps(measure(library, group, int(threads))))
        return
    if unknown := set(args.groups) - set(GROUPS):
        sys.exit(
            f"bench.sweep: no group is called {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}"
        )
    for group in args.groups or GROUPS:
        for threads in args.threads:
            report(group, threads, args.above)


if __name__ == "__main__":
    main()
