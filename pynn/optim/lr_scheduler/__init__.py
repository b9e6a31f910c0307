"""Learning-rate schedules. Same as torch.optim.lr_scheduler."""

from pynn.optim.lr_scheduler.base import LRScheduler as LRScheduler
from pynn.optim.lr_scheduler.combined import ChainedScheduler as ChainedScheduler
from pynn.optim.lr_scheduler.combined import SequentialLR as SequentialLR
from pynn.optim.lr_scheduler.cyclic import CyclicLR as CyclicLR
from pynn.optim.lr_scheduler.cyclic import OneCycleLR as OneCycleLR
from pynn.optim.lr_scheduler.decay import ConstantLR as ConstantLR
from pynn.optim.lr_scheduler.decay import CosineAnnealingLR as CosineAnnealingLR
from pynn.optim.lr_scheduler.decay import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from pynn.optim.lr_scheduler.decay import ExponentialLR as ExponentialLR
from pynn.optim.lr_scheduler.decay import LambdaLR as LambdaLR
from pynn.optim.lr_scheduler.decay import LinearLR as LinearLR
from pynn.optim.lr_scheduler.decay import MultiplicativeLR as MultiplicativeLR
from pynn.optim.lr_scheduler.decay import MultiStepLR as MultiStepLR
from pynn.optim.lr_scheduler.decay import PolynomialLR as PolynomialLR
from pynn.optim.lr_scheduler.decay import StepLR as StepLR
from pynn.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau

_LRScheduler = LRScheduler  # the name before PyTorch 2.0, still subclassed by programs

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
