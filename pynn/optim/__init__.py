"""Optimisers and learning-rate schedules. Same as torch.optim."""

from pynn.optim import lr_scheduler as lr_scheduler
from pynn.optim.adagrad import Adagrad as Adagrad
from pynn.optim.adam import Adam as Adam
from pynn.optim.adam import AdamW as AdamW
from pynn.optim.optimizer import Optimizer as Optimizer
from pynn.optim.rmsprop import RMSprop as RMSprop
from pynn.optim.sgd import SGD as SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
