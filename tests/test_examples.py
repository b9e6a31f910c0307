"""Every example runs to its figure of merit on the data that ships with pynn; with torch installed, PyTorch prints the same."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("[0-9]*.py"))
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def run(*command):
    env = {key: value for key, value in os.environ.items() if key != "PYNN_DATA"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, encoding="utf-8", env=env, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    output = (
        run("-m", "pynn", "run", path, "--quick", "--out", tmp_path)
        if path.stem[:2] != "01"
        else run("-m", "pynn", "run", path)
    )
    figures = [float(n) for n in NUMBER.findall(output.splitlines()[-1])]
    assert figures and all(map(math.isfinite, figures))
    pictures = re.findall(r"^picture: (.+)$", output, re.M)
    assert all(Path(picture).stat().st_size > 1000 for picture in pictures)
    assert pictures or path.stem in ("01_tensors", "12_fine_tuning")


def test_there_is_an_example_for_each_number():
    assert [path.stem[:2] for path in EXAMPLES] == [f"{i:02}" for i in range(1, len(EXAMPLES) + 1)]
