"""Data loading beside PyTorch: the same order after the same seed, the same batches and types."""

from collections import namedtuple

import numpy as np
import pytest

import pynn
import pynn.utils.data

torch = pytest.importorskip("torch")

LIBS = (pynn, torch)
Point = namedtuple("Point", "x y")


def both(f):
    """f(lib, lib.utils.data) for both libraries after the same seed, each with the next random number."""
    results = []
    for lib in LIBS:
        lib.manual_seed(11)
        results.append((plain(f(lib, lib.utils.data)), lib.rand(1).item()))
    return results


def same(f):
    mine, theirs = both(f)
    assert mine == theirs
    return mine[0]


def plain(value):
    if isinstance(value, (pynn.Tensor, torch.Tensor)):
        return ("tensor", str(value.dtype).split(".")[-1], tuple(value.shape), value.tolist())
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(plain(v) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


def generator(lib):
    return lib.Generator().manual_seed(5)


def rows(lib, d, n=23):
    return d.TensorDataset(lib.arange(2 * n, dtype=lib.float32).reshape(n, 2), lib.arange(n))


SAMPLERS = {
    "random": lambda lib, d: d.RandomSampler(range(100)),
    "random-some": lambda lib, d: d.RandomSampler(range(10), num_samples=4),
    "random-more": lambda lib, d: d.RandomSampler(range(10), num_samples=25),
    "random-generator": lambda lib, d: d.RandomSampler(range(40), generator=generator(lib)),
    "replacement": lambda lib, d: d.RandomSampler(range(10), replacement=True),
    "replacement-70": lambda lib, d: d.RandomSampler(range(10), replacement=True, num_samples=70),
    "replacement-64": lambda lib, d: d.RandomSampler(range(10), True, 64, generator(lib)),
    "subset": lambda lib, d: d.SubsetRandomSampler(list("abcdefgh")),
    "subset-generator": lambda lib, d: d.SubsetRandomSampler(range(5, 30), generator(lib)),
    "batches": lambda lib, d: d.BatchSampler(d.RandomSampler(range(17)), 5, False),
    "batches-drop": lambda lib, d: d.BatchSampler(d.RandomSampler(range(17)), 5, True),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_order(name):
    def twice(lib, d):
        sampler = SAMPLERS[name](lib, d)
        return len(sampler), list(sampler), list(sampler)

    same(twice)


@pytest.mark.parametrize("replacement", [True, False])
def test_weighted_sampler_order(replacement):
    weights = [0.1, 2.0, 0.5, 0.0, 3.0, 1.0, 0.7]
    same(lambda lib, d: list(d.WeightedRandomSampler(weights, 6, replacement)))
    same(lambda lib, d: list(d.WeightedRandomSampler(weights, 6, replacement, generator(lib))))


def test_generator_is_left_in_the_same_state():
    def draw(lib, d):
        g = generator(lib)
        list(d.RandomSampler(range(9), generator=g))
        list(d.RandomSampler(range(9), True, 64, generator=g))
        list(d.DataLoader(rows(lib, d), 4, shuffle=True, generator=g))
        return lib.rand(3, generator=g)

    same(draw)


@pytest.mark.parametrize("lengths", [[20, 3], [0.5, 0.5], [0.21, 0.33, 0.46], [0.1, 0.9]])
def test_random_split(lengths):
    same(lambda lib, d: [s.indices for s in d.random_split(rows(lib, d), lengths)])
    same(lambda lib, d: [s.indices for s in d.random_split(rows(lib, d), lengths, generator=generator(lib))])


def one_by_one(lib, d, n=23):
    """A data set without the fast path, with samples of many kinds."""

    class Samples(d.Dataset):
        def __getitem__(self, i):
            return {
                "tensor": lib.full((2,), float(i)),
                "array": np.full((2, 1), i, np.float32),
                "scalar": np.float32(i),
                "pair": (i, float(i)),
                "point": Point(i, str(i)),
                "list": [i, i > 3],
            }

        def __len__(self):
            return n

    return Samples()


def stream(lib, d, n=23):
    class Stream(d.IterableDataset):
        def __iter__(self):
            return iter(range(n))

        def __len__(self):
            return n

    return Stream()


MAPS = {
    "rows": rows,
    "samples": one_by_one,
    "subset": lambda lib, d: d.Subset(rows(lib, d), range(20, 2, -1)),
    "nested": lambda lib, d: d.Subset(d.Subset(rows(lib, d), range(20, 2, -1)), [3, 1, 2, 1]),
    "split": lambda lib, d: d.random_split(rows(lib, d), [0.7, 0.3])[0],
    "concat": lambda lib, d: rows(lib, d, 4) + rows(lib, d, 9),
}
LOADERS = [
    {},
    {"batch_size": 4},
    {"batch_size": 4, "drop_last": True},
    {"batch_size": 4, "shuffle": True},
    {"batch_size": 3, "shuffle": True, "drop_last": True},
    {"batch_size": None},
    {"batch_size": None, "shuffle": True},
    {"batch_size": 5, "sampler": [3, 1, 2, 0, 1, 1, 2]},
    {"batch_sampler": [[0, 2], [1], [3, 0, 1]]},
    {"batch_size": 4, "collate_fn": len},
]


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("options", LOADERS, ids=lambda o: "-".join(o) or "defaults")
def test_loader(name, options):
    def epochs(lib, d):
        loader = d.DataLoader(MAPS[name](lib, d), **options)
        return len(loader), [list(loader) for _ in range(2)]

    count, (first, second) = same(epochs)
    assert len(first) == len(second) == count


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": None}]
)
def test_loader_of_a_stream(options):
    def epochs(lib, d):
        loader = d.DataLoader(stream(lib, d), **options)
        return len(loader), list(loader), list(loader)

    same(epochs)


def test_random_numbers_drawn_while_iterating():
    def draws(lib, d):
        out = []
        for _ in range(2):
            for batch in d.DataLoader(rows(lib, d), 10, shuffle=True):
                out.append([batch[1], lib.rand(2)])
        return out

    same(draws)


def test_shuffled_batches_with_workers():
    """PyTorch with two real worker processes gives the batches pynn gives without."""
    mine, theirs = both(lambda lib, d: list(d.DataLoader(rows(lib, d), 4, shuffle=True, num_workers=2)))
    assert mine == theirs


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2],
        [1, 2.5],
        [1.5, 2],
        [True, False],
        ["a", "b"],
        (b"a", b"b"),
        [np.float32(1), np.float32(2)],
        [np.float64(1), np.float64(2)],
        [np.int16(1), np.int16(2)],
        [np.bool_(True), np.bool_(False)],
        [np.str_("a"), np.str_("b")],
        [np.zeros((2, 0)), np.zeros((2, 0))],
        [np.array(1.0), np.array(2.0)],
        [[1, 2], [3, 4]],
        [(1, "a"), (2, "b")],
        [Point(1, 2.0), Point(3, 4.0)],
        [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}],
        [(), ()],
        [{}, {}],
        [[], []],
    ],
    ids=repr,
)
def test_collate_and_convert(batch):
    same(lambda lib, d: d.default_collate(batch))
    same(lambda lib, d: d.default_convert(batch))


