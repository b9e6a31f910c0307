"""Boxes, and layers that image networks share. Names as in torchvision.ops."""

from .boxes import *
from .misc import *
from .stochastic_depth import *
