"""Well-known image networks, with torchvision's names, arguments, state-dict keys and files of trained weights."""

from ._weights import *
from .densenet import *
from .efficientnet import *
from .mobilenet import *
from .mobilenetv3 import *
from .plain import *
from .resnet import *
from .unet import *
from .vision_transformer import *
