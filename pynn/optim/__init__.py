"""Optimisers and learning-rate schedules. Same as torch.optim; the schedules load when first used."""

from __future__ import annotations

from pynn.optim.adagrad import Adagrad as Adagrad
from pynn.optim.adam import Adam as Adam
from pynn.optim.adam import AdamW as AdamW
from pynn.optim.optimizer import Optimizer as Optimizer
from pynn.optim.rmsprop import RMSprop as RMSprop
from pynn.optim.sgd import SGD as SGD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from pynn.optim import lr_scheduler as lr_scheduler

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]


def __getattr__(name: str) -> ModuleType:
    if name == "lr_scheduler":
        from importlib import import_module

        return import_module("pynn.optim.lr_scheduler")
    raise AttributeError(f"module 'pynn.optim' has no attribute {name!r}")
