"""Samplers."""

import pytest

import pynn
from pynn.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def seeded(n=0):
    return pynn.Generator().manual_seed(n)


def test_sequential():
    sampler = SequentialSampler("abcd")
    assert list(sampler) == [0, 1, 2, 3] and len(sampler) == 4


def test_random_is_a_permutation_that_the_global_seed_decides():
    sampler = RandomSampler(range(50))
    pynn.manual_seed(1)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == list(range(50)) and first != second and len(sampler) == 50
    pynn.manual_seed(1)
    assert list(sampler) == first


def test_random_with_own_generator_leaves_the_global_one_alone():
    pynn.manual_seed(1)
    expected = pynn.rand(1).item()
    pynn.manual_seed(1)
    a = list(RandomSampler(range(20), generator=seeded(5)))
    assert pynn.rand(1).item() == expected
    assert list(RandomSampler(range(20), generator=seeded(5))) == a


@pytest.mark.parametrize("n", [1, 32, 70])
def test_random_with_replacement(n):
    drawn = list(RandomSampler(range(5), replacement=True, num_samples=n, generator=seeded()))
    assert len(drawn) == n and set(drawn) <= set(range(5))
    assert n < 70 or set(drawn) == set(range(5))


def test_random_of_more_than_all_goes_round():
    drawn = list(RandomSampler(range(5), num_samples=12, generator=seeded()))
    assert sorted(drawn[:5]) == sorted(drawn[5:10]) == list(range(5))
    assert len(drawn) == 12 and len(set(drawn[10:])) == 2
    assert len(list(RandomSampler(range(5), num_samples=3))) == 3


def test_random_follows_a_growing_source():
    source = [1]
    sampler = RandomSampler(source)
    source.append(2)
    assert len(sampler) == 2 and sorted(sampler) == [0, 1]


def test_subset_random():
    sampler = SubsetRandomSampler([7, 8, 9], seeded())
    assert sorted(sampler) == [7, 8, 9] and len(sampler) == 3


def test_weighted():
    sampler = WeightedRandomSampler([0.0, 1.0, 3.0], 400, generator=seeded())
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 400 and 0 not in drawn
    assert 240 < drawn.count(2) < 350
    assert sorted(WeightedRandomSampler([1.0, 0.5, 2.0], 3, replacement=False)) == [0, 1, 2]


@pytest.mark.parametrize(
    "n, drop_last, sizes", [(7, False, [3, 3, 1]), (7, True, [3, 3]), (6, False, [3, 3])]
)
def test_batches(n, drop_last, sizes):
    sampler = BatchSampler(SequentialSampler(range(n)), 3, drop_last)
    batches = list(sampler)
    assert [len(b) for b in batches] == sizes and len(sampler) == len(sizes)
    assert [i for b in batches for i in b] == list(range(sum(sizes)))


def test_batches_of_any_iterable():
    assert list(BatchSampler(iter("abcde"), 2, False)) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: RandomSampler(range(3), replacement=1), TypeError, "replacement should be a boolean value"),
        (lambda: RandomSampler([]), ValueError, "num_samples=0"),
        (lambda: RandomSampler(range(3), num_samples=-1), ValueError, "num_samples=-1"),
        (lambda: RandomSampler(range(3), num_samples=2.0), ValueError, "num_samples=2.0"),
        (lambda: WeightedRandomSampler([1.0], True), ValueError, "num_samples=True"),
        (lambda: WeightedRandomSampler([1.0], 1, replacement=0), ValueError, "replacement=0"),
        (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"given weights have shape \(1, 1\)"),
        (lambda: BatchSampler(range(3), 0, False), ValueError, "batch_size=0"),
        (lambda: BatchSampler(range(3), True, False), ValueError, "batch_size=True"),
        (lambda: BatchSampler(range(3), 1, 0), ValueError, "drop_last=0"),
        (lambda: iter(Sampler()), NotImplementedError, None),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
