"""Modules on several devices: one process and one device, so the module itself runs. Names as in torch.nn.parallel."""

from pynn.nn.parallel.data_parallel import DataParallel, data_parallel
from pynn.nn.parallel.distributed import DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]
