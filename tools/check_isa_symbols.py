"""Hold per-ISA objects to their namespace: `check_isa_symbols.py <build folder>`, or `--self-test`.

Every file of csrc/kernels/cpu is compiled once per ISA into the object library kernels_<isa>. When two
objects define the same inline function, the linker keeps one; should that be the AVX-512 copy, an older CPU
dies in code that looks innocent. So an ISA object may define functions only under pynn::cpu::<isa>.
See docs/notes/isa-dispatch.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIBRARY = re.compile(r"^kernels_(\w+?)(\.dir)?$")
# Emitted by clang into every object that may terminate; it only calls the runtime.
ALLOWED = {"__clang_call_terminate"}

_LEAK = """
template <class T> __attribute__((noinline)) T shared_helper(T x) { return x * x + 1; }
namespace pynn::cpu::ISA { int kernel(int x) { return shared_helper(x); } }
"""
_STRONG = "int kernel(int x) { return x; }\n"
_CLEAN = """
inline int shared_data[2] = {1, 2};
static int local(int x) { return x + shared_data[x & 1]; }
namespace pynn::cpu::ISA {
template <class T> __attribute__((noinline)) T helper(T x) { return x * x + 1; }
int kernel(int x) { return helper(local(x)); }
}
"""


@dataclass(frozen=True)
class Symbol:
    name: str  # demangled
    kind: str  # nm's letter: T and W code, D B R data, V and u shared data
    type: str  # FUNC, OBJECT, ...


def symbols(object_file: Path) -> Iterator[Symbol]:
    """The global symbols that an object defines."""
    command = ["nm", "-C", "--format=sysv", "--defined-only", "--extern-only", str(object_file)]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in text.splitlines():
        # Name|Value|Class|Type|Size|Line|Section, where a demangled name may hold "|" too.
        fields = line.rsplit("|", 6)
        if len(fields) == 7 and fields[1].strip() != "Value":
            yield Symbol(fields[0].strip(), fields[2].strip(), fields[3].strip())


def offends(symbol: Symbol, isa: str) -> bool:
    """Shared code, or anything strong, outside the ISA's namespace. Shared data is alike in every build."""
    if f"pynn::cpu::{isa}::" in symbol.name or symbol.name in ALLOWED:
        return False
    shared = symbol.kind in "WwVvu"
    return symbol.type in ("FUNC", "IFUNC", "NOTYPE") if shared else True


def isa_objects(build: Path) -> Iterator[tuple[str, Path]]:
    """(isa, object file) of every object library kernels_<isa> under `build`."""
    for path in sorted(build.rglob("*.o")):
        for part in path.parts:
            if match := LIBRARY.match(part):
                yield match[1], path


def check(build: Path) -> list[str]:
    """What is wrong, a line per symbol. Raises RuntimeError if `build` holds no ISA objects."""
    objects = list(isa_objects(build))
    if not objects:
        raise RuntimeError(f"no objects of kernels_<isa> under {build}")
    return [
        f"{path.name} ({isa}): {symbol.name} [{symbol.kind}, {symbol.type}]"
        for isa, path in objects
        for symbol in symbols(path)
        if offends(symbol, isa)
    ]


def self_test() -> None:
    """A leaked inline function and a strong symbol must be caught, a clean file must pass."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or "clang++"
    for source, expected in ((_LEAK, ["shared_helper"]), (_STRONG, ["kernel(int)"]), (_CLEAN, [])):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "CMakeFiles" / "kernels_avx2.dir"
            library.mkdir(parents=True)
            file = library / "example.cpp"
            file.write_text(source)
            flags = ["-std=c++20", "-O2", "-DISA=avx2", "-c", str(file), "-o", f"{file}.o"]
            subprocess.run([*compiler.split(), *flags], check=True)
            wrong = check(Path(folder))
        if len(wrong) != len(expected) or any(name not in line for name, line in zip(expected, wrong)):
            sys.exit(f"check_isa_symbols: the self-test expected {expected}, got {wrong}")
    print("check_isa_symbols: self-test passed")


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = Path(sys.argv[1])
    try:
        wrong = check(build)
    except RuntimeError as error:
        sys.exit(f"check_isa_symbols: {error}")
    found = {isa for isa, _ in isa_objects(build)}
    for line in wrong:
        print(line)
    print(f"check_isa_symbols: {', '.join(sorted(found))}: {len(wrong)} symbols outside their namespace")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
