"""DataLoader with worker processes: batches, order, random numbers, errors, and how the processes end."""

import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import pynn
from pynn.utils.data import (
    ChainDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    get_worker_info,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="classes of a test module need fork")

X = pynn.arange(40.0).reshape(20, 2)


class Squares(Dataset):
    def __init__(self, n=20):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return {"x": pynn.tensor(float(i)), "square": i * i, "name": f"s{i}"}


class Of(Dataset):
    """Sample i is f(i)."""

    def __init__(self, f, n=8):
        self.f, self.n = f, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.f(i)


class Stream(IterableDataset):
    def __init__(self, n, shard=False):
        self.n, self.shard = n, shard

    def __iter__(self):
        info = get_worker_info()
        start, step = (info.id, info.num_workers) if self.shard and info else (0, 1)
        return iter(range(start, self.n, step))


def loader(dataset, **options):
    return DataLoader(dataset, **{"num_workers": 2, "multiprocessing_context": "fork", **options})


def alive(pids):
    return [
        pid
        for pid in pids
        if os.path.exists(f"/proc/{pid}") and "Z" not in open(f"/proc/{pid}/stat").read().split()[2]
    ]


def end_soon(pids):
    """Whether none of them is there any more, within five seconds."""
    for _ in range(50):
        if not alive(pids):
            return True
        time.sleep(0.1)
    return False


# ---- what comes ----


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    "options", [{"batch_size": 3}, {"batch_size": 4, "drop_last": True}, {"batch_size": None}]
)
def test_batches_are_those_of_one_process(workers, options):
    for dataset in (Squares(), TensorDataset(X), Subset(TensorDataset(X), range(3, 17))):
        here = list(DataLoader(dataset, **options))
        there = list(loader(dataset, num_workers=workers, **options))
        assert len(here) == len(there)
        for a, b in zip(here, there, strict=True):
            if isinstance(a, dict):
                assert a["name"] == b["name"] and bool((a["x"] == b["x"]).all())
            else:
                assert [t.tolist() for t in a] == [t.tolist() for t in b]


def test_shuffled_order_is_that_of_one_process():
    def order(workers):
        pynn.manual_seed(7)
        got = DataLoader(TensorDataset(X), batch_size=3, shuffle=True, num_workers=workers)
        return [[b.tolist() for (b,) in got] for _ in range(2)], pynn.rand(1).item()

    assert order(0) == order(2)


@pytest.mark.parametrize("persistent", [False, True])
def test_several_passes(persistent):
    data = loader(Of(lambda i: (i, os.getpid()), 8), batch_size=2, persistent_workers=persistent)
    pids = []
    for _ in range(3):
        got = list(data)
        assert [batch[0].tolist() for batch in got] == [[0, 1], [2, 3], [4, 5], [6, 7]]
        pids.append({int(pid) for batch in got for pid in batch[1]})
        assert len(pids[-1]) == 2 and os.getpid() not in pids[-1]
    assert (pids[0] == pids[1] == pids[2]) == persistent


def test_a_persistent_pass_that_was_left_is_forgotten():
    data = loader(Of(lambda i: i, 30), batch_size=2, persistent_workers=True, prefetch_factor=4)
    for i, _ in enumerate(data):
        if i == 3:
            break
    assert [b.tolist() for b in data] == [[i, i + 1] for i in range(0, 30, 2)]


def test_workers_take_turns():
    data = loader(Of(lambda i: (i, get_worker_info().id), 9), batch_size=2, num_workers=3)
    assert [batch[1].tolist() for batch in data] == [[0, 0], [1, 1], [2, 2], [0, 0], [1]]


def test_prefetching_is_bounded():
    for factor in (1, 3):
        asked = []

        class Counted(pynn.utils.data.Sampler):
            def __iter__(self):
                for i in range(100):
                    asked.append(i)  # noqa: B023
                    yield i

        it = iter(loader(Of(lambda i: i, 100), sampler=Counted(), prefetch_factor=factor))
        assert len(asked) == 2 * factor
        next(it)
        assert len(asked) == 2 * factor + 1
        del it


def test_out_of_order():
    def slow(i):
        time.sleep(0.5 if i == 0 else 0)
        return i

    got = [int(b) for b in loader(Of(slow, 6), batch_size=None, in_order=False)]
    assert sorted(got) == list(range(6)) and got[0] != 0
    assert [int(b) for b in loader(Of(slow, 6), batch_size=None)] == list(range(6))


def test_large_batches_do_not_block():
    big = Of(lambda i: pynn.full((1_000_000,), float(i)), 6)
    got = [b[0, -1].item() for b in loader(big, prefetch_factor=3)]
    assert got == [0, 1, 2, 3, 4, 5]
    many = list(loader(TensorDataset(pynn.arange(300_000)), batch_size=100_000))  # and large lists of indices
    assert [int(b[0]) for (b,) in many] == [0, 100_000, 200_000]


def test_pin_memory_and_collate_fn():
    got = list(
        loader(Squares(4), batch_size=2, pin_memory=True, collate_fn=lambda batch: [s["name"] for s in batch])
    )
    assert got == [["s0", "s1"], ["s2", "s3"]]


