"""Well-known image networks, untrained, with torchvision's names, arguments and state-dict keys."""

from .densenet import *
from .mobilenet import *
from .plain import *
from .resnet import *
