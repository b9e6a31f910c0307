"""VGG. Names as in torchvision.models.vgg."""

from pynn.vision.models.plain import VGG as VGG
from pynn.vision.models.plain import make_layers as make_layers