# ---- streams ----


def test_every_worker_has_its_own_stream():
    assert sorted(int(b) for b in loader(Stream(5), batch_size=None)) == sorted([*range(5), *range(5)])
    assert sorted(int(b) for b in loader(Stream(7, shard=True), batch_size=None)) == list(range(7))
    got = [b.tolist() for b in loader(Stream(7, shard=True), batch_size=2)]
    assert got == [[0, 2], [1, 3], [4, 6], [5]]
    assert [b.tolist() for b in loader(Stream(7, shard=True), batch_size=2, drop_last=True)] == [
        [0, 2],
        [1, 3],
        [4, 6],
    ]
    assert len(list(loader(ChainDataset([Stream(3), Stream(2)]), batch_size=None))) == 10


def test_persistent_streams_begin_again():
    data = loader(Stream(7, shard=True), batch_size=2, persistent_workers=True)
    assert [[b.tolist() for b in data] for _ in range(3)] == [[[0, 2], [1, 3], [4, 6], [5]]] * 3


def test_a_wrong_length_is_reported():
    class Short(Stream):
        def __len__(self):
            return 3

    data = loader(Short(4), batch_size=None)
    assert len(data) == 3
    with pytest.warns(UserWarning, match="reported to be 3"):
        list(data)


# ---- what a worker knows ----


def test_worker_info():
    assert get_worker_info() is None
    pynn.manual_seed(3)

    def look(i):
        info = get_worker_info()
        with pytest.raises(RuntimeError, match="Cannot assign"):
            info.id = 3
        return (
            info.id,
            info.num_workers,
            info.seed,
            type(info.dataset).__name__,
            pynn.get_num_threads(),
            repr(info)[:18],
        )

    got = [next(iter(loader(Of(look, 1), batch_size=None, num_workers=1))) for _ in range(2)]
    assert got[0][:2] == [0, 1] and got[0][3:] == ["Of", 1, "WorkerInfo(id=0, n"] and got[0][2] != got[1][2]


def test_random_numbers_differ_by_worker_and_pass():
    draw = Of(lambda i: (pynn.rand(1).item(), random.random(), np.random.rand()), 4)
    pynn.manual_seed(0)
    data = loader(draw, batch_size=None)
    first, second = (list(data) for _ in range(2))
    for source in range(3):
        values = [sample[source] for sample in first + second]
        assert len(set(values)) == len(values)
    pynn.manual_seed(0)
    assert list(loader(draw, batch_size=None)) == first
    generator = pynn.Generator()
    generator.manual_seed(1)
    state = pynn.get_rng_state().tolist()
    list(loader(draw, batch_size=None, generator=generator))
    assert pynn.get_rng_state().tolist() == state


def test_worker_init_fn():
    def init(worker):
        get_worker_info().dataset.n = worker + 100

    dataset = Of(lambda i: get_worker_info().dataset.n, 4)
    assert [int(b) for b in loader(dataset, batch_size=None, worker_init_fn=init)] == [100, 101, 100, 101]
    assert dataset.n == 4


# ---- what goes wrong ----


def fail(i):
    if i == 2:
        raise ValueError(f"sample {i} is bad")
    return i


def test_an_error_comes_with_its_traceback_and_the_pass_goes_on():
    it = iter(loader(Of(fail, 6), batch_size=None))
    assert [next(it), next(it)] == [0, 1]
    with pytest.raises(ValueError) as error:
        next(it)
    text = str(error.value)
    assert text.startswith(
        "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):"
    )
    assert "in fail" in text and "ValueError: sample 2 is bad" in text
    assert [next(it), next(it), next(it)] == [3, 4, 5]
    with pytest.raises(StopIteration):
        next(it)


