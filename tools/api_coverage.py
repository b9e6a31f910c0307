"""Compare pynn's public names and signatures with those of an installed PyTorch.

    python tools/api_coverage.py          # writes docs/api-coverage.md and tools/api_coverage.json
    python tools/api_coverage.py --check  # fails if a name in api_coverage.json is gone

api_usage.csv holds the 300 names that programs use most, counted over 27 repositories; the weight of a name is the
number of repositories that use it.
"""

from __future__ import annotations

import csv
import importlib
import inspect
import json
import re
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "api_coverage.json"
USAGE = HERE / "api_usage.csv"
PAGE = HERE.parent / "docs" / "api-coverage.md"

AREAS = [
    "torch",
    "torch.Tensor",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.parameter",
    "torch.nn.utils",
    "torch.nn.utils.prune",
    "torch.nn.utils.rnn",
    "torch.nn.utils.parametrize",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.optim.swa_utils",
    "torch.autograd",
    "torch.autograd.functional",
    "torch.autograd.graph",
    "torch.autograd.profiler",
    "torch.linalg",
    "torch.fft",
    "torch.special",
    "torch.distributions",
    "torch.utils.data",
    "torch.utils.checkpoint",
    "torch.utils.tensorboard",
    "torch.amp",
    "torch.compiler",
    "torch.cuda",
    "torch.distributed",
    "torch.func",
    "torch.hub",
    "torch.jit",
    "torch.multiprocessing",
    "torch.profiler",
    "torch.random",
    "torch.serialization",
    "torch.testing",
]

# The areas of which 90 % of the dense CPU names are to be there and tested.
DENSE_AREAS = (
    "torch",
    "torch.Tensor",
    "torch.nn",
    "torch.nn.functional",
    "torch.optim",
    "torch.linalg",
    "torch.fft",
    "torch.special",
)

# Names that are not counted: (group, why, pattern of the full name). Patterns are matched whole.
EXCLUDED = [
    (
        "sparse",
        "pynn has dense tensors only",
        r".*(sparse|_coo|_cs[rc]|_bs[rc]|coalesce|hspmm|sspaddmm|SparseAdam).*|.*\.(smm|spmm|dsmm|hsmm|saddmm|indices|values)"
        r"|.*\.(c?col|c?row)_indices(_copy)?|.*\.(indices|values)_copy",
    ),
    (
        "quantised",
        "no quantised tensors",
        r".*(quant|qscheme|qparams|fbgemm|QInt|QUInt|quint).*|.*\.(q_\w+|int_repr|per_(channel|tensor)_\w+)"
        r"|.*\.(scaled_(grouped_)?mm|ScalingType|SwizzleType)",
    ),
    (
        "typed storages",
        "deprecated; a storage is untyped",
        r".*\.(\w*Storage|storage_type|storage_to_tensor_type)",
    ),
    ("nested and named tensors", "PyTorch's prototypes", r".*\.(jagged|to_padded_tensor|Tensor\.index)"),
    (
        "symbolic shapes, control flow of the compiler",
        "nothing is compiled",
        r"torch\.(Sym\w+|sym_\w+|cond|while_loop)|.*\.BroadcastingList\d|.*\.(boolean_dispatch|assert_int_or_pair)",
    ),
    (
        "dtypes without arithmetic",
        "of less than 8 bits, half complex, or whose results are uint64",
        r".*\.(u?int[1-7]|bits?\w*|chalf|hash_tensor)",
    ),
    (
        "other devices and libraries",
        "CPU names alone are counted",
        r".*\.(ipu|xpu|mtia|to_mkldnn|mkldnn\w*|cudnn\w*|miopen\w*|Event|Stream|AcceleratorError|cudart|cuda)",
    ),
    (
        "what PyTorch has removed or deprecated to an error",
        "gone there too",
        r".*Tensor\.(eig|lstsq|solve|symeig|reinforce|volatile)|torch\.nn\.Container",
    ),
    (
        "inside of the library",
        "build flags, texts, hooks: PyTorch documents none of them",
        r"torch\.(USE_\w+|PRIVATE_OPS|has_\w+|AVG|SUM)|.*\.TYPE_CHECKING|.*\.\w+_notes|.*\.factory_kwargs"
        r"|.*\.GRID_SAMPLE_\w+|.*\.(has|handle)_torch_function\w*|.*Tensor\.(slice_inverse|resize_as_sparse_)"
        r"|.*\.swap_in_optimizer_params_and_state",
    ),
]
INSIDE = "classes and functions of the extension"
WHY_INSIDE = "TorchScript's types, the dispatcher, readers of files: PyTorch puts all of torch._C into torch"

CLASSES = (
    "Event",
    "Generator",
    "Size",
    "Stream",
    "device",
    "dtype",
    "finfo",
    "iinfo",
    "layout",
    "memory_format",
)


