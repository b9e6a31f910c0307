"""The profiler: events, nesting, averages, tables, traces and schedules."""

import gzip
import json
import threading

import pytest

import pynn
from pynn import nn
from pynn.autograd import profiler as old
from pynn.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    tensorboard_trace_handler,
)

X = pynn.rand(8, 8)


def work():
    with record_function("block"):
        y = X @ X
        with record_function("inner"):
            y = y + 1
    return y


def test_events_nest_and_add_up():
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
        work()
        work()
    events = prof.events()
    assert [e.name for e in events] == ["block", "matmul", "inner", "add"] * 2
    block, matmul, inner, add = events[:4]
    assert (
        block.cpu_children == [matmul, inner] and inner.cpu_children == [add] and matmul.cpu_parent is block
    )
    assert block.self_cpu_time_total == pytest.approx(
        block.cpu_time_total - matmul.cpu_time_total - inner.cpu_time_total
    )
    assert matmul.input_shapes == [[8, 8], [8, 8]] and 0 < add.cpu_time_total <= inner.cpu_time_total
    averages = {e.key: e for e in prof.key_averages()}
    assert averages["block"].count == 2 and averages["add"].cpu_time == averages["add"].cpu_time_total / 2
    total = prof.key_averages().total_average()
    assert total.self_cpu_time_total == pytest.approx(
        sum(e.cpu_time_total for e in events if e.cpu_parent is None)
    )


def test_the_backward_pass_and_in_place_ops():
    net = nn.Linear(8, 2)
    with old.profile() as prof:
        loss = net(X).relu_().sum()
        loss.backward()
        X.clone().add_(1).mul_(2)
    names = [e.name for e in prof.function_events]
    for name in ("linear", "relu", "sum", "SumBackward0", "AccumulateGrad", "add", "mul", "clone"):
        assert any(found.startswith(name) for found in names), (name, names)
    assert prof.self_cpu_time_total > 0 and "linear" in str(prof)


def test_nothing_is_recorded_outside():
    work()
    with profile() as prof:
        pass
    work()
    assert prof.events() == [] and not pynn._C._profiler_on()
    with old.profile(enabled=False) as prof:
        work()
    with pytest.raises(RuntimeError, match="didn't finish"):
        prof.table()
    with profile():
        with pytest.raises(RuntimeError, match="running already"):
            profile().start()
    assert not pynn._C._profiler_on()
    with pytest.raises(ZeroDivisionError):
        with profile():
            1 / 0
    assert not pynn._C._profiler_on()


def test_table():
    with profile(record_shapes=True) as prof:
        work()
    text = prof.key_averages(group_by_input_shape=True).table(sort_by="self_cpu_time_total", row_limit=2)
    lines = text.splitlines()
    assert "Name" in lines[1] and "# of Calls" in lines[1] and "Input Shapes" in lines[1]
    assert (
        len(lines) == 7
        and lines[-2].startswith("Self CPU time total:")
        or lines[-1].startswith("Self CPU time total:")
    )
    assert "block" in prof.key_averages().table(row_limit=-1, header="title")
    times = [e.cpu_time_total for e in prof.key_averages()]
    assert max(times) == {e.key: e for e in prof.key_averages()}["block"].cpu_time_total


def test_chrome_trace(tmp_path):
    with profile(record_shapes=True) as prof:
        work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    prof.export_chrome_trace(tmp_path / "a.json")
    trace = json.loads((tmp_path / "a.json").read_text())["traceEvents"]
    assert len(trace) == 8 and len({e["tid"] for e in trace}) == 2
    block = trace[0]
    assert block["name"] == "block" and block["ph"] == "X" and block["cat"] == "user_annotation"
    assert all(e["ts"] >= block["ts"] and e["dur"] >= 0 for e in trace)
    prof.export_chrome_trace(str(tmp_path / "b.json.gz"))
    assert json.loads(gzip.decompress((tmp_path / "b.json.gz").read_bytes()))["traceEvents"] == trace


def test_steps(tmp_path):
    saved = []

    def ready(prof):
        saved.append((prof.step_num, [e.name for e in prof.events()]))

    with profile(schedule=schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=ready) as prof:
        for _ in range(12):
            X + 1
            prof.step()
    assert saved == [
        (4, ["ProfilerStep#2", "add", "ProfilerStep#3", "add"]),
        (8, ["ProfilerStep#6", "add", "ProfilerStep#7", "add"]),
    ]
    with profile(on_trace_ready=tensorboard_trace_handler(str(tmp_path))):
        work()
    (path,) = tmp_path.iterdir()
    assert path.name.endswith(".pt.trace.json") and "block" in path.read_text()
    picks = [schedule(wait=0, warmup=0, active=1, skip_first=1)(i) for i in range(3)]
    assert picks == [ProfilerAction.NONE, ProfilerAction.RECORD_AND_SAVE, ProfilerAction.RECORD_AND_SAVE]


def test_record_function_as_a_decorator():
    @record_function("named")
    def f():
        return X + 1

    f()
    with profile() as prof:
        f()
    assert [e.name for e in prof.events()] == ["named", "add"]
