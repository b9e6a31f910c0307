"""StackDataset and DistributedSampler."""

import pytest

import pynn
from pynn.utils.data import DataLoader, DistributedSampler, StackDataset, TensorDataset

X, Y = pynn.arange(6.0), pynn.arange(6) * 10


def test_stacked_data_sets():
    pair = StackDataset(X, Y)
    assert len(pair) == 6 and [int(v) for v in pair[2]] == [2, 20]
    named = StackDataset(a=TensorDataset(X), b=Y)
    assert float(named[1]["a"][0]) == 1 and int(named[1]["b"]) == 10
    batch = next(iter(DataLoader(named, 3)))
    assert batch["a"][0].tolist() == [0, 1, 2] and batch["b"].tolist() == [0, 10, 20]
    assert [int(v) for row in pair.__getitems__([0, 5]) for v in row] == [0, 0, 5, 50]

    class Wrong(TensorDataset):
        def __getitems__(self, indices):
            return []

    with pytest.raises(ValueError, match="Expected 2, got 0"):
        StackDataset(Wrong(X)).__getitems__([0, 1])
    for make, words in (
        (lambda: StackDataset(), "At least one"),
        (lambda: StackDataset(X, Y[:3]), "Size mismatch"),
        (lambda: StackDataset(X, a=Y), "both"),
    ):
        with pytest.raises(ValueError, match=words):
            make()


@pytest.mark.parametrize("n, replicas", [(10, 3), (9, 3), (2, 5), (7, 1)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_distributed_sampler(n, replicas, shuffle):
    parts = [DistributedSampler(range(n), replicas, r, shuffle, seed=3) for r in range(replicas)]
    lists = [list(part) for part in parts]
    assert {len(p) for p in lists} == {len(parts[0])} == {-(-n // replicas)}
    assert {i for part in lists for i in part} == set(range(n))
    dropped = [
        list(DistributedSampler(range(n), replicas, r, shuffle, drop_last=True)) for r in range(replicas)
    ]
    flat = [i for part in dropped for i in part]
    assert len(flat) == len(set(flat)) == n // replicas * replicas
    if shuffle and n == 10:
        parts[0].set_epoch(1)
        assert list(parts[0]) != lists[0]


def test_distributed_sampler_needs_a_group_or_numbers():
    with pytest.raises(RuntimeError, match="num_replicas and rank"):
        DistributedSampler(X)
    with pytest.raises(ValueError, match=r"interval \[0, 1\]"):
        DistributedSampler(X, 2, 2)
    pynn.distributed.init_process_group("gloo", rank=0, world_size=1)
    try:
        assert sorted(DistributedSampler(X)) == list(range(6))
    finally:
        pynn.distributed.destroy_process_group()