def find(framework: str, path: str) -> Any:
    """The object at a path such as "torch.nn.Linear" in torch or pynn; AttributeError if there is none."""
    parts = path.split(".")[1:]
    value: Any = importlib.import_module(framework)
    module = framework
    for part in parts:
        module += f".{part}"
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(module)
            except ImportError:
                raise AttributeError(path) from None
    return value


def public_names(area: str) -> Iterator[str]:
    """Names that PyTorch means for its users."""
    owner = find("torch", area)
    listed = getattr(owner, "__all__", None) if area != "torch" else None
    for name in sorted(set(listed if listed is not None else dir(owner))):
        if name.startswith("_"):
            continue
        try:
            value = getattr(owner, name)
        except Exception:
            continue
        if isinstance(value, types.ModuleType):
            continue
        home = getattr(value, "__module__", None)
        if (
            listed is None
            and isinstance(value, (type, types.FunctionType))
            and not str(home).startswith("torch")
        ):
            continue  # what the module has imported for itself
        if listed is None and str(home).startswith("typing"):
            continue
        if area == "torch" and not _is_meant(name, value, str(home)):
            continue
        yield name


def _is_meant(name: str, value: Any, home: str) -> bool:
    """Whether a name of `torch` itself is part of the documented interface, and not of the compiler's inside."""
    if isinstance(value, type):
        return not home.startswith(("torch._C", "torch.jit")) or name in CLASSES
    return not callable(value) or bool(getattr(value, "__doc__", None))


def group_of(full: str) -> str | None:
    """Why a name is no public dense CPU name: its group in EXCLUDED; None if it is one."""
    area, _, name = full.rpartition(".")
    if area == "torch" and _is_inside(name):
        return INSIDE
    return next((title for title, _, pattern in EXCLUDED if re.fullmatch(pattern, full)), None)


def _is_inside(name: str) -> bool:
    import torch

    value = getattr(torch, name)
    if isinstance(value, type):
        return getattr(torch._C, name, None) is value and name not in (*CLASSES, "OutOfMemoryError")
    return "pybind11" in type(getattr(value, "__self__", None)).__name__


def parameters(value: Any) -> list[str] | None:
    """The names of the parameters of a function, or of a class's __init__; None where they cannot be told."""
    doc = getattr(value, "__doc__", None) or ""
    if not inspect.isclass(value):
        name = getattr(value, "__name__", "")
        head = (
            re.match(rf"\s*(?:\w+\.)*{re.escape(name)}\((.*?)\)\s*(?:->|$)", doc, re.S | re.M)
            if name
            else None
        )
        if head is not None and not isinstance(value, types.FunctionType):
            return _parsed(head.group(1))
    if isinstance(value, types.BuiltinFunctionType) or type(value).__name__ == "OpFunction":
        return None
    try:
        signature = inspect.signature(value.__init__ if inspect.isclass(value) else value)
    except (TypeError, ValueError):
        return None
    names = [
        p.name if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) else "*"
        for p in signature.parameters.values()
    ]
    return [name for name in names if name != "self"]


def _parsed(text: str) -> list[str] | None:
    """Parameter names of "input, dim, *, dtype=None" or of "Tensor input, int dim"."""
    names: list[str] = []
    for part in re.sub(r"[\[({][^\])}]*[\])}]", "", text).split(","):
        words = re.split(r"[=:]", part)[0].split()
        if not words or words[-1] in ("*", "/"):
            continue
        if not words[-1].lstrip("*").isidentifier():
            return None
        names.append("*" if words[-1].startswith("*") else words[-1])
    return names


ACCEPTED = {"input": "self", "layout": "", "pin_memory": "", "memory_format": "", "out": ""}


def missing_parameters(theirs: Any, ours: Any) -> list[str]:
    """Parameters of PyTorch's that ours does not name."""
    a, b = parameters(theirs), parameters(ours)
    if a is None or b is None or "*" in b:
        return []
    if (
        type(ours).__name__ == "OpFunction"
    ):  # all overloads, NumPy's names, and what creation ops take without effect
        text = " ".join(re.findall(r"\((.*?)\) ->", ours.__doc__ or ""))
        b = b + re.findall(r"\w+", text) + list(ACCEPTED)
    return [name for name in a if name not in ("*", "self", *b)]


