"""`pynn info`: what a bug report needs."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from typing import Any

HELP = "print versions, build, processor and threads, for a bug report"

_PACKAGES = ("numpy", "safetensors", "tqdm", "ml_dtypes", "matplotlib", "torch")
_VARIABLES = ("PYNN_", "OMP_", "KMP_", "GOMP_", "CUDA_VISIBLE_DEVICES")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # takes none


def run(args: argparse.Namespace) -> int:
    del args
    rows = [*_build(), *_machine(), *_packages(), *_environment()]
    width = max(len(name) for name, _ in rows) + 1
    for name, value in rows:
        print(f"{name + ':':{width}} {value}")
    return 0


def _build() -> list[tuple[str, str]]:
    import pynn
    from pynn import _C
    from pynn.backends import _switch

    info: dict[str, Any] = _C._build_info()
    supported = set(info["isas_supported"])
    isas = ", ".join(
        f"{isa} ({'yes' if isa in supported else 'not on this CPU'})" for isa in info["isas_built"]
    )
    return [
        ("pynn", f"{info['version']}, {info['build']} build, {info['compiler']}"),
        ("installed in", os.path.dirname(pynn.__file__ or "unknown")),
        ("instruction set", f"{info['isa']} in use; built: {isas}"),
        ("threads", f"{info['threads']}, {info['parallel_backend']} backend"),
        ("CUDA", _cuda()),
        *_switch.libraries().items(),
    ]


def _cuda() -> str:
    from pynn import cuda

    if cuda.backend is None:
        return "not in this build"

    def number(version: int) -> str:
        return f"{version // 1000}.{version % 1000 // 10}" if version else "none"

    versions = (
        f"runtime {number(cuda.backend.runtime_version())}, driver {number(cuda.backend.driver_version())}"
    )
    if not cuda.is_available():
        return f"{versions}; no device can be used: {cuda.why_unavailable()}"
    names = [cuda.get_device_name(i) for i in range(cuda.device_count())]
    return f"{versions}; {', '.join(names)}"


def _machine() -> list[tuple[str, str]]:
    return [
        ("Python", f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"),
        ("platform", platform.platform()),
        ("processor", f"{_processor()}, {platform.machine()}"),
        ("CPUs", _cpus()),
        ("memory", _memory()),
    ]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    if sys.platform == "darwin":
        import subprocess

        brand = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        return brand.stdout.strip() or "unknown"
    return platform.processor() or "unknown"


def _cpus() -> str:
    total = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        return f"{len(os.sched_getaffinity(0))} usable of {total}"
    return str(total)


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.1f} GiB"


def _packages() -> list[tuple[str, str]]:
    from importlib import metadata

    rows = []
    for name in _PACKAGES:
        try:
            rows.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append((name, "not installed"))
    return rows


def _environment() -> list[tuple[str, str]]:
    return [(name, value) for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)]