@pytest.mark.parametrize(
    "batch",
    [[], [None, None], [object()], [{1}, {2}], [[1], [1, 2]], [np.array(["a"])] * 2, [{"a": 1}, {"b": 1}]],
    ids=lambda batch: " ".join(type(x).__name__ for x in batch),
)
def test_collate_error_classes(batch):
    raised = []
    for lib in LIBS:
        with pytest.raises(Exception) as info:
            lib.utils.data.default_collate(batch)
        raised.append(info.type)
    assert raised[0] is raised[1]


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"sampler": [1], "shuffle": True},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 1.5},
        {"drop_last": 1},
        {"multiprocessing_context": "fork"},
        {"multiprocessing_context": "x", "num_workers": 1},
        {"unknown": 1},
    ],
    ids=repr,
)
def test_loader_error_classes(options):
    raised = []
    for lib in LIBS:
        with pytest.raises(Exception) as info:
            lib.utils.data.DataLoader([1, 2, 3], **options)
        raised.append(info.type)
    assert raised[0] is raised[1]


@pytest.mark.parametrize(
    "f",
    [
        lambda lib, d: d.TensorDataset(lib.zeros(2), lib.zeros(3)),
        lambda lib, d: rows(lib, d)[23],
        lambda lib, d: d.ConcatDataset([]),
        lambda lib, d: (rows(lib, d) + rows(lib, d))[46],
        lambda lib, d: (rows(lib, d) + rows(lib, d))[-47],
        lambda lib, d: d.random_split(rows(lib, d), [1, 2]),
        lambda lib, d: d.RandomSampler([]),
        lambda lib, d: d.RandomSampler([1], replacement=2),
        lambda lib, d: list(d.DataLoader(rows(lib, d), batch_sampler=[[23]])),
        lambda lib, d: list(d.DataLoader(rows(lib, d), batch_sampler=[["a"]])),
        lambda lib, d: list(d.DataLoader(rows(lib, d), batch_sampler=[[]])),
        lambda lib, d: setattr(d.DataLoader([1]), "batch_size", 3),
        lambda lib, d: len(d.DataLoader(d.IterableDataset())),
    ],
)
def test_error_classes(f):
    raised = []
    for lib in LIBS:
        with pytest.raises(Exception) as info:
            f(lib, lib.utils.data)
        raised.append(info.type)
    assert raised[0] is raised[1]
