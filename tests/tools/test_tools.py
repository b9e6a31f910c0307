"""The repository's own tools: stubs, file sizes, ISA symbols, and the bench harness on NumPy."""

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pynn

ROOT = Path(__file__).resolve().parents[2]


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def op(schema, *, method=True, inplace=False, out=False, namespace="", doc=""):
    return {
        "name": schema.partition("(")[0],
        "namespace": namespace,
        "schema": schema,
        "doc": doc,
        "function": True,
        "method": method,
        "inplace": inplace,
        "out": out,
    }


def stub(*ops):
    module = ModuleType("_C")
    vars(module).update(_op_schemas=lambda: ops, dtype=type("dtype", (), {}), Tensor=type("Tensor", (), {}))
    return tool("gen_stubs").generate(module)


def test_stub_of_overloads_and_named_results():
    text, _ = stub(
        op("max(Tensor input) -> Tensor", doc="The largest."),
        op("max(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", out=True),
    )
    assert "class _max_result(_NamedTuple):\n    values: Tensor\n    indices: Tensor\n" in text
    assert '@_overload\ndef max(input: Tensor) -> Tensor:\n    """The largest."""' in text
    form = "(input: Tensor, dim: _int, keepdim: _bool = False, *, out: tuple[Tensor, Tensor] | None = None)"
    assert f"@_overload\ndef max{form} -> _max_result: ..." in text
    assert "    @_overload\n    def max(self, dim: _int, keepdim: _bool = False) -> _max_result: ..." in text


def test_stub_of_variable_arguments_takes_numbers_or_a_sequence():
    text, _ = stub(op("zeros(int... size, *, dtype? dtype=None) -> Tensor", method=False))
    assert "def zeros(size: _Sequence[_int], *, dtype: _DTypeLike | None = None) -> Tensor: ..." in text
    assert "def zeros(*size: _int, dtype: _DTypeLike | None = None) -> Tensor: ..." in text


def test_stub_of_in_place_forms_and_namespaces():
    text, _ = stub(
        op("add(Tensor input, Other other, *, Scalar alpha=1) -> Tensor", inplace=True),
        op("_nn.gelu(Tensor input, str approximate='none') -> Tensor", method=False, namespace="_nn"),
    )
    assert "    def add_(self, other: Tensor | _Scalar, *, alpha: _Scalar = 1) -> Tensor: ..." in text
    assert "\ndef add_(" not in text  # the module has no such function
    assert "class _nn:\n    @staticmethod\n    def gelu(input: Tensor, approximate: _str = 'none')" in text


def test_stub_is_python():
    text, _ = stub(op("relu(Tensor input) -> Tensor", doc='Says "max(x, 0)" with a \\ and """quotes"""'))
    compile(text, "_C.pyi", "exec")


def test_stub_names_what_it_cannot_read():
    with pytest.raises(ValueError, match=r"relu\(Tensr input\) -> Tensor: unknown type 'Tensr'"):
        stub(op("relu(Tensr input) -> Tensor"))


def test_stub_tells_what_the_module_lacks():
    _, wrong = stub(op("relu(Tensor input) -> Tensor"))
    assert "relu has a stub but is not in _C" in wrong
    assert "Tensor.backward has a stub but is not in _C" in wrong
    assert "dtype has a stub but is not in _C" not in wrong


def test_stub_holds_what_python_sets_on_tensor():
    source = """
def one(self: Tensor, n: int | None = None, *, flag: bool = False) -> tuple[Any, ...]:
    "Says what."
def two(self: Tensor) -> Strange: ...
for _name, _function in {"one": one, "other": one, "lay": property(lambda self: 1)}.items():
    setattr(Tensor, _name, _function)
Tensor.two = two
"""
    methods = tool("gen_stubs").python_methods(source)
    form = "(self, n: _int | None=None, *, flag: _bool=False) -> tuple[_Any, ...]"
    assert methods["one"].startswith(f"    def one{form}:") and "Says what." in methods["one"]
    assert methods["other"].startswith(f"    def other{form}:")
    assert "@property" in methods["lay"] and methods["two"] == "    def two(self) -> _Any: ...\n"


def test_stubs_and_module_agree():
    _, wrong = tool("gen_stubs").generate(pynn._C)
    assert not wrong


@pytest.mark.parametrize("n, named, ends", [(400, False, 0), (401, True, 0), (800, True, 0), (801, True, 1)])
def test_file_sizes(tmp_path, n, named, ends):
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.cpp").write_text("\n" * n)
    command = [sys.executable, str(ROOT / "tools" / "check_file_size.py"), str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert done.returncode == ends
    assert (f"a.cpp: {n} lines" in done.stdout) == named


@pytest.mark.skipif(not (shutil.which("g++") and shutil.which("nm")), reason="needs g++ and nm")
def test_isa_symbol_check_catches_a_leak():
    tool("check_isa_symbols").self_test()


def test_bench_selects_by_name_and_glob():
    def names(*patterns):
        command = [sys.executable, "-m", "bench", "--list", *patterns]
        return subprocess.check_output(command, cwd=ROOT, text=True).split()

    assert names("gemm/square[32]") == ["ops/gemm/square[32]"]
    assert all(name.startswith("models/") for name in names("models/*"))
    assert len(names()) > 50


@pytest.mark.parametrize("group", ["products", "convolutions", "maps", "reductions", "shapes", "layers"])
def test_cases_of_the_sweep_run(group, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    names = []
    for name, call in importlib.import_module(f"bench.sweep.{group}").cases(pynn):
        names.append(name)
        if len(names) % 7 == 0:  # of each kind some
            call()
    assert len(names) == len(set(names)) > 60


def test_bench_runs_and_writes_json(tmp_path):
    command = [sys.executable, "-m", "bench", "gemm/square[32]", "--ours", "numpy", "--against", "numpy"]
    command += ["--rounds", "2", "--quick", "--threads", "1", "--json", str(tmp_path / "run.jsonl")]
    table = subprocess.check_output(command, cwd=ROOT, text=True)
    machine, row = (json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines())
    assert machine["peaks"]["gflops"] > 0 and machine["threads"] == 1
    assert row["bench"] == "ops/gemm/square[32]"
    assert [len(side["rounds"]) for side in row["sides"]] == [2, 2]
    assert 0 < row["ratios"]["numpy"]["median"]
    assert "| `ops/gemm/square[32]`" in table and " | **" in table
