"""Neural networks: modules, parameters, functions, initialisation. Same as torch.nn."""

from . import functional as functional
from . import init as init
from . import parallel as parallel
from . import utils as utils
from .modules import *
from .modules import __all__ as _modules
from .parallel import DataParallel as DataParallel
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter

__all__ = ["Buffer", "DataParallel", "Parameter", "functional", "init", "parallel", "utils", *_modules]
