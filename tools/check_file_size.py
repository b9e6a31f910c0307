"""Keep files small: `check_file_size.py [root]` fails on sources over 800 lines and names those over 400."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDERS = ("csrc", "pynn", "tests", "bench", "tools")
SUFFIXES = {".c", ".cpp", ".cu", ".cuh", ".h", ".py", ".pyi"}
GENERATED = {"_C.pyi"}
AIM, LIMIT = 400, 800


def long_files(root: Path) -> list[tuple[int, Path]]:
    """(lines, path) of all sources over the aim, longest first."""
    found = []
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.suffix in SUFFIXES and path.name not in GENERATED and path.is_file():
                lines = path.read_bytes().count(b"\n")
                if lines > AIM:
                    found.append((lines, path.relative_to(root)))
    return sorted(found, reverse=True)


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = long_files(root)
    for lines, path in found:
        print(f"{path}: {lines} lines, {'at most ' + str(LIMIT) if lines > LIMIT else f'aim under {AIM}'}")
    return 1 if any(lines > LIMIT for lines, _ in found) else 0


if __name__ == "__main__":
    sys.exit(main())