class Awkward(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def test_every_kind_of_error_arrives():
    def raises(error):
        def f(i):
            raise error

        return f

    class Local(Exception):
        pass

    for error, kind in ((KeyError("k"), KeyError), (Awkward(1, 2), RuntimeError), (Local("x"), RuntimeError)):
        with pytest.raises(kind, match=f"Caught {type(error).__name__} in DataLoader worker process 0"):
            next(iter(loader(Of(raises(error)))))
    with pytest.raises(ValueError, match="in DataLoader worker process 0(.|\n)*no start"):
        next(iter(loader(Squares(), worker_init_fn=raises(ValueError("no start")))))
    with pytest.raises(
        (RuntimeError, AttributeError, pickle.PicklingError),
        match="in DataLoader worker process 0(.|\n)*(pickle|local object)",
    ):
        next(iter(loader(Of(lambda i: lambda: i), batch_size=None)))
    with pytest.raises(TypeError, match="default_collate"):
        next(iter(loader(Of(lambda i: object()))))

    class BadStream(IterableDataset):
        def __iter__(self):
            raise OSError("no stream")

    with pytest.raises(OSError, match="no stream"):
        next(iter(loader(BadStream())))


@pytest.mark.parametrize(
    "end, words", [(lambda: os._exit(3), "exit code 3"), (lambda: os.kill(os.getpid(), 9), "SIGKILL")]
)
def test_a_dead_worker_is_noticed_at_once(end, words):
    def die(i):
        if i == 1:
            time.sleep(0.2)
            end()
        return i

    it = iter(loader(Of(die, 6), batch_size=None))
    pids = [w.process.pid for w in it._workers]
    started = time.monotonic()
    with pytest.raises(
        RuntimeError, match=rf"DataLoader worker \(pid\(s\) {pids[1]}\) exited unexpectedly.*{words}"
    ):
        list(it)
    assert time.monotonic() - started < 5 and not alive(pids)


def test_timeout():
    it = iter(loader(Of(lambda i: time.sleep(60), 2), batch_size=None, timeout=0.3))
    pids = [w.process.pid for w in it._workers]
    from pynn.utils.data import parallel

    before, parallel._PATIENCE = parallel._PATIENCE, 0.3
    try:
        with pytest.raises(RuntimeError, match="DataLoader timed out after 0.3 seconds"):
            next(it)
    finally:
        parallel._PATIENCE = before
    assert not alive(pids)
    with pytest.raises(AssertionError, match="timeout"):
        iter(DataLoader(Squares(), timeout=1))


def test_no_process_stays():
    it = iter(loader(Of(lambda i: pynn.zeros(1_000_000), 50), prefetch_factor=5))
    pids = [w.process.pid for w in it._workers]
    next(it)
    started = time.monotonic()
    del it  # workers are writing
    assert not alive(pids) and time.monotonic() - started < 4
    it = iter(loader(Squares(4)))
    pids = [w.process.pid for w in it._workers]
    list(it)
    assert not alive(pids)
    assert list(it) == []
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        list(loader(Squares(4)))
    if files:
        assert len(os.listdir("/proc/self/fd")) <= files


def test_workers_beside_threads_of_the_pool():
    before = pynn.get_num_threads()
    pynn.set_num_threads(2)
    (pynn.rand(300, 300) @ pynn.rand(300, 300)).sum()  # threads exist now, and do not in a fork
    got = list(
        loader(Of(lambda i: (pynn.ones(300, 300) @ pynn.ones(300, 300))[0, 0].item(), 4), batch_size=None)
    )
    assert got == [300.0] * 4
    pynn.set_num_threads(before)


# ---- whole programs ----


def program(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return [sys.executable, str(path)], {**os.environ, "PYTHONPATH": os.path.dirname(pynn.__path__[0])}


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_every_start_method(tmp_path, method):
    command, env = program(
        tmp_path,
        f"""
        import os, pynn
        from pynn.utils.data import DataLoader, Dataset
        class Squares(Dataset):
            def __len__(self): return 5
            def __getitem__(self, i): return pynn.tensor(i * i)
        def init(i): os.write(1, b"init %d\\n" % i)  # in one piece: two workers write to the same pipe
        if __name__ == "__main__":
            loader = DataLoader(Squares(), 2, num_workers=2, multiprocessing_context={method!r}, worker_init_fn=init)
            print([b.tolist() for b in loader])
        """,
    )
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert "[[0, 1], [4, 9], [16]]" in done.stdout and "init 1" in done.stdout and done.stderr == ""


def test_ctrl_c(tmp_path):
    command, env = program(
        tmp_path,
        """
        import time, os, pynn
        from pynn.utils.data import DataLoader, Dataset
        class Slow(Dataset):
            def __len__(self): return 50
            def __getitem__(self, i):
                os.write(1, b"pid %d\\n" % os.getpid())  # in one piece, as above
                time.sleep(30 if i > 1 else 0)
                return i
        for b in DataLoader(Slow(), 1, num_workers=2, multiprocessing_context="fork"):
            print("got", int(b), flush=True)
        """,
    )
    child = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell may ignore it
    )
    lines = [child.stdout.readline() for _ in range(6)]
    pids = {int(line.split()[1]) for line in lines if line.startswith("pid")}
    time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert (
        child.returncode == -signal.SIGINT
        and err.count("Traceback") == 1
        and err.endswith("KeyboardInterrupt\n")
    )
    assert end_soon(pids)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc")
def test_workers_end_with_a_killed_parent(tmp_path):
    command, env = program(
        tmp_path,
        """
        import time, os, pynn
        from pynn.utils.data import DataLoader, TensorDataset
        it = iter(DataLoader(TensorDataset(pynn.arange(50)), 1, num_workers=2, multiprocessing_context="fork"))
        next(it)
        print(*[w.process.pid for w in it._workers], flush=True)
        time.sleep(60)
        """,
    )
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in child.stdout.readline().split()]
    child.kill()
    child.wait()
    child.stdout.close()
    assert end_soon(pids)


def test_a_loader_left_open_at_exit(tmp_path):
    command, env = program(
        tmp_path,
        """
        import pynn
        from pynn.utils.data import DataLoader, TensorDataset
        loader = DataLoader(
            TensorDataset(pynn.arange(50)), 1, num_workers=2, multiprocessing_context="fork", persistent_workers=True
        )
        it = iter(loader)
        next(it)
        """,
    )
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
