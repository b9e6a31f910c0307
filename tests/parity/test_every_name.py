"""Every public dense CPU name that pynn has is run beside PyTorch: by PyTorch's samples, or by name in tests/parity."""

import ast
import functools
import importlib
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from op_samples import MODULES, OPTIMIZERS, covered_names

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
api_coverage = importlib.import_module("api_coverage")


@functools.cache
def written():
    """The names that tests in this folder use: as attributes, as strings of their own, or in "a b c".split()."""
    found = set()
    for path in HERE.glob("test_*.py"):
        tree = ast.parse(path.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
                if node.attr == "split" and isinstance(node.value, ast.Constant):
                    found |= set(str(node.value.value).split())
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                found |= set(
                    re.findall(r"(?:^|\.)([A-Za-z_]\w*)", node.value)
                )  # a name, or code to be evaluated
    return found


@functools.cache
def sampled():
    modules = {f"torch.nn.{info.module_cls.__name__}" for info in MODULES}
    return covered_names() | modules | {f"torch.optim.{info.optim_cls.__name__}" for info in OPTIMIZERS}


@pytest.mark.parametrize("area", api_coverage.DENSE_AREAS)
def test_every_name_is_tested(area):
    names = api_coverage.Area(area).have
    untested = [n for n in names if f"{area}.{n}" not in sampled() and n not in written()]
    print(
        f"{area}: {len(names)} names, {sum(f'{area}.{n}' in sampled() for n in names)} by PyTorch's samples"
    )
    assert not untested, f"not tested beside PyTorch: {untested}"


def test_nine_in_ten_names_are_there():
    shares = {path: api_coverage.Area(path).share for path in api_coverage.DENSE_AREAS}
    assert min(shares.values()) >= 0.9, shares
