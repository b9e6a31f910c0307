"""Neural networks: modules, parameters, functions, initialisation. Same as torch.nn."""

from . import functional as functional
from . import init as init
from . import utils as utils
from .modules import *
from .modules import __all__ as _modules
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .parameter import UninitializedBuffer as UninitializedBuffer
from .parameter import UninitializedParameter as UninitializedParameter

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "utils",
    *_modules,
]
