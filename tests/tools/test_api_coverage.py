"""tools/api_coverage.py: parsing of parameters; and beside a real PyTorch, that no committed name is gone."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import pynn

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("api_coverage", ROOT / "tools" / "api_coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_parameters(tool):
    def f(a, b=1, *rest, c, **more): ...

    class C:
        def __init__(self, x, *, y=2): ...

    assert tool.parameters(f) == ["a", "b", "*", "c", "*"] and tool.parameters(C) == ["x", "y"]
    assert tool.parameters(pynn.softmax)[:2] == ["input", "dim"]
    assert tool._parsed("input, dim=(0, 1), *, dtype=None") == ["input", "dim", "dtype"]
    assert tool._parsed("Tensor input, int[] dim=[], *, bool keepdim=False") == ["input", "dim", "keepdim"]
    assert tool._parsed("1, 2") is None
    assert tool.missing_parameters(lambda a, b, c: 0, lambda a, c: 0) == ["b"]
    assert tool.missing_parameters(lambda a, b: 0, lambda *args: 0) == []


def test_find(tool):
    assert tool.find("pynn", "torch.nn.functional.relu") is pynn.nn.functional.relu
    assert tool.find("pynn", "torch.utils.data.DataLoader") is pynn.utils.data.DataLoader
    with pytest.raises(AttributeError):
        tool.find("pynn", "torch.nn.Nope")


def test_committed_names_are_there(tool):
    gone = []
    for area, names in json.loads(tool.FIGURES.read_text()).items():
        for name in names:
            try:
                tool.find("pynn", name if area == "used" else f"{area}.{name}")
            except AttributeError:
                gone.append(f"{area}.{name}")
    assert not gone


def test_check(tool, tmp_path):
    pytest.importorskip("torch")
    command = [sys.executable, str(ROOT / "tools" / "api_coverage.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=_env())
    assert done.returncode == 0, done.stderr


def _env():
    import os

    return {**os.environ, "PYTHONPATH": os.path.dirname(pynn.__path__[0])}
