"""Optimisers and learning-rate schedules. Same as torch.optim; schedules and averages load when first used."""

from __future__ import annotations

from pynn.optim.adadelta import Adadelta as Adadelta
from pynn.optim.adafactor import Adafactor as Adafactor
from pynn.optim.adagrad import Adagrad as Adagrad
from pynn.optim.adam import Adam as Adam
from pynn.optim.adam import AdamW as AdamW
from pynn.optim.adamax import Adamax as Adamax
from pynn.optim.asgd import ASGD as ASGD
from pynn.optim.lbfgs import LBFGS as LBFGS
from pynn.optim.muon import Muon as Muon
from pynn.optim.nadam import NAdam as NAdam
from pynn.optim.optimizer import Optimizer as Optimizer
from pynn.optim.radam import RAdam as RAdam
from pynn.optim.rmsprop import RMSprop as RMSprop
from pynn.optim.rprop import Rprop as Rprop
from pynn.optim.sgd import SGD as SGD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from pynn.optim import lr_scheduler as lr_scheduler
    from pynn.optim import swa_utils as swa_utils

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "lr_scheduler",
    "swa_utils",
]


def __getattr__(name: str) -> ModuleType:
    if name in ("lr_scheduler", "swa_utils"):
        from importlib import import_module

        return import_module(f"pynn.optim.{name}")
    raise AttributeError(f"module 'pynn.optim' has no attribute {name!r}")
