"""Data sets, samplers and the loader that makes batches of them. Same as torch.utils.data."""

from pynn.utils.data.collate import default_collate as default_collate
from pynn.utils.data.collate import default_convert as default_convert
from pynn.utils.data.dataloader import DataLoader as DataLoader
from pynn.utils.data.dataset import ChainDataset as ChainDataset
from pynn.utils.data.dataset import ConcatDataset as ConcatDataset
from pynn.utils.data.dataset import Dataset as Dataset
from pynn.utils.data.dataset import IterableDataset as IterableDataset
from pynn.utils.data.dataset import StackDataset as StackDataset
from pynn.utils.data.dataset import Subset as Subset
from pynn.utils.data.dataset import TensorDataset as TensorDataset
from pynn.utils.data.dataset import random_split as random_split
from pynn.utils.data.distributed import DistributedSampler as DistributedSampler
from pynn.utils.data.sampler import BatchSampler as BatchSampler
from pynn.utils.data.sampler import RandomSampler as RandomSampler
from pynn.utils.data.sampler import Sampler as Sampler
from pynn.utils.data.sampler import SequentialSampler as SequentialSampler
from pynn.utils.data.sampler import SubsetRandomSampler as SubsetRandomSampler
from pynn.utils.data.sampler import WeightedRandomSampler as WeightedRandomSampler
from pynn.utils.data.worker import get_worker_info as get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
