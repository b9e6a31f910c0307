"""torch._foreach_* beside PyTorch."""

import pytest

import pynn

torch = pytest.importorskip("torch")

NAMES = [n for n in dir(torch) if n.startswith("_foreach_")]
MISSING = {"_foreach_mm", "_foreach_powsum"}  # internals that nothing public calls


def lists(lib):
    return [
        [lib.tensor(v) for v in row] for row in ([[0.5, 0.25], 0.75], [[2.0, 0.5], 3.0], [[0.25, 1.5], 0.5])
    ]


def calls(name):
    stem = name.removeprefix("_foreach_").rstrip("_")
    if stem in ("add", "sub"):
        return [(1, {}), ([2.0, 3.0], {}), ("b", {}), ("b", {"alpha": 0.5})]
    if stem in ("mul", "div", "pow", "clamp_min", "clamp_max", "maximum", "minimum"):
        return [(0.5, {}), ([2.0, 0.4], {}), ("b", {})]
    if stem == "lerp":
        return [("b", 0.25, {}), ("b", "c", {}), ("b", [0.25, 0.75], {})]
    if stem in ("addcmul", "addcdiv"):
        return [("b", "c", {}), ("b", "c", {"value": -0.5}), ("b", "c", [1.0, 2.0], {}), ("b", "c", "v", {})]
    if stem == "copy":
        return [("b", {})]
    if stem == "norm":
        return [({},), (1, {}), (float("inf"), {})]
    return [({},)]


@pytest.mark.parametrize("name", sorted(set(NAMES) - MISSING))
def test_foreach(name):
    for *args, kwargs in calls(name):
        results = []
        for lib in (pynn, torch):
            a, b, c = lists(lib)
            given = {"b": b, "c": c, "v": lib.tensor([1.0, 2.0])}
            out = getattr(lib, name)(a, *(given[x] if isinstance(x, str) else x for x in args), **kwargs)
            assert type(out) is (list if name.endswith("_") else tuple)
            assert (out[0] is a[0]) == name.endswith("_")
            results.append([x.tolist() for x in out])
        (first, first0), (second, second0) = results
        assert first == pytest.approx(second, rel=1e-5) and first0 == pytest.approx(second0, rel=1e-5), (
            args,
            kwargs,
        )


def test_foreach_errors():
    x = [pynn.ones(2), pynn.ones(3)]
    for call, error in (
        (lambda: pynn._foreach_add([], 1), RuntimeError),
        (lambda: pynn._foreach_mul(x, [1.0]), RuntimeError),
        (lambda: pynn._foreach_mul(x, x, beta=1), TypeError),
        (lambda: pynn._foreach_nothing(x), AttributeError),
    ):
        with pytest.raises(error):
            call()
    assert [y.tolist() for y in pynn._foreach_pow(2.0, x)] == [[2.0] * 2, [2.0] * 3]
