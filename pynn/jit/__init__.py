"""TorchScript: accepted where a program runs the same without it. Names as in torch.jit.

Functions and modules are not compiled: `script` and `trace` warn once and give back what they got.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any
from typing import Final as Final

__all__ = [
    "Error",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "export",
    "fork",
    "freeze",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "unused",
    "wait",
]


class Error(RuntimeError):
    """An error of compiled code, of which there is none."""


class ScriptModule:
    """A compiled module, of which there is none."""


class ScriptFunction:
    """A compiled function, of which there is none."""


@functools.cache
def _warn(name: str) -> None:
    warnings.warn(
        f"torch.jit.{name}: pynn compiles nothing; what was given runs as it is (save a model by its state_dict())",
        stacklevel=3,
    )


def script(
    obj: Any = None, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None
) -> Any:
    """`obj` itself, with a warning."""
    _warn("script")
    return obj


def trace(func: Any = None, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """`func` itself, with a warning."""
    _warn("trace")
    return func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """`mod` itself, with a warning."""
    _warn("trace_module")
    return mod


def script_if_tracing(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def script_method(fn: Any) -> Any:
    """`fn` itself."""
    return fn


_script_if_tracing = script_if_tracing
_overload = _overload_method = script_method


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """`mod` itself."""
    return mod


def optimize_for_inference(mod: Any, other_methods: Any = None) -> Any:
    """`mod` itself."""
    return mod


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Decorates what is not compiled; also ignore(drop=...)."""
    return drop if callable(drop) else lambda fn: fn


def unused(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def export(fn: Any) -> Any:
    """`fn` itself."""
    return fn


def interface(obj: Any) -> Any:
    """`obj` itself."""
    return obj


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """isinstance of the plain type behind `target_type` (list of List[int])."""
    import builtins
    import typing

    origin = typing.get_origin(target_type)
    return builtins.isinstance(obj, origin or target_type)


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def fork(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls it now; wait() gives the result."""
    return func(*args, **kwargs)


def wait(future: Any) -> Any:
    """What fork gave."""
    return future


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Raises: nothing is compiled, so nothing can be saved as such."""
    raise RuntimeError("torch.jit.save: pynn has no compiled modules (save the state_dict() by pynn.save)")


def load(f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False) -> Any:
    """Raises: TorchScript archives hold code, which is not run."""
    raise RuntimeError(
        "torch.jit.load: pynn cannot run TorchScript archives (save the state_dict() of the module, and load that)"
    )
