"""The command `pynn VERB`. Every module of this package without a leading underscore is a verb.

A verb has HELP (one line), add_arguments(parser) and run(args) -> exit code, and imports little at its top:
all verbs are imported to print the help.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


class CliError(Exception):
    """Ends a verb with one line on stderr and exit code 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 (failed), 2 (usage, by argparse) or 130 (Ctrl-C)."""
    command = "pynn"
    try:
        args = _parser().parse_args(argv)
        command = f"pynn {args.verb}"
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except CliError as e:
        print(f"{command}: error: {' '.join(str(e).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as e:
        print(f"{command}: interrupted{f'; {e}' if e.args else ''}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader went away, as in `pynn info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the flush at exit fails once more
        return 1


def _parser() -> argparse.ArgumentParser:
    import importlib
    import pkgutil

    import pynn

    parser = argparse.ArgumentParser(prog="pynn", description="PyTorch's API in a small, fast package.")
    parser.add_argument("--version", action="version", version=f"pynn {pynn.__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            verb = importlib.import_module(f"{__name__}.{module.name}")
            sub = verbs.add_parser(module.name, help=verb.HELP, description=verb.HELP)
            verb.add_arguments(sub)
            sub.set_defaults(run=verb.run)
    return parser
