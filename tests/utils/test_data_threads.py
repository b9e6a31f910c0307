"""DataLoader with threads for workers: batches, order, errors, sharing, and how the threads end."""

import gc
import threading
import time

import pytest

import pynn
from pynn.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

X = pynn.arange(40.0).reshape(20, 2)


class Of(Dataset):
    """Sample i is f(i)."""

    def __init__(self, f, n=8):
        self.f, self.n = f, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.f(i)


class Stream(IterableDataset):
    """Numbers below n, shared out among the workers."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        assert info.worker_method == "thread" and info.dataset is self
        return iter(range(info.id, self.n, info.num_workers))


def loader(dataset, workers=3, **options):
    return DataLoader(dataset, num_workers=workers, multiprocessing_context="thread", **options)


def workers_alive():
    return [t for t in threading.enumerate() if t.name.startswith("DataLoader worker")]


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    gc.collect()  # tracebacks hold iterators
    assert not workers_alive()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    "options", [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}]
)
def test_the_batches_of_no_workers(workers, options):
    for dataset in (TensorDataset(X, X.sum(1)), Of(lambda i: {"i": i, "x": X[i]})):
        expected, got = list(DataLoader(dataset, **options)), list(loader(dataset, workers, **options))
        assert len(expected) == len(got)
        for a, b in zip(expected, got):
            a, b = (list(x.values()) if isinstance(x, dict) else list(x) for x in (a, b))
            assert all(pynn.equal(pynn.as_tensor(s), pynn.as_tensor(t)) for s, t in zip(a, b))


def test_shuffled_as_without_workers():
    def order(make):
        pynn.manual_seed(3)
        return [b.tolist() for b in make(X[:, 0], batch_size=4, shuffle=True)]

    assert order(DataLoader) == order(loader)


def test_they_share_the_data_set_and_run_at_once():
    seen, together = set(), threading.Barrier(3, timeout=20)

    def sample(i):
        seen.add(get_worker_info().id)
        if i < 3:
            together.wait()  # three samples are under way at the same time
        return i

    assert [int(b) for b in loader(Of(sample, 9), batch_size=None, prefetch_factor=1)] == list(range(9))
    assert seen == {0, 1, 2} and get_worker_info() is None


def test_streams_are_shared_out():
    for _ in range(2):
        assert sorted(int(i) for i in loader(Stream(11), batch_size=None)) == list(range(11))
    assert [b.tolist() for b in loader(Stream(5), 2, batch_size=2)] == [[0, 2], [1, 3], [4]]


def test_out_of_order():
    def sample(i):
        time.sleep(0.5 if i == 0 else 0)
        return i

    got = [int(b) for b in loader(Of(sample), 2, batch_size=None, in_order=False)]
    assert sorted(got) == list(range(8)) and got[0] != 0


def test_persistent_workers_are_kept():
    started = []
    batches = loader(
        Of(lambda i: threading.get_ident()), 2, persistent_workers=True, worker_init_fn=started.append
    )
    first, second = ({int(b) for b in batches} for _ in range(2))
    assert first == second and sorted(started) == [0, 1] and len(workers_alive()) == 2
    it = iter(batches)
    next(it)
    assert len(list(iter(batches))) == 8  # a pass that was not finished does not disturb the next
    del it, batches


def test_errors_carry_the_workers_traceback():
    def sample(i):
        if i == 3:
            raise KeyError("no such sample")
        return i

    it = iter(loader(Of(sample), 2))
    assert [int(next(it)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="in DataLoader worker thread 1(.|\n)*in sample"):
        next(it)
    assert [int(b) for b in it] == [4, 5, 6, 7]

    def fail(worker):
        raise OSError(f"worker {worker} cannot begin")

    with pytest.raises(OSError, match="worker 0 cannot begin"):
        next(iter(loader(Of(int), 1, worker_init_fn=fail)))

    def leave(i):
        raise SystemExit(3)

    with pytest.raises(SystemExit, match="in DataLoader worker thread 0"):
        list(loader(Of(leave), 1))


def test_timeout():
    release = threading.Event()
    try:
        with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds"):
            threading.Timer(1, release.set).start()
            next(iter(loader(Of(lambda i: release.wait(20)), 1, timeout=0.2)))
    finally:
        release.set()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="num_workers > 0"):
        loader(X, 0)
    with pytest.raises(ValueError, match="or 'thread', but got multiprocessing_context='threads'"):
        DataLoader(X, num_workers=1, multiprocessing_context="threads")
