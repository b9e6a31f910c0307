"""Whole objects in files: written by pickle's rules, read only where the reader says that the file is trusted."""

import collections
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from helpers import run_python

import pynn
from pynn import nn

Pair = collections.namedtuple("Pair", "x y")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.tied = self.first
        self.act = nn.functional.relu
        self.register_buffer("scale", pynn.ones(4))
        self.options = {"kinds": {1, 2}, "pair": Pair(1, pynn.ones(2))}

    def forward(self, x):
        return self.act(self.first(x)) * self.scale


class Stateful:
    def __init__(self):
        self.made = "by init"

    def __getstate__(self):
        return {"kept": 1}

    def __setstate__(self, state):
        self.read = state["kept"] + 1


class Slotted:
    __slots__ = ("a",)


def again(obj, f=None):
    f = io.BytesIO() if f is None else f
    pynn.save(obj, f)
    if isinstance(f, io.BytesIO):
        f.seek(0)
    return pynn.load(f, weights_only=False)


def same(a, b):
    return all(
        pynn.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.bin", None])
def test_a_module(tmp_path, name):
    net = Net()
    got = again(net, tmp_path / name if name else None)
    assert type(got) is Net and same(net, got) and got.tied is got.first and got.training
    assert got.options["kinds"] == {1, 2} and type(got.options["pair"]) is Pair
    x = pynn.randn(2, 3)
    assert pynn.equal(got(x), net(x))
    got(x).sum().backward()
    optimizer = pynn.optim.SGD(got.parameters(), lr=0.1)
    optimizer.step()
    assert not pynn.equal(got.first.weight, net.first.weight)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)),
        lambda: nn.LSTM(3, 4, 2, bidirectional=True),
        lambda: nn.TransformerEncoderLayer(8, 2),
        lambda: nn.MultiheadAttention(8, 2),
        lambda: nn.ModuleDict(
            {"a": nn.ModuleList([nn.Linear(2, 2)]), "p": nn.ParameterList([nn.Parameter(pynn.ones(2))])}
        ),
        lambda: nn.Embedding(5, 3),
    ],
)
def test_layers(make):
    net = make().eval()
    got = again(net)
    assert type(got) is type(net) and same(net, got) and repr(got) == repr(net) and not got.training


def test_an_optimizer_and_its_model_stay_together():
    net = Net()
    optimizer = pynn.optim.Adam(net.parameters(), lr=0.5)
    net(pynn.ones(1, 3)).sum().backward()
    optimizer.step()
    got, other = again([net, optimizer])
    assert other.param_groups[0]["params"][0] is got.first.weight and other.param_groups[0]["lr"] == 0.5
    state = other.state[got.first.weight]
    assert pynn.equal(state["exp_avg"], optimizer.state[net.first.weight]["exp_avg"])


def test_objects():
    loop = Stateful.__new__(Stateful)
    assert again(loop).read == 2
    slotted = Slotted()
    slotted.a = [pynn.ones(2)]
    assert again(slotted).a[0].tolist() == [1, 1]
    found = again(
        {
            "array": np.arange(6.0).reshape(2, 3),
            "number": np.float64(2.5),
            "set": {1, "a"},
            "frozen": frozenset({3}),
            "bytes": b"\x00\xff",
            "default": collections.defaultdict(list, {"a": [1]}),
            "counter": collections.Counter("aab"),
            "range": range(2, 9, 3),
            "slice": slice(1, None),
            "path": Path("a/b"),
            "class": nn.Linear,
            "function": np.mean,
            "op": pynn.relu,
            "method": "x".join,
            ("key", frozenset({1})): pynn.bfloat16,
        }
    )
    assert (found["array"] == np.arange(6.0).reshape(2, 3)).all() and found["number"] == 2.5
    assert found["set"] == {1, "a"} and found["frozen"] == frozenset({3}) and found["bytes"] == b"\x00\xff"
    assert found["default"]["new"] == [] and found["counter"]["a"] == 2 and found["range"] == range(2, 9, 3)
    assert found["slice"] == slice(1, None) and found["path"] == Path("a/b") and found["class"] is nn.Linear
    assert found["function"] is np.mean and found["op"](pynn.tensor(-1.0)).item() == 0
    assert found["method"]("ab") == "axb" and found["key", frozenset({1})] is pynn.bfloat16