class Area:
    """What is there and what is not, in one module or class."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.present: list[str] = []
        self.missing: list[str] = []
        self.narrower: list[tuple[str, list[str]]] = []
        self.excluded: dict[str, list[str]] = {}  # what pynn lacks and need not have
        self.dense = [name for name in public_names(path) if group_of(f"{path}.{name}") is None]
        for name in public_names(path):
            full = f"{path}.{name}"
            try:
                ours = find("pynn", full)
            except Exception:
                group = group_of(full)
                if group is None:
                    self.missing.append(name)
                else:
                    self.excluded.setdefault(group, []).append(name)
                continue
            self.present.append(name)
            lacking = missing_parameters(find("torch", full), ours)
            if lacking:
                self.narrower.append((name, lacking))

    @property
    def have(self) -> list[str]:
        """The public dense CPU names that pynn has."""
        return [name for name in self.dense if name in self.present]

    @property
    def share(self) -> float:
        return len(self.have) / len(self.dense) if self.dense else 1.0


def usage() -> list[tuple[str, int, bool]]:
    """(name, repositories, whether pynn has it) of the names that programs use most and PyTorch has."""
    rows = []
    with USAGE.open() as f:
        for row in csv.DictReader(f):
            try:
                find("torch", row["name"])
            except Exception:
                continue  # counted by attribute name on any object
            try:
                find("pynn", row["name"])
            except Exception:
                rows.append((row["name"], int(row["repositories"]), False))
            else:
                rows.append((row["name"], int(row["repositories"]), True))
    return rows


def page(areas: list[Area], used: list[tuple[str, int, bool]], version: str) -> str:
    weight = sum(n for _, n, _ in used)
    have = sum(n for _, n, there in used if there)
    count = sum(there for _, _, there in used)
    lines = [
        "# API coverage",
        "",
        f"Public names of PyTorch {version} that pynn has, written by `python tools/api_coverage.py`; do not edit.",
        "",
        f"Of the {len(used)} names that programs use most, pynn has **{count}**; weighted by the number of repositories "
        f"that use each, **{have / weight:.1%}**.",
        "",
        "Counted are public names of dense tensors on the CPU: what PyTorch documents, without the groups below. A name is",
        "tested if the samples of PyTorch's own tests run it beside PyTorch (`tests/op_samples.py`), or if `tests/parity`",
        "calls it; `tests/parity/test_every_name.py` holds that every name there is tested.",
        "",
        "| Area | Present | Of | Share | Tested | Fewer parameters |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for area in areas:
        tested = str(len(area.have)) if area.path in DENSE_AREAS else ""
        lines.append(
            f"| `{area.path}` | {len(area.have)} | {len(area.dense)} | {area.share:.0%} | {tested} | {len(area.narrower)} |"
        )
    lines += ["", f"## Missing among the {len(used)} names used most", ""]
    lost = [f"`{name}` ({n})" for name, n, there in used if not there]
    lines += [", ".join(lost) + "." if lost else "None.", "", "The number is that of the repositories.", ""]
    lines += ["## Missing", ""]
    for area in areas:
        if area.missing:
            lines += [f"**`{area.path}`**: " + ", ".join(f"`{name}`" for name in area.missing) + ".", ""]
    lines += ["## Not counted", "", "What pynn lacks of these groups.", ""]
    reasons = {title: why for title, why, _ in EXCLUDED} | {INSIDE: WHY_INSIDE}
    for title, why in reasons.items():
        names = [f"{area.path}.{name}" for area in areas for name in area.excluded.get(title, [])]
        if names:
            lines += [
                f"**{title}** ({why}): " + ", ".join(f"`{n.removeprefix('torch.')}`" for n in names) + ".",
                "",
            ]
    lines += ["## Fewer parameters than PyTorch", ""]
    for area in areas:
        if area.narrower:
            items = (f"`{name}` ({', '.join(lacking)})" for name, lacking in area.narrower)
            lines += [f"**`{area.path}`**: " + ", ".join(items) + ".", ""]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    warnings.simplefilter("ignore")
    try:
        import torch
    except ImportError:
        print("api_coverage: an installed torch is required (pip install torch)", file=sys.stderr)
        return 2
    areas = [Area(path) for path in AREAS if _exists(path)]
    used = usage()
    present = {area.path: area.present for area in areas}
    present["used"] = [name for name, _, there in used if there]
    weight = sum(n for _, n, _ in used)
    share = sum(n for _, n, there in used if there) / weight
    total = sum(len(area.have) for area in areas), sum(len(area.dense) for area in areas)
    print(f"{total[0]} of {total[1]} names; {share:.1%} of what programs use")
    for area in areas:
        if area.path in DENSE_AREAS:
            print(f"{area.path}: {len(area.have)} of {len(area.dense)}, {area.share:.1%}")
    if "--check" in sys.argv[1:]:
        committed: dict[str, list[str]] = json.loads(FIGURES.read_text())
        gone = [
            name if area == "used" else f"{area}.{name}"
            for area, names in committed.items()
            for name in names
            if name not in present.get(area, [])
        ]
        if gone:
            print(f"gone since {FIGURES.name} was written: {', '.join(gone)}", file=sys.stderr)
        return 1 if gone else 0
    FIGURES.write_text(json.dumps(present, indent=0) + "\n")
    PAGE.write_text(page(areas, used, torch.__version__.partition("+")[0]))
    return 0


def _exists(path: str) -> bool:
    try:
        find("torch", path)
    except Exception:  # tensorboard needs a package of its own
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
