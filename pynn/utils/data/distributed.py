"""The sampler of one process among several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pynn
from pynn.utils.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index, from `rank` on. Same as torch.utils.data.DistributedSampler.

    Args:
        dataset: whose length counts.
        num_replicas: how many processes there are; by default those of torch.distributed.
        rank: which of them this is.
        shuffle: whether the order is random, the same in all processes.
        seed: of that order, together with the epoch.
        drop_last: leave out what does not divide evenly; otherwise the first indices come again.

    Raises:
        RuntimeError: a number is left out, and there is no process group.
        ValueError: `rank` is out of range.
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            from pynn import distributed

            if not distributed.is_initialized():
                raise RuntimeError(
                    "Requires distributed package to be available (or pass num_replicas and rank)"
                )
            num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
            rank = distributed.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0
        count = len(dataset)
        self.num_samples = count // num_replicas if drop_last else math.ceil(count / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        if self.shuffle:
            generator = pynn.Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = pynn.randperm(count, generator=generator).tolist()
        else:
            order = list(range(count))
        if len(order) < self.total_size:
            order *= math.ceil(self.total_size / len(order))
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another order for another epoch; call it before each."""
        self.epoch = epoch
