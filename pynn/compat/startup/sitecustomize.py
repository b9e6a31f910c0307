"""Python imports this at its start when `pynn run` has put this folder on PYTHONPATH; children inherit that."""

import os
import sys


def _start() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    package = os.path.dirname(os.path.dirname(here))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) != here]
    if os.environ.get("PYNN_RUN") == sys.implementation.cache_tag:  # not in a Python of another version
        import importlib.util

        if (
            importlib.util.find_spec("pynn") is None
        ):  # a checkout: its folder is on the path of `pynn run` alone
            sys.path.append(os.path.dirname(package))
        import pynn.compat

        pynn.compat.install()
    # The sitecustomize that would have been imported without this one.
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError as e:
        if e.name != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


_start()
