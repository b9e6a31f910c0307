"""Instructions that pynn's core executes per call of tiny ops: the same number on a busy machine as on a quiet one.

    python -m bench.instructions            counts, beside those in instructions.json
    python -m bench.instructions --check    exit code 1 if an op takes more than a tenth above its count there
    python -m bench.instructions --update   writes them

Needs valgrind and a C compiler. Python's own instructions are left out: they differ from version to version.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.machine import c_compiler
from bench.registry import Bench, select

KNOWN = Path(__file__).with_name("instructions.json")
# The best path that valgrind can run; one thread, so that none spins while it waits.
ENVIRONMENT = {"PYNN_CPU_ISA": "avx2", "PYNN_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
CALLS, MARGIN = 50, 0.1


def ops() -> list[Bench]:
    return [b for b in select(["overhead/op", "overhead/chain", "overhead/linear"]) if b.kind == "call"]


def run_marked(marks: str) -> None:
    """The measured process: the calls of each op between two marks."""
    import pynn

    library = ctypes.CDLL(marks)
    for bench in ops():
        call = bench.build(pynn, *bench.args)
        for _ in range(20):  # allocator, caches of methods
            call()
        library.zero()
        for _ in range(CALLS):
            call()
        library.dump(bench.name.encode())


def count(folder: Path) -> dict[str, float]:
    """Instructions per call in pynn/_C by the name of the op."""
    marks = folder / "marks.so"
    compiler = c_compiler()
    if compiler is None or shutil.which("valgrind") is None:
        sys.exit("bench.instructions: valgrind and a C compiler are required")
    source = Path(__file__).with_name("marks.c")
    subprocess.run([*compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(marks)], check=True)
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable]
    command += ["-m", "bench.instructions", "--marked", str(marks)]
    done = subprocess.run(
        command, env={**os.environ, **ENVIRONMENT}, stderr=subprocess.PIPE, encoding="utf-8"
    )
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    counts = {}
    for path in folder.glob("out.*"):
        text = path.read_text(encoding="utf-8")
        trigger = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.M)
        if trigger:
            counts[trigger[1]] = sum(_own_costs(text)) / CALLS
    return counts


def _own_costs(text: str) -> Iterator[int]:
    """Costs of the lines of functions in pynn/_C, without what they call. The format is callgrind's manual's."""
    names: dict[str, str] = {}
    ours = after_call = False
    for line in text.splitlines():
        if named := re.match(r"(c?ob)=\((\d+)\)(?: (.+))?", line):
            kind, number, name = named.groups()
            if name:
                names[number] = name
            if kind == "ob":
                ours = Path(names[number]).name.startswith("_C.")
        elif line.startswith("calls="):
            after_call = True  # the next line holds the cost of the call
        elif re.match(r"[+*\-\d]", line):
            if ours and not after_call:
                yield int(line.split()[-1])
            after_call = False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--check", action="store_true", help="fail if an op got more expensive")
    parser.add_argument("--update", action="store_true", help=f"write {KNOWN.name}")
    parser.add_argument("--marked", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.marked:
        run_marked(args.marked)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        counts = count(Path(folder))
    if missing := [b.name for b in ops() if counts.get(b.name, 0) < 1]:
        sys.exit(f"bench.instructions: nothing was counted for {', '.join(missing)}")
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    worse = []
    for name, now in counts.items():
        before = known.get(name)
        print(f"{name:45} {now:9.0f}" + (f"  {now / before:6.3f} of {before}" if before else "  new"))
        if before and now > before * (1 + MARGIN):
            worse.append(name)
    if args.update:
        KNOWN.write_text(json.dumps({name: round(now) for name, now in counts.items()}, indent=1) + "\n")
    if args.check and (worse or set(known) != set(counts)):
        print(f"more than {MARGIN:.0%} above {KNOWN.name}: {', '.join(worse) or 'none, but the rows differ'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
