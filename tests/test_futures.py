"""Results that come later."""

import threading

import pytest

import pynn
from pynn.futures import Future, collect_all, wait_all


def test_results_and_errors():
    f = Future()
    assert not f.done()
    with pytest.raises(RuntimeError, match="not there yet"):
        f.value()
    f.set_result(3)
    assert f.done() and f.wait() == f.value() == 3
    with pytest.raises(RuntimeError, match="only be marked completed once"):
        f.set_result(4)
    g = Future()
    g.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        g.wait()
    with pytest.raises(AssertionError, match="exception is required"):
        Future().set_exception("x")
    assert pynn.Future is Future and pynn.futures.Future is Future


def test_callbacks_and_chains():
    f, seen = Future(), []
    f.add_done_callback(lambda done: seen.append(done.value()))
    g = f.then(lambda done: done.value() + 1).then(lambda done: done.value() * 2)
    bad = f.then(lambda done: 1 / 0)
    f.set_result(1)
    f.add_done_callback(lambda done: seen.append("now"))
    assert seen == [1, "now"] and g.wait() == 4
    with pytest.raises(ZeroDivisionError):
        bad.wait()


def test_another_thread_brings_it():
    futures = [Future() for _ in range(4)]
    threads = [threading.Thread(target=f.set_result, args=(i,)) for i, f in enumerate(futures)]
    for t in threads:
        t.start()
    assert wait_all(futures) == [0, 1, 2, 3] and collect_all(futures).wait() == futures
    assert collect_all([]).wait() == []
    for t in threads:
        t.join()
    broken = [Future(), Future()]
    broken[0].set_exception(KeyError("x"))
    broken[1].set_result(1)
    with pytest.raises(KeyError):
        wait_all(broken)
