"""The modules of pynn.nn: each file lists its own in __all__."""

from .activation import *
from .batchnorm import *
from .channelshuffle import *
from .container import *
from .conv import *
from .dropout import *
from .flatten import *
from .fold import *
from .instancenorm import *
from .linear import *
from .loss import *
from .module import *
from .normalization import *
from .padding import *
from .parameter_container import *
from .pixelshuffle import *
from .pooling import *
from .sparse import *
from .upsampling import *

TYPE_CHECKING = False
if not TYPE_CHECKING:
    __all__ = [name for name, value in list(globals().items()) if isinstance(value, type) and name[0] != "_"]
