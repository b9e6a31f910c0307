"""Neural networks: modules, parameters, functions, initialisation. Same as torch.nn."""

from . import functional as functional
from . import init as init
from . import utils as utils
from .modules import *
from .modules import __all__ as _modules
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter

__all__ = ["Buffer", "Parameter", "functional", "init", "utils", *_modules]
