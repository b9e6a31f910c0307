"""DataLoader."""

import multiprocessing
import pickle

import pytest

import pynn
from pynn.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    get_worker_info,
)


class Pairs(Dataset):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, i):
        return pynn.tensor([float(i), 0.0]), i

    def __len__(self):
        return self.n


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class SizedStream(Stream):
    def __len__(self):
        return self.n - 3


def rows(n):
    return TensorDataset(pynn.arange(2 * n, dtype=pynn.float32).reshape(n, 2), pynn.arange(n))


def lists(loader):
    return [[t.tolist() for t in batch] for batch in loader]


def order(loader):
    return [i for _, index in loader for i in index.tolist()]


@pytest.mark.parametrize("make", [Pairs, rows])
def test_batches(make):
    loader = DataLoader(make(5), batch_size=2)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert all(type(batch) is list for batch in batches)
    assert [batch[1].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert [tuple(batch[0].shape) for batch in batches] == [(2, 2), (2, 2), (1, 2)]
    assert (
        len(DataLoader(make(5), 2, drop_last=True)) == len(list(DataLoader(make(5), 2, drop_last=True))) == 2
    )
    assert len(DataLoader(make(5))) == 5


@pytest.mark.parametrize("make", [Pairs, rows])
def test_shuffle(make):
    loader = DataLoader(make(20), batch_size=3, shuffle=True)
    pynn.manual_seed(0)
    first, second = order(loader), order(loader)
    assert sorted(first) == list(range(20)) and first != second
    pynn.manual_seed(0)
    assert order(loader) == first
    generator = pynn.Generator().manual_seed(4)
    seeded = order(DataLoader(make(20), 3, True, generator=generator))
    assert seeded == order(DataLoader(make(20), 3, True, generator=generator.manual_seed(4)))


@pytest.mark.parametrize("indices", [[3, 1, 4, 1, 5], [-1, 0, -2], [0]])
def test_rows_gathered_at_once_equal_rows_collated_one_by_one(indices):
    data = TensorDataset(
        pynn.arange(24, dtype=pynn.float32).reshape(6, 4)[:, ::2],  # not contiguous
        pynn.arange(6) > 2,
        pynn.zeros(6, 0),
        pynn.ones(6, 2, 1, dtype=pynn.int16),
    )
    for source in (
        data,
        Subset(data, [5, 4, 3, 2, 1, 0]),
        Subset(Subset(data, [5, 4, 3, 2, 1, 0]), range(6)),
    ):
        (fast,) = DataLoader(source, batch_sampler=[indices])
        (slow,) = DataLoader(source, batch_sampler=[indices], collate_fn=lambda b: default_collate(b))
        assert type(fast) is type(slow) is list
        for a, b in zip(fast, slow, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape and a.tolist() == b.tolist()
            assert a.is_contiguous()


def test_batches_are_copies():
    data = rows(4)
    for x, _ in DataLoader(data, 4):
        x.fill_(-1)
    assert data.tensors[0].tolist()[0] == [0.0, 1.0]


def test_samples_of_a_tensor_dataset_keep_their_history():
    x = pynn.ones(4, 2, requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(x), 2):
        batch.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0]] * 4


def test_indices_of_any_kind_reach_a_tensor_dataset():
    data = rows(6)
    for sampler in (pynn.tensor([2, 0, 5]), range(3), [pynn.tensor(1)]):
        expected = [int(i) for i in sampler]
        assert order(DataLoader(data, 2, sampler=sampler)) == expected
    (batch,) = DataLoader(data, batch_sampler=[pynn.tensor([2, 4])])
    assert batch[1].tolist() == [2, 4]


def test_a_subclass_of_tensor_dataset_is_asked_for_its_samples():
    class Negative(TensorDataset):
        def __getitem__(self, i):
            return tuple(-t for t in super().__getitem__(i))

    assert [b[0].tolist() for b in DataLoader(Negative(pynn.arange(3)), 2)] == [[0, -1], [-2]]
    part = Subset(Negative(pynn.arange(3)), [2, 1])
    assert [b[0].tolist() for b in DataLoader(part, 2)] == [[-2, -1]]


def test_dataset_that_fetches_whole_batches():
    class Batched(Pairs):
        def __getitems__(self, indices):
            return [10 * i for i in indices]

    assert [b.tolist() for b in DataLoader(Batched(3), 2)] == [[0, 10], [20]]


def test_without_batches():
    samples = list(DataLoader(rows(3), batch_size=None))
    assert len(samples) == 3 and samples[2][0].tolist() == [4.0, 5.0]
    assert list(DataLoader(["a", "b"], batch_size=None)) == ["a", "b"]
    assert len(DataLoader(["a", "b"], batch_size=None)) == 2
    ranges = DataLoader(rows(6), batch_size=None, sampler=BatchSampler(SequentialSampler(range(6)), 4, False))
    assert [s[1].tolist() for s in ranges] == [[0, 1, 2, 3], [4, 5]]


def test_samplers_and_collate_fn():
    loader = DataLoader(Pairs(5), sampler=[4, 0, 2], batch_size=2, collate_fn=lambda b: [i for _, i in b])
    assert list(loader) == [[4, 0], [2]]
    loader = DataLoader(Pairs(5), batch_sampler=[[1, 2, 3], [0]], collate_fn=tuple)
    assert [len(batch) for batch in loader] == [3, 1] and loader.batch_size is None


