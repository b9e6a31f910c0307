"""The name `torch` for pynn: after `install()`, programs written for PyTorch import pynn.

    import pynn.compat
    pynn.compat.install()
    import torch  # pynn
    from torch.utils.data import DataLoader  # pynn.utils.data.DataLoader

`torchvision` becomes `pynn.vision` in the same way. `pynn run script.py` runs a whole program like this, unchanged.
A PyTorch that was imported before stays what it is for whoever holds it, and comes back with `uninstall()`.
"""

from pynn.compat._alias import ALIASES as ALIASES
from pynn.compat._alias import API_VERSION as API_VERSION
from pynn.compat._alias import install as install
from pynn.compat._alias import installed as installed
from pynn.compat._alias import uninstall as uninstall

__all__ = ["ALIASES", "API_VERSION", "install", "installed", "uninstall"]
