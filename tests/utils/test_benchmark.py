"""utils.benchmark: what Timer runs, and what Measurement and Compare print of given times."""

import pickle

import pytest

import pynn
from pynn.utils import benchmark
from pynn.utils.benchmark import Compare, Language, Measurement, TaskSpec, Timer


def measurement(times, runs=1, **names):
    return Measurement(runs, times, TaskSpec(names.pop("stmt", "f(x)"), "pass", **names))


def test_timer_runs_the_statement():
    calls, threads = [], pynn.get_num_threads()
    timer = Timer("f(x)", setup="x = torch.ones(2)", globals={"f": calls.append}, label="name", num_threads=2)
    m = timer.timeit(5)
    assert len(calls) == 2 + 5 and isinstance(calls[0], pynn.Tensor) and pynn.get_num_threads() == threads
    assert m.number_per_run == 5 and len(m.times) == 1 and m.mean == m.median > 0 and m.iqr == 0
    assert m.num_threads == 2 and m.title == "name" and m.stmt == "f(x)"
    seen = []
    m = timer.blocked_autorange(callback=lambda n, t: seen.append((n, t)), min_run_time=0.002)
    assert sum(m.raw_times) >= 0.002 and seen == [(m.number_per_run, t) for t in m.raw_times]
    assert timer.adaptive_autorange(max_run_time=0.02).median > 0
    several = Timer("\n    y = x\n    y = y + 1", "\n    x = 1")
    assert several.timeit(1).stmt == "y = x\ny = y + 1"
    with pytest.raises(NotImplementedError, match="only Python"):
        Timer("f();", language=Language.CPP)
    with pytest.raises(NameError):
        Timer("unknown").timeit(1)


def test_measurement():
    m = measurement([2e-5, 4e-5, 3e-5, 1e-5, 9e-5], runs=10, sub_label="small", description="ours")
    assert m.median == pytest.approx(3e-6) and m.mean == pytest.approx(3.8e-6) and m.has_warnings
    assert m.iqr == pytest.approx(2e-6) and not m.meets_confidence() and m.meets_confidence(0.7)
    lines = repr(m).splitlines()
    assert lines[1:] == [
        "f(x): small",
        "ours",
        "  Median: 3.00 us",
        "  IQR:    2.00 us (2.00 to 4.00)",
        "  5 measurements, 10 runs per measurement, 1 thread",
        "  WARNING: Interquartile range is 66.7% of the median measurement.",
        "           This suggests significant environmental influence.",
    ]
    assert repr(measurement([0.25])).splitlines()[2:] == ["  250.00 ms", "  1 measurement, 1 runs , 1 thread"]
    assert pickle.loads(pickle.dumps(m)) == m
    (merged,) = Measurement.merge([m, m])
    assert merged.number_per_run == 1 and merged.times == m.times * 2
    assert measurement([1e-3] * 8).significant_figures == 4 and m.significant_figures == 1
    with pytest.raises(AttributeError):
        m.unknown


def test_numbers():
    assert benchmark.select_unit(2e-7) == ("ns", 1e-9) and benchmark.select_unit(30) == ("s", 1)
    assert benchmark.trim_sigfig(3.14159, 2) == 3.1 and benchmark.trim_sigfig(0, 2) == 0
    assert benchmark.unit_to_english("us") == "microsecond"


def test_compare():
    table = Compare(
        [
            measurement([1.26e-6], label="add", sub_label="8x8", description="ours"),
            measurement([3e-5], label="add", sub_label="8x8", description="theirs"),
            measurement([2e-6], label="add", sub_label="64x64", description="ours"),
            measurement([1e-6], label="add", sub_label="8x8", description="ours", num_threads=2),
        ]
    )
    rows = [[cell.strip() for cell in line.split("|")] for line in str(table).splitlines()]
    assert rows[0][0].strip("[-]") == " add " and rows[1] == ["", "ours", "theirs"]
    assert rows[2][0].startswith("1 threads: ---") and rows[5][0].startswith("2 threads: ---")
    assert (
        rows[3] == ["8x8", "1.3", "30.0"]
        and rows[4] == ["64x64", "2.0", ""]
        and rows[6] == ["8x8", "1.0", ""]
    )
    assert rows[-1] == ["Times are in microseconds (us)."]
    with pytest.raises(ValueError, match="Measurement"):
        Compare([1.0])