def test_an_object_that_holds_itself():
    net = nn.Linear(1, 1)
    net.parts = {"me": [net]}
    got = again(net)
    assert got.parts["me"][0] is got


def test_memory_is_shared_again():
    base = pynn.arange(6.0)
    got = again(Pair(base, base[2:4]))
    got.x[2] = 9
    assert got.y.tolist() == [9, 3]


def test_map_location_and_mmap(tmp_path):
    pynn.save(Net(), tmp_path / "x.pt")
    seen = []
    got = pynn.load(tmp_path / "x.pt", lambda t, place: seen.append(place), weights_only=False, mmap=True)
    assert type(got) is Net and set(seen) == {"cpu"}


def test_what_is_not_trusted_is_refused(tmp_path):
    pynn.save(Net(), tmp_path / "x.pt")
    for options in ({}, {"weights_only": True}, {"weights_only": None}):
        with pytest.raises(pickle.UnpicklingError, match="Net is refused"):
            pynn.load(tmp_path / "x.pt", **options)


def test_no_code_runs_unless_it_is_trusted(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    pynn.save([Evil()], tmp_path / "x.pt")
    with pytest.raises(pickle.UnpicklingError):
        pynn.load(tmp_path / "x.pt")
    assert not (tmp_path / "ran").exists()
    pynn.load(tmp_path / "x.pt", weights_only=False)
    assert (tmp_path / "ran").exists()


def test_plain_state_needs_no_pickle(tmp_path):
    for name in ("x.bin", "x.pt"):
        pynn.save(Net().state_dict(), tmp_path / name)
        assert list(pynn.load(tmp_path / name)) == list(Net().state_dict())


def test_what_cannot_be_pickled_is_named(tmp_path):
    class Local:
        pass

    for bad, words in ((lambda: 1, "lambda"), (Local(), "Local"), (open(__file__), "TextIOWrapper")):
        with pytest.raises(pickle.PicklingError, match=rf"save: .*{words}.* at obj\['a'\]"):
            pynn.save({"a": bad}, tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_is_missing_is_named(tmp_path):
    code = f"""
import pynn
class Gone(pynn.nn.Module): pass
pynn.save(Gone(), {str(tmp_path / "x.pt")!r})
"""
    run_python(code)
    with pytest.raises(RuntimeError, match="Gone"):
        pynn.load(tmp_path / "x.pt", weights_only=False)


def test_classes_that_are_said_to_be_safe(tmp_path):
    net = nn.TransformerEncoderLayer(8, 2).eval()
    pynn.save(net, tmp_path / "x.pt")
    safe = [type(m) for m in net.modules()] + [nn.functional.relu]
    with pynn.serialization.safe_globals(safe):
        got = pynn.load(tmp_path / "x.pt")
    x = pynn.randn(3, 2, 8)
    assert type(got) is type(net) and got.activation is nn.functional.relu and pynn.equal(got(x), net(x))
    with pynn.serialization.safe_globals(safe[1:]), pytest.raises(pickle.UnpicklingError, match="refused"):
        pynn.load(tmp_path / "x.pt")


def test_layers_are_found_in_pytorchs_files():
    from importlib import import_module

    for module, name in (
        ("activation", "MultiheadAttention"),
        ("container", "ParameterList"),
        ("loss", "CTCLoss"),
    ):
        assert getattr(import_module(f"pynn.nn.modules.{module}"), name) is getattr(nn, name)
    with pytest.raises(AttributeError, match="Nonsense"):
        import_module("pynn.nn.modules.loss").Nonsense
