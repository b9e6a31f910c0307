"""Workers of a DataLoader draw the numbers that PyTorch's do."""

import os
import random

import numpy as np
import pytest

import pynn
import pynn.utils.data

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="classes of a test module need fork")


def run(fw, persistent, generator):
    class Draws(fw.utils.data.Dataset):
        def __len__(self):
            return 11

        def __getitem__(self, i):
            info = fw.utils.data.get_worker_info()
            return i, info.id, info.seed, fw.rand(1).item(), random.random(), np.random.rand()

    class Stream(fw.utils.data.IterableDataset):
        def __iter__(self):
            info = fw.utils.data.get_worker_info()
            for i in range(3 + info.id):
                yield i, info.id, info.seed, fw.rand(1).item(), random.random(), np.random.rand()

    fw.manual_seed(5)
    g = None
    if generator:
        g = fw.Generator()
        g.manual_seed(9)
    out = []
    for dataset, shuffle in ((Draws(), True), (Stream(), False)):
        loader = fw.utils.data.DataLoader(
            dataset,
            batch_size=2,
            shuffle=shuffle,
            num_workers=2,
            generator=g,
            persistent_workers=persistent,
            multiprocessing_context="fork",
        )
        for _ in range(2):
            out += [[column.tolist() for column in batch] for batch in loader]
    return out, fw.rand(1).item()


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("generator", [False, True])
def test_same_batches_and_numbers(persistent, generator):
    ours, our_next = run(pynn, persistent, generator)
    theirs, their_next = run(torch, persistent, generator)
    assert len(ours) == len(theirs) and our_next == pytest.approx(their_next, abs=1e-6)
    for a, b in zip(ours, theirs, strict=True):
        assert a[:3] == b[:3]
        np.testing.assert_allclose(a[3:], b[3:], atol=1e-6)


@pytest.mark.parametrize(
    "n, replicas, drop", [(10, 3, False), (10, 3, True), (3, 5, False), (9, 3, True), (11, 4, True)]
)
def test_distributed_sampler(n, replicas, drop):
    for rank in range(replicas):
        for shuffle in (False, True):
            ours, theirs = (
                fw.utils.data.DistributedSampler(range(n), replicas, rank, shuffle, 3, drop)
                for fw in (pynn, torch)
            )
            for epoch in (0, 1):
                ours.set_epoch(epoch)
                theirs.set_epoch(epoch)
                assert list(ours) == list(theirs) and len(ours) == len(theirs)
