"""What writers of files share: a file whole or not at all, and the name of what is at fault."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

Path = tuple[object, ...]  # the keys and indices that lead to an object


def show_path(path: Path) -> str:
    """As a program would write it."""
    return "obj" + "".join(f"[{key!r}]" for key in path)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file for writing bytes that takes the place of `path` if the block ends well, else vanishes."""
    target = os.path.realpath(path)  # write through a symbolic link, not over it
    mode = None
    with suppress(FileNotFoundError):
        mode = os.stat(target).st_mode
    if mode is not None and not stat.S_ISREG(mode):  # a device or pipe is written to, never replaced
        with open(target, "wb") as out:
            yield out
        return
    temporary = os.path.join(os.path.dirname(target), f".pynn-{os.urandom(6).hex()}.tmp")
    try:
        try:
            out = open(temporary, "xb")
        except OSError as e:
            raise type(e)(e.errno, e.strerror, os.fspath(path)) from None  # name the file that was asked for
        with out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:  # Ctrl-C too
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
