"""pynn: PyTorch's API in a small, fast CPU package.

`import pynn as torch` runs PyTorch programs. Tensors, ops, dtypes and autograd come from the extension `pynn._C`; modules
(`nn`, `optim`, `utils` ...) load when first used.
"""

from __future__ import annotations

# From a source checkout the extension lies in the installed package: look there too.
import sys as _sys
from typing import TYPE_CHECKING

_beside = [
    name for name in __import__("os").listdir(__path__[0]) if name.startswith("_C.") and name != "_C.pyi"
]
if not _beside:
    __path__ += [f"{_p}/pynn" for _p in _sys.path if _p and f"{_p}/pynn" not in __path__]

from pynn import _C, autograd
from pynn._C import *
from pynn._tensor import *  # type: ignore[assignment]
from pynn.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from pynn.functional import *

if TYPE_CHECKING:
    from pynn import cuda, nn, optim, random, utils, vision
    from pynn.serialization import load, save

__version__: str = _C._build_info()["version"]

pi = 3.141592653589793
e = 2.718281828459045
inf = 1e999  # names such as float are dtypes here
nan = inf - inf
newaxis = None

# name -> where it is: loaded at first use, so that `import pynn` costs milliseconds.
_LAZY_MODULES = ("cuda", "nn", "optim", "random", "serialization", "utils", "vision")
_LAZY_NAMES = {
    "save": "serialization",
    "load": "serialization",
    "set_printoptions": "_tensor_str",
    "get_printoptions": "_tensor_str",
    "printoptions": "_tensor_str",
    "finfo": "type_info",
    "iinfo": "type_info",
    **dict.fromkeys(
        (
            *(
                "celu",
                "celu_",
                "selu",
                "selu_",
                "prelu",
                "rrelu",
                "rrelu_",
                "threshold",
                "threshold_",
                "hardshrink",
            ),
            *("relu_", "cosine_similarity", "pairwise_distance", "pdist", "bilinear"),
        ),
        "nn.functional",
    ),
}


def __getattr__(name: str) -> object:
    import importlib

    if name in _LAZY_MODULES:
        value: object = importlib.import_module(f"pynn.{name}")
    elif name in _LAZY_NAMES:
        value = getattr(importlib.import_module(f"pynn.{_LAZY_NAMES[name]}"), name)
    else:
        raise AttributeError(f"module 'pynn' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES, *_LAZY_NAMES})
