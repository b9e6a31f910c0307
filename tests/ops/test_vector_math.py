"""The vector functions keep the errors that csrc/kernels/cpu/vec_math.h states, with each instruction set of the CPU."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import run_python

TESTS = Path(__file__).resolve().parents[1]


def stated():
    """The tables of the header: a line of names, then one of figures for each type."""
    found = {"float": {}, "double": {}}
    names = []
    for line in (TESTS.parent / "csrc/kernels/cpu/vec_math.h").read_text().splitlines():
        words = line.removeprefix("//").split()
        if words and words[0] in found and len(words) > len(names) > 0:
            found[words[0]].update(zip(names, map(float, words[1 : len(names) + 1]), strict=True))
        elif re.match(r"// {8,}\w", line):
            names = words
    return found


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512", "neon"])
def test_errors_are_as_stated(isa, monkeypatch):
    pytest.importorskip("mpmath", reason="the reference of erf and erfc")
    status, out = run_python("import pynn", env={"PYNN_CPU_ISA": isa})
    if status:
        pytest.skip(out.strip().splitlines()[-1])
    monkeypatch.setenv("PYNN_CPU_ISA", isa)
    command = [sys.executable, str(TESTS / "ulp.py"), "200000"]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)
    table = stated()
    assert table["float"].keys() == measured["float"].keys()
    for kind, errors in measured.items():
        over = {n: (e, table[kind][n]) for n, e in errors.items() if e > table[kind][n]}
        assert not over, f"{kind}: measured above stated: {over}"
