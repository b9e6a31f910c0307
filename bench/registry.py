"""What a bench is, and how benches are found: every bench_*.py of every folder here, no list to keep.

A bench is a function that takes a framework module with PyTorch's API (`fw`), prepares its data and returns
the call to time, so that one source serves pynn and torch:

    @bench(ratio=0.3)
    def add(fw):
        a, b = fw.ones(1), fw.ones(1)
        return lambda: a + b
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
WITHOUT_TORCH_API = ("numpy", "jax")  # take part only in benches with a variant for them


@dataclass(frozen=True)
class Target:
    """What to reach: at most `ratio` of the reference's time, `at_most` units, or `share` of the floor."""

    ratio: float | None = None
    at_most: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class Bench:
    """One row of the table."""

    name: str  # folder/file/function[parameter]
    build: Callable[..., Any]  # (fw, *args) -> call to time; of a process bench (Fresh, *args) -> figure
    args: tuple[Any, ...]
    unit: str
    target: Target
    flops: float | None  # per call, for the floor
    bytes: float | None  # read and written per call, for the floor
    variants: dict[str, Callable[..., Any]]  # framework name -> builder for one without PyTorch's API
    kind: str  # "call", "busy" (growth of the call's mean time beside busy processes) or "process"
    rounds: int | None  # at most
    quick: bool  # part of --quick

    def builder(self, framework: str) -> Callable[..., Any] | None:
        """The function to use with `framework`, None if the bench does not exist there."""
        if framework in WITHOUT_TORCH_API and self.kind != "process":
            return self.variants.get(framework)
        return self.build


def bench(
    *,
    params: Sequence[Any] = ((),),
    unit: str = "s",
    ratio: float | Callable[..., float | None] | None = 1.0,
    at_most: float | None = None,
    share: float | Callable[..., float | None] | None = None,
    flops: Callable[..., float] | None = None,
    bytes: Callable[..., float] | None = None,
    variants: dict[str, Callable[..., Any]] | None = None,
    kind: str = "call",
    rounds: int | None = None,
    quick: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function as a bench, a row per element of `params` (a value or a tuple of values, after `fw`).

    `ratio`, `share`, `flops` and `bytes` may be functions of them. The default target is "not slower".
    """

    def mark(build: Callable[..., Any]) -> Callable[..., Any]:
        file = build.__module__.removeprefix("bench.").replace(".bench_", "/").replace(".", "/")
        rows = []
        for param in params:
            args = param if isinstance(param, tuple) else (param,)
            suffix = f"[{','.join(str(a) for a in args)}]" if args else ""
            target = Target(_of(ratio, args), at_most, _of(share, args))
            rows.append(
                Bench(
                    f"{file}/{build.__name__}{suffix}",
                    build,
                    args,
                    unit,
                    target,
                    _of(flops, args),
                    _of(bytes, args),
                    variants or {},
                    kind,
                    rounds,
                    quick,
                )
            )
        build.benches = rows  # type: ignore[attr-defined]
        return build

    return mark


def _of(value: Any, args: tuple[Any, ...]) -> Any:
    return value(*args) if callable(value) else value


def discover() -> Iterator[Bench]:
    """All benches, in the order of folders, files and lines."""
    for path in sorted(ROOT.glob("*/bench_*.py")):
        module = importlib.import_module(f"bench.{path.parent.name}.{path.stem}")
        for value in vars(module).values():
            if getattr(value, "__module__", None) == module.__name__:
                yield from getattr(value, "benches", ())


def select(patterns: Sequence[str], *, quick: bool = False) -> list[Bench]:
    """Benches whose name contains a pattern, or matches it as a glob; all of them without patterns."""
    benches = [b for b in discover() if b.quick or not quick]
    for pattern in patterns:
        if not any(_matches(b.name, pattern) for b in benches):
            sys.exit(f"bench: no bench is called {pattern!r} (see --list)")
    return [b for b in benches if not patterns or any(_matches(b.name, p) for p in patterns)]


def _matches(name: str, pattern: str) -> bool:
    return pattern in name or fnmatch(name, pattern)
