"""Small vision data sets, named as in torchvision."""

from pynn.vision import datasets as datasets
