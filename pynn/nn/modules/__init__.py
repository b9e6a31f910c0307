"""The modules of pynn.nn: each file lists its own in __all__."""

from .activation import *
from .adaptive import *
from .attention import *
from .batchnorm import *
from .channelshuffle import *
from .container import *
from .conv import *
from .cross_map import *
from .distance import *
from .dropout import *
from .flatten import *
from .fold import *
from .instancenorm import *
from .lazy import *
from .linear import *
from .linear_cross_entropy import *
from .loss import *
from .module import *
from .normalization import *
from .padding import *
from .pair_loss import *
from .parameter_container import *
from .pixelshuffle import *
from .pooling import *
from .rnn import *
from .sparse import *
from .transformer import *
from .upsampling import *

TYPE_CHECKING = False
if not TYPE_CHECKING:

    def _elsewhere(name):
        """What PyTorch has in another file than ours."""
        if name in __all__:
            return globals()[name]
        raise AttributeError(f"no module of pynn.nn has {name!r}")

    for _file in "activation batchnorm container conv instancenorm linear loss normalization".split():
        globals()[_file].__getattr__ = _elsewhere
    __all__ = [name for name, value in list(globals().items()) if isinstance(value, type) and name[0] != "_"]
