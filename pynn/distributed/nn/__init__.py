"""Collectives with gradients. Names as in torch.distributed.nn."""

from pynn.distributed.nn.functional import *
from pynn.distributed.nn.functional import __all__
