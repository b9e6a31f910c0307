"""Well-known image networks, untrained, with torchvision's names, arguments and state-dict keys."""

from .densenet import *
from .efficientnet import *
from .mobilenet import *
from .mobilenetv3 import *
from .plain import *
from .resnet import *
from .unet import *
from .vision_transformer import *