def test_any_sequence_is_a_data_set():
    assert [b.tolist() for b in DataLoader([1.0, 2.0, 3.0], 2)] == [[1.0, 2.0], [3.0]]
    assert list(DataLoader("abc", 2)) == [["a", "b"], ["c"]]


def test_streams():
    assert [b.tolist() for b in DataLoader(Stream(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Stream(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert [b.tolist() for b in DataLoader(Stream(4), 2)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    with pytest.raises(TypeError):
        len(DataLoader(Stream(3)))


def test_length_of_streams():
    assert len(DataLoader(SizedStream(8), 2)) == 3
    assert len(DataLoader(SizedStream(8), 2, drop_last=True)) == 2
    loader = DataLoader(SizedStream(8), batch_size=None)
    assert len(loader) == 5
    with pytest.warns(UserWarning, match="was reported to be 5"):
        assert len(list(loader)) == 8


def test_iterator():
    loader = DataLoader(rows(5), 2)
    it = iter(loader)
    assert iter(it) is it and len(it) == 3
    assert len(list(it)) == 3 and list(it) == []
    assert iter(loader) is not it
    with pytest.raises(NotImplementedError, match="cannot be pickled"):
        pickle.dumps(it)


@pytest.mark.parametrize("error", [ValueError, KeyError, StopAsyncIteration, IndexError])
@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_the_data_set_come_through(error, workers):
    class Failing(Pairs):
        def __getitem__(self, i):
            if i == 3:
                raise error("sample 3 is broken")
            return super().__getitem__(i)

    # A local class cannot be pickled, which Python 3.14's own way to start workers would need.
    it = iter(
        DataLoader(Failing(6), 2, num_workers=workers, multiprocessing_context="fork" if workers else None)
    )
    next(it)
    with pytest.raises(error, match="sample 3 is broken"):
        next(it)


def test_index_error_of_rows():
    with pytest.raises(IndexError):
        list(DataLoader(rows(3), batch_sampler=[[0, 3]]))


def test_workers_give_the_same_batches():
    def batches(workers, **options):
        pynn.manual_seed(2)
        return lists(DataLoader(rows(11), 3, True, num_workers=workers, **options))

    assert batches(0) == batches(3) == batches(2, persistent_workers=True, prefetch_factor=4, timeout=5)
    assert get_worker_info() is None


def test_persistent_workers_keep_their_iterator():
    loader = DataLoader(rows(7), 2, num_workers=1, persistent_workers=True)
    it = iter(loader)
    assert len(list(it)) == 4 and iter(loader) is it and len(list(it)) == 4


def test_accepted_arguments():
    loader = DataLoader(
        rows(4),
        2,
        num_workers=1,
        pin_memory=True,
        pin_memory_device="cuda",
        timeout=3,
        worker_init_fn=print,
        multiprocessing_context="spawn",
        in_order=False,
    )
    assert len(list(loader)) == 2 and loader.prefetch_factor == 2 and loader.pin_memory
    assert loader.multiprocessing_context is multiprocessing.get_context("spawn")
    assert isinstance(DataLoader(rows(4), shuffle=True).sampler, RandomSampler)
    assert isinstance(DataLoader(rows(4)).sampler, SequentialSampler)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"num_workers": -1}, ValueError, "num_workers option should be non-negative"),
        ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, ValueError, "prefetch_factor option could only be specified"),
        ({"prefetch_factor": -1, "num_workers": 1}, ValueError, "prefetch_factor option should be non-neg"),
        ({"persistent_workers": True}, ValueError, "persistent_workers option needs num_workers > 0"),
        ({"sampler": [1], "shuffle": True}, ValueError, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 2}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[1]], "shuffle": True}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[1]], "sampler": [1]}, ValueError, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[1]], "drop_last": True}, ValueError, "batch_sampler option is mutually excl"),
        ({"batch_size": None, "drop_last": True}, ValueError, "batch_size=None option disables auto-batch"),
        (
            {"batch_size": 0},
            ValueError,
            "batch_size should be a positive integer value, but got batch_size=0",
        ),
        ({"multiprocessing_context": "fork"}, ValueError, "can only be used with multi-process loading"),
        ({"multiprocessing_context": "x", "num_workers": 1}, ValueError, "a valid start method in"),
        ({"multiprocessing_context": 3, "num_workers": 1}, TypeError, "a valid context object or a string"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        DataLoader(rows(3), **options)


@pytest.mark.parametrize("name, value", [("shuffle", True), ("sampler", [1]), ("batch_sampler", [[1]])])
def test_streams_have_no_order(name, value):
    with pytest.raises(ValueError, match=f"expected unspecified {name} option"):
        DataLoader(Stream(3), **{name: value})
    assert len(list(DataLoader(Stream(3), shuffle=False))) == 3


def test_timeout_without_workers():
    with pytest.raises(AssertionError, match="timeout needs num_workers > 0"):
        iter(DataLoader(rows(3), timeout=1))


def test_fixed_attributes():
    loader = DataLoader(rows(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is init"):
            setattr(loader, name, None)
    loader.collate_fn = len
    assert list(loader) == [1, 1, 1]


def test_subclass_may_set_attributes_first():
    class Mine(DataLoader):
        def __init__(self, data):
            self.note = "kept"
            super().__init__(data, 2)

    assert Mine(rows(3)).note == "kept"
