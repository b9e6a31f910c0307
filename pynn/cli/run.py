"""`pynn run script.py [args]`: a PyTorch program, unchanged, on pynn."""

from __future__ import annotations

import argparse
import os
import sys

HELP = "run a PyTorch program on pynn: `import torch` in it, and in its child processes, gives pynn"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "pynn run script.py [args ...]\n       pynn run -m module [args ...]"
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="a module and its arguments")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="a script and its arguments")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Becomes `python script.py args`: what Python does with paths, signals, tracebacks and exit codes, it does here."""
    program = ["-m", *args.module] if args.module else args.script
    if not program:
        args.parser.error("a script, or -m and a module, is required")
    command = [sys.executable, *_interpreter_flags(), *program]
    environment = os.environ | {
        "PYTHONPATH": _path_with_startup(),
        "PYNN_RUN": str(sys.implementation.cache_tag),  # other Pythons among the children are left alone
    }
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(sys.executable, command, environment)
    import subprocess  # where exec does not keep the process

    return subprocess.run(command, env=environment).returncode


def _path_with_startup() -> str:
    import pynn.compat

    startup = os.path.join(os.path.dirname(os.path.abspath(pynn.compat.__file__)), "startup")
    given = os.environ.get("PYTHONPATH")
    return startup + os.pathsep + given if given else startup


def _interpreter_flags() -> list[str]:
    import subprocess

    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
