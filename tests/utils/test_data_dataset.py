"""Data sets and random_split."""

import pytest

import pynn
from pynn.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Squares(Dataset[int]):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, i):
        return i * i

    def __len__(self):
        return self.n


class Stream(IterableDataset[int]):
    def __init__(self, *values):
        self.values = values

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)


def test_dataset_has_to_be_filled_in():
    with pytest.raises(NotImplementedError, match="should implement __getitem__"):
        Dataset()[0]
    assert not hasattr(Dataset(), "__getitems__")


def test_tensor_dataset():
    x, y = pynn.arange(6).reshape(3, 2), pynn.tensor([5, 6, 7])
    data = TensorDataset(x, y)
    assert len(data) == 3 and data.tensors == (x, y)
    a, b = data[1]
    assert a.tolist() == [2, 3] and b.item() == 6
    a, b = data[1:]
    assert a.tolist() == [[2, 3], [4, 5]] and b.tolist() == [6, 7]
    with pytest.raises(IndexError):
        data[3]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        TensorDataset(x, pynn.zeros(2))


def test_concat():
    data = Squares(3) + Squares(2)
    assert isinstance(data, ConcatDataset) and len(data) == 5
    assert [data[i] for i in range(5)] == [0, 1, 4, 0, 1]
    assert data[-1] == 1 and data[-5] == 0
    assert data.cumulative_sizes == [3, 5]
    with pytest.raises(ValueError, match="should not exceed dataset length"):
        data[-6]
    with pytest.raises(IndexError):
        data[5]
    with pytest.raises(AssertionError, match="should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([Stream(1)])


def test_chain():
    data = Stream(1, 2) + Stream(3)
    assert isinstance(data, ChainDataset)
    assert list(data) == [1, 2, 3] and list(data) == [1, 2, 3] and len(data) == 3
    with pytest.raises(AssertionError, match="only supports IterableDataset, got Squares"):
        list(ChainDataset([Squares(2)]))


def test_subset():
    part = Subset(Squares(10), [3, 5, 9])
    assert len(part) == 3 and part[1] == 25 and part.__getitems__([0, 2]) == [9, 81]
    assert Subset(part, [2, 0])[0] == 81
    rows = Subset(TensorDataset(pynn.arange(10)), [1, 4, 7])
    assert rows[[0, 2]][0].tolist() == [1, 7]


def test_subset_asks_the_data_set_for_whole_batches():
    class Batched(Squares):
        def __getitems__(self, indices):
            return [("batched", i) for i in indices]

    assert Subset(Batched(9), [3, 5]).__getitems__([1, 0]) == [("batched", 5), ("batched", 3)]


def test_subset_with_own_items_needs_own_batches():
    class Wrong(Subset):
        def __getitem__(self, i):
            return -1

    class Right(Wrong):
        def __getitems__(self, indices):
            return [self[i] for i in indices]

    with pytest.raises(NotImplementedError, match="Wrong overrides __getitem__ but not __getitems__"):
        Wrong(Squares(3), [0])
    assert Right(Squares(3), [0]).__getitems__([0]) == [-1]


def test_random_split():
    generator = pynn.Generator().manual_seed(3)
    parts = random_split(Squares(10), [7, 3], generator)
    assert [len(p) for p in parts] == [7, 3]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    again = random_split(Squares(10), [7, 3], pynn.Generator().manual_seed(3))
    assert [p.indices for p in parts] == [p.indices for p in again]


def test_random_split_by_fractions_gives_the_rest_to_the_first():
    assert [len(p) for p in random_split(Squares(11), [0.3, 0.3, 0.4])] == [4, 3, 4]
    assert [len(p) for p in random_split(Squares(1), [1])] == [1]
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(Squares(1), [0.5, 0.5])


def test_random_split_refuses_bad_lengths():
    with pytest.raises(ValueError, match="got 9 for a dataset of 10"):
        random_split(Squares(10), [6, 3])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        random_split(Squares(10), [-0.5, 1.5])
