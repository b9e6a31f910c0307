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
        for name in public_names(path):
            full = f"{path}.{name}"
            try:
                ours = find("pynn", full)
            except Exception:
                self.missing.append(name)
                continue
            self.present.append(name)
            lacking = missing_parameters(find("torch", full), ours)
            if lacking:
                self.narrower.append((name, lacking))

    @property
    def share(self) -> float:
        total = len(self.present) + len(self.missing)
        return len(self.present) / total if total else 1.0


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
        "| Area | Present | Of | Share | Fewer parameters |",
        "| --- | --: | --: | --: | --: |",
    ]
    for area in areas:
        total = len(area.present) + len(area.missing)
        lines.append(
            f"| `{area.path}` | {len(area.present)} | {total} | {area.share:.0%} | {len(area.narrower)} |"
        )
    lines += ["", f"## Missing among the {len(used)} names used most", ""]
    lost = [f"`{name}` ({n})" for name, n, there in used if not there]
    lines += [", ".join(lost) + "." if lost else "None.", "", "The number is that of the repositories.", ""]
    lines += ["## Missing", ""]
    for area in areas:
        if area.missing:
            lines += [f"**`{area.path}`**: " + ", ".join(f"`{name}`" for name in area.missing) + ".", ""]
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
    total = (
        sum(len(area.present) for area in areas),
        sum(len(area.present) + len(area.missing) for area in areas),
    )
    print(f"{total[0]} of {total[1]} names; {share:.1%} of what programs use")
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
