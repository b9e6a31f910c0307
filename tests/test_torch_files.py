"""Files of torch.save: what is read, and what hostile and broken ones cannot do.

The files are made here, opcode by opcode, so that no PyTorch is needed; tests/parity compares with real ones.
"""

import collections
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import textwrap
import time
import zipfile

import numpy as np
import pytest

import pynn
from pynn import nn

# ---- building blocks ----


def zipped(pkl, storages=None, name="archive", extra=(), compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as z:
        z.writestr(f"{name}/data.pkl", pkl)
        for key, data in (storages or {}).items():
            z.writestr(f"{name}/data/{key}", data)
        for path, data in extra:
            z.writestr(path, data)
        z.writestr(f"{name}/version", b"3\n")
    return out.getvalue()


def glob(module, name):
    return f"c{module}\n{name}\n".encode()


def value(x):
    """The opcodes of a plain value."""
    return pickle.dumps(x, 2)[2:-1]


def call(module, name, *args):
    """The opcodes of a call; an argument is opcodes already."""
    return glob(module, name) + b"(" + b"".join(args) + b"tR"


def storage(key="0", count=4, kind="FloatStorage", location="cpu"):
    parts = value("storage"), glob("torch", kind), value(key), value(location), value(count)
    return b"(" + b"".join(parts) + b"tQ"


def tensor(store=None, offset=0, size=(4,), stride=(1,), requires_grad=False):
    hooks = glob("collections", "OrderedDict") + b")R"
    parts = store or storage(), value(offset), value(size), value(stride), value(requires_grad), hooks
    return call("torch._utils", "_rebuild_tensor_v2", *parts)


def pkl(body):
    return b"\x80\x02" + body + b"."


FOUR = np.arange(4, dtype=np.float32).tobytes()


def legacy(body, storages=None, magic=0x1950A86A20F9469CFC6C, version=1001, system=None):
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}} if system is None else system
    storages = {} if storages is None else storages
    out = b"".join(pickle.dumps(x, 2) for x in (magic, version, system)) + pkl(body)
    out += pickle.dumps(sorted(storages), 2)
    for key in sorted(storages):
        count, data = storages[key]
        out += struct.pack("<q", count) + data
    return out


def load(data, **kwargs):
    return pynn.load(io.BytesIO(data), **kwargs)


def both(body, storages=None):
    """The same object in both formats."""
    raw = {key: data for key, (_, data) in (storages or {}).items()}
    return [zipped(pkl(body), raw), legacy(body, storages)]


# ---- what is read ----


@pytest.mark.parametrize("form", [0, 1])
def test_tensors_share_storage(form):
    body = (
        b"]("
        + tensor()
        + tensor(offset=1, size=(2,), stride=(2,))
        + tensor(size=(2, 2), stride=(1, 2))
        + b"e"
    )
    a, b, c = load(both(body, {"0": (4, FOUR)})[form])
    assert a.tolist() == [0, 1, 2, 3] and b.tolist() == [1, 3] and c.tolist() == [[0, 2], [1, 3]]
    a[1] = 9
    assert b.tolist() == [9, 3] and c.stride() == (1, 2)


@pytest.mark.parametrize("form", [0, 1])
def test_plain_values(form):
    for x in [
        None,
        True,
        -1,
        2**70,
        1.5,
        "text \u00fc",
        b"bytes",
        [1, [2]],
        (1, (2, 3)),
        {"a": 1, 2: [3], (4, "b"): None},
        {1, 2},
        collections.OrderedDict(a=1),
        collections.Counter("abb"),
        bytearray(b"xy"),
        complex(1, 2),
        frozenset([1]),
    ]:
        for protocol in range(2, 6):
            data = pickle.dumps(x, protocol)
            got = load(zipped(data) if form == 0 else legacy(data[2:-1]))
            assert got == x and type(got) is type(x), (x, protocol)


def test_numpy_arrays_and_scalars():
    for x in [
        np.arange(6.0).reshape(2, 3),
        np.array([True]),
        np.array(["ab", "c"]),
        np.asfortranarray(np.ones((2, 3))),
    ]:
        for protocol in range(2, 6):
            got = load(zipped(pickle.dumps(x, protocol)))
            assert (
                got.dtype == x.dtype and (got == x).all() and got.flags.f_contiguous == x.flags.f_contiguous
            )
    assert load(zipped(pickle.dumps(np.float32(1.5), 2))) == np.float32(1.5)


@pytest.mark.parametrize(
    "kind, dtype",
    [
        ("DoubleStorage", "float64"),
        ("HalfStorage", "float16"),
        ("BFloat16Storage", "bfloat16"),
        ("LongStorage", "int64"),
    ]
    + [("IntStorage", "int32"), ("ShortStorage", "int16"), ("CharStorage", "int8"), ("ByteStorage", "uint8")]
    + [("BoolStorage", "bool"), ("ComplexFloatStorage", "complex64"), ("ComplexDoubleStorage", "complex128")],
)
@pytest.mark.parametrize("form", [0, 1])
def test_every_dtype(kind, dtype, form):
    want = getattr(pynn, dtype)
    data = bytes(2 * want.itemsize)
    got = load(both(tensor(storage(count=2, kind=kind), size=(2,)), {"0": (2, data)})[form])
    assert got.dtype == want and got.shape == (2,)


def test_parameters_metadata_and_attributes():
    parameter = call(
        "torch._utils", "_rebuild_parameter", tensor(), b"\x88", glob("collections", "OrderedDict") + b")R"
    )
    body = glob("collections", "OrderedDict") + b")R(" + value("w") + parameter + b"u"
    body += value({"_metadata": {"": {"version": 1}}}) + b"b"
    got = load(zipped(pkl(body), {"0": FOUR}))
    assert type(got["w"]) is nn.Parameter and got["w"].requires_grad and got["w"].is_leaf
    assert got._metadata == {"": {"version": 1}}


def test_map_location():
    body = tensor(storage(location="cuda:0"))
    for data in both(body, {"0": (4, FOUR)}):
        if pynn.cuda.is_available():
            assert load(data).is_cuda
        else:
            with pytest.raises(RuntimeError, match="cuda:0.*map_location"):
                load(data)
        for where in ("cpu", pynn.device("cpu"), {"cuda:0": "cpu"}, lambda t, place: t):
            assert load(data, map_location=where).tolist() == [0, 1, 2, 3]
        seen = []
        load(data, map_location=lambda t, place, seen=seen: seen.append(place) or t)
        assert seen == ["cuda:0"]
        assert load(data, map_location="meta").is_meta


def test_mmap_and_weights_only(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(zipped(pkl(tensor()), {"0": FOUR}))
    before = path.read_bytes()
    for kwargs in ({"mmap": True}, {"weights_only": False}, {"mmap": True, "map_location": "cpu"}):
        got = pynn.load(path, **kwargs)
        assert got.tolist() == [0, 1, 2, 3]
        got.fill_(7)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="path"):
        load(before, mmap=True)


def test_safe_globals():
    class Config:
        pass

    Config.__module__, Config.__qualname__ = "their_program", "Config"
    body = glob("their_program", "Config") + b")\x81" + value({"lr": 0.1}) + b"b"
    data = zipped(pkl(body))
    with pytest.raises(pickle.UnpicklingError, match="their_program.Config"):
        load(data)
    with pynn.serialization.safe_globals([Config]):
        assert pynn.serialization.get_safe_globals() == [Config]
        assert load(data).lr == 0.1
    with pytest.raises(RuntimeError, match="their_program.Config"):
        load(data)


# ---- what is written ----


def test_pt_files_round_trip(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    optimizer = pynn.optim.Adam(model.parameters())
    model(pynn.rand(2, 3)).sum().backward()
    optimizer.step()
    base = pynn.arange(12.0)
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [base, base[::2], base.view(3, 4).t()],
        "parameter": nn.Parameter(pynn.ones(2)),
        "plain": [
            1,
            2**40,
            -(10**300),
            1.5,
            float("inf"),
            True,
            None,
            "\u00fc",
            3 + 4j,
            (1, (2,)),
            pynn.float16,
        ],
        "more": [
            pynn.Size([2]),
            pynn.device("cpu"),
            {(1, "a"): 2},
            pynn.empty(0, 3),
            pynn.tensor(3, dtype=pynn.int8),
        ],
        "half": pynn.ones(2, dtype=pynn.bfloat16),
    }
    for name in ("x.pt", "x.pth", "X.PT", "x.pth.tar"):
        path = tmp_path / name
        pynn.save(state, path)
        assert zipfile.ZipFile(path).testzip() is None
        for mmap in (False, True):
            got = pynn.load(path, mmap=mmap)
            assert (
                got["model"]._metadata == state["model"]._metadata
                and type(got["model"]) is collections.OrderedDict
            )
            assert list(got["model"]) == list(state["model"])
            assert (got["model"]["0.weight"] == model[0].weight).all() and got["plain"] == state["plain"]
            assert type(got["parameter"]) is nn.Parameter and got["half"].dtype == pynn.bfloat16
            assert (
                got["more"][0] == (2,)
                and got["more"][3].shape == (0, 3)
                and got["more"][4].dtype == pynn.int8
            )
            views = got["views"]
            views[0][0] = 99
            assert views[1][0] == 99 and views[2][0, 0] == 99 and views[2].stride() == (1, 4)
            pynn.optim.Adam(model.parameters()).load_state_dict(got["optimizer"])
    pynn.save(state, tmp_path / "x.other")
    assert (tmp_path / "x.other").read_bytes()[:2] != b"PK"


def test_a_part_of_a_pt_file_takes_its_storage_along(tmp_path):
    base = pynn.arange(6.0)
    pynn.save(base[2:4], tmp_path / "x.pt")
    got = pynn.load(tmp_path / "x.pt")
    assert got.tolist() == [2, 3] and got.storage_offset() == 2


def test_failed_saves_leave_the_old_file(tmp_path):
    path = tmp_path / "x.pt"
    pynn.save([1], path)
    for bad in ({"f": lambda: 1}, [(i for i in "ab")], pynn.ones(1, device="meta")):
        with pytest.raises((TypeError, pickle.PicklingError), match="save: "):
            pynn.save(bad, path)
    cycle = []
    cycle.append(cycle)
    with pytest.raises(ValueError, match="a cycle"):
        pynn.save(cycle, path)
    assert pynn.load(path) == [1] and os.listdir(tmp_path) == ["x.pt"]


# ---- hostile files ----

HUGE = 2**40
CALLS = [
    glob("posix", "system") + value("touch ran") + b"\x85R",
    glob("nt", "system") + value("touch ran") + b"\x85R",
    glob("os", "system") + value("touch ran") + b"\x85R",
    glob("__builtin__", "eval") + value("1") + b"\x85R",
    glob("builtins", "exec") + value("1") + b"\x85R",
    glob("builtins", "getattr") + value(("a", "b")) + b"R",
    glob("builtins", "open") + value(("ran", "w")) + b"R",
    glob("subprocess", "Popen") + value((["touch", "ran"],)) + b"R",
    glob("importlib", "import_module") + value("os") + b"\x85R",
    glob("functools", "partial") + b")R",
    glob("operator", "attrgetter") + value("a") + b"\x85R",
    glob("pickle", "loads") + value(b"N.") + b"\x85R",
    glob("torch.hub", "load") + b")R",
    glob("torch", "load") + value("x") + b"\x85R",
    glob("torch", "os.system") + b")R",
    glob("torch.serialization", "os.system") + b")R",
    glob("pynn.cli", "main") + b")R",
    glob("collections.abc", "Callable") + b")R",
    value("posix") + value("system") + b"\x93" + value("touch ran") + b"\x85R",
    b"(" + value("touch ran") + b"iposix\nsystem\n",  # INST
    b"(" + glob("posix", "system") + value("touch ran") + b"o",  # OBJ
    b"\x82\x01",  # EXT1
    b"P0\n",  # PERSID
    value("posix.system") + b"Q",
    value(("module", "posix", "system", "cpu", 0)) + b"Q",
    value("text") + value(("x",)) + b"R",  # a value that is no function
    tensor() + b")R",
    b"}" + value({"__class__": 1}) + b"b",
    b"]" + value({"x": 1}) + b"b",
    glob("torch._utils", "_rebuild_qtensor") + b")R",
    glob("torch", "Tensor") + value((HUGE,)) + b"R",
    glob("torch", "FloatStorage") + value((HUGE,)) + b"R",
    glob("torch.storage", "UntypedStorage") + value((HUGE,)) + b"R",
    glob("numpy", "ndarray") + value(((HUGE,),)) + b"R",
    glob("builtins", "list") + b")R",
    glob("collections", "defaultdict") + glob("posix", "system") + b"\x85R",
    glob("collections", "defaultdict") + glob("builtins", "list") + b"\x85R" + value("x") + b"\x85R",
    call("numpy", "dtype", value("O8"), b"\x89", b"\x88"),
    call("numpy", "dtype", value("V99999"), b"\x89", b"\x88"),
    call("numpy", "dtype", value("f8,O"), b"\x89", b"\x88"),
    call("numpy", "dtype", value("U2"), b"\x89", b"\x88")
    + value((3, "<", None, None, None, HUGE, 4, 8))
    + b"b"
    + b"R",
    call("numpy", "dtype", value("f8"), b"\x89", b"\x88")
    + value((3, "|", None, ("a",), {"a": 1}, 8, 8, 63))
    + b"b",
]
BOMBS = [
    glob("builtins", "bytearray") + value(HUGE) + b"\x85R",
    glob("builtins", "bytearray") + value([3.5]) + b"\x85R",
    call("_codecs", "encode", value("x"), value("zlib")),
    glob("builtins", "set") + call("builtins", "range", value(HUGE)) + b"\x85R",
    glob("builtins", "set") + value(HUGE) + b"\x85R",
    b"N\x72\xff\xff\xff\xff\x6a\xff\xff\xff\xfe",  # a memo index of four bytes
    b"\x8d" + struct.pack("<Q", HUGE),  # text, bytes and numbers of huge length
    b"\x8e" + struct.pack("<Q", HUGE),
    b"\x96" + struct.pack("<Q", HUGE),
    b"X" + struct.pack("<I", 2**32 - 1),
    b"\x8b" + struct.pack("<i", 2**31 - 1),
    b"\x8b" + struct.pack("<i", -1),
    b"T" + struct.pack("<i", -5),
    b"I" + b"9" * 100_000 + b"\n",
    b"L" + b"9" * 100_000 + b"L\n",
    b"}" + b")" + b"\x85" * 200_000 + b"Ns",  # a deep tuple as a key
    b"}" + b")" + b"2\x86" * 60 + b"Ns",  # a key of 2**60 parts
    b"\x8f(" + b")" + b"2\x86" * 60 + b"\x90",
    b"(" + b")" + b"2\x86" * 60 + b"\x91",
    b")" + b"2\x86" * 60 + b"Q",  # and as a persistent id
    glob("torch", "Size") + b"](" + b")" + b"2\x86" * 60 + b"e\x85R",
    b")" + b"2\x86" * 60 + b")R",
    glob("collections", "OrderedDict") + b"](" + b")" + b"2\x86" * 60 + b"e\x85R",
    value({"a": 1}) + b"(" + value("b") + b"u",
    b"0" * 3,
    b"t",
    b"\x86",
    b"u",
    b"h\x05",
    b"g999999999999\n",
    b"((((",
    b"NN",
    b"",
]
TENSORS = [
    tensor(storage(count=HUGE)),
    tensor(storage(count=-1)),
    tensor(storage(count=3)),
    tensor(storage(count=2.5)),
    tensor(storage(kind="DoubleStorage")),
    tensor(storage(key="missing")),
    tensor(storage(key="../data.pkl")),
    tensor(storage(key="/etc/passwd")),
    tensor(storage(key=None)),
    tensor(storage(location=3)),
    tensor(size=(5,)),
    tensor(size=(HUGE,)),
    tensor(size=(-1,)),
    tensor(size=(4,), stride=(-1,)),
    tensor(offset=1),
    tensor(offset=-1),
    tensor(offset=2**63),
    tensor(size=(2, 2), stride=(1,)),
    tensor(size=(2**33, 2**33), stride=(0, 0)),
    tensor(size=(1,) * 65, stride=(1,) * 65),
    tensor(size=("4",)),
    tensor(size="abcd"),
    tensor(store=b"N"),
    b"](" + tensor() + tensor(storage(count=2), size=(2,)) + b"e",  # one storage, two sizes
    call("torch._utils", "_rebuild_parameter", value([1]), b"\x88", b"N"),
    call(
        "torch._utils",
        "_rebuild_tensor_v3",
        storage(),
        value(0),
        value((4,)),
        value((1,)),
        b"\x89",
        b"N",
        value("x"),
    ),
    call("torch", "device", value("nonsense")),
    call("torch", "device", value("cpu"), value("x")),
    call("torch", "Size", value([HUGE * 2**30])),
]


@pytest.mark.parametrize("body", CALLS + BOMBS + TENSORS, ids=lambda body: repr(body[:24]))
def test_hostile_pickles_are_refused(body, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    for data in both(body, {"0": (4, FOUR)}):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)) as error:
            load(data)
        assert len(str(error.value)) < 1000 and not isinstance(error.value, pynn.OutOfMemoryError)
    assert time.monotonic() - started < 60 and os.listdir(tmp_path) == []


@pytest.mark.parametrize("body", CALLS[:19], ids=lambda body: repr(body[:24]))
def test_the_refused_global_is_named(body):
    names = body.split(b"\n")[:2] if body[:1] == b"c" else [b"cposix", b"system"]
    full = (names[0][1:] + b"." + names[1]).decode().replace("__builtin__", "builtins")
    for data in both(body):
        with pytest.raises(pickle.UnpicklingError) as error:
            load(data)
        assert full in str(error.value)


def end_of(central_at, size, count):
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, size, central_at, 0)


def overlapping():
    """Many entries over the same bytes."""
    name, data = b"a/data.pkl", pkl(value("x" * 10_000))
    fields = struct.pack("<HHHHHIII", 20, 0, 0, 0, 33, 0, len(data), len(data))
    out = b"PK\x03\x04" + fields + struct.pack("<HH", len(name), 0) + name + data
    at, central = len(out), b""
    for i in range(1000):
        path = name if i == 0 else f"a/data/{i}".encode()
        central += (
            b"PK\x01\x02" + b"\x14\0" + fields + struct.pack("<HHHHHII", len(path), 0, 0, 0, 0, 0, 0) + path
        )
    return out + central + end_of(at, len(central), 1000)


def repeated():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z, pytest.warns(UserWarning):
        z.writestr("a/data.pkl", pkl(b"N"))
        z.writestr("a/data.pkl", pkl(b"N"))
    return out.getvalue()


def lying(change):
    """An archive whose directory says something else."""
    data = bytearray(zipped(pkl(tensor()), {"0": FOUR}))
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)  # of the storage
    change(data, at)
    return bytes(data)


def set_at(offset, layout, number):
    return lambda data, at: data.__setitem__(
        slice(at + offset, at + offset + struct.calcsize(layout)), struct.pack(layout, number)
    )


ARCHIVES = {
    "deflated": lambda: zipped(pkl(value("x" * 10_000_000)), compression=zipfile.ZIP_DEFLATED),
    "deflated storage": lambda: zipped(
        pkl(tensor()), {"0": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED
    ),
    "bzip2": lambda: zipped(pkl(b"N"), compression=zipfile.ZIP_BZIP2),
    "overlapping": overlapping,
    "repeated": repeated,
    "no pickle": lambda: zipped(pkl(b"N"), name="a/b"),
    "two pickles": lambda: zipped(pkl(b"N"), extra=[("other/data.pkl", pkl(b"N"))]),
    "script": lambda: zipped(pkl(b"N"), extra=[("archive/constants.pkl", pkl(b")"))]),
    "big endian": lambda: zipped(pkl(b"N"), extra=[("archive/byteorder", b"big")]),
    "climbing names": lambda: zipped(
        pkl(tensor()), name="../../x", extra=[("../evil", b"x"), ("/etc/evil", b"x")]
    ),
    "storage too large": lambda: lying(set_at(24, "<I", 2**31)),
    "storage beyond the end": lambda: lying(set_at(42, "<I", 2**31)),
    "storage elsewhere": lambda: lying(set_at(42, "<I", 1)),
    "encrypted": lambda: lying(set_at(8, "<H", 1)),
    "empty": lambda: b"PK\x03\x04",
    "end alone": lambda: b"PK\x03\x04" + bytes(30) + end_of(0, 0, 0),
    "many entries announced": lambda: b"PK\x03\x04" + bytes(30) + end_of(4, 10, 65535),
    "old magic": lambda: legacy(b"N", magic=1),
    "old version": lambda: legacy(b"N", version=9),
    "old system": lambda: legacy(b"N", system={"little_endian": False}),
    "old list": lambda: legacy(tensor(), {"1": (4, FOUR)}),
    "old count": lambda: legacy(tensor(), {"0": (5, FOUR)}),
    "old huge count": lambda: legacy(tensor(storage(count=HUGE)), {"0": (HUGE, FOUR)}),
    "a plain pickle": lambda: pickle.dumps({"a": 1}, 2),
    "a pickled module": lambda: pickle.dumps(nn.Linear(1, 1), 2),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_hostile_archives_are_refused(name, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    data = ARCHIVES[name]()
    with pytest.raises(RuntimeError) as error:
        load(data)
    assert not isinstance(error.value, pynn.OutOfMemoryError) and len(str(error.value)) < 1000
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(RuntimeError, match="x.pt"):
        pynn.load(tmp_path / "x.pt", mmap=True)
    assert os.listdir(tmp_path / "in") == [] and os.listdir(tmp_path) != []


def test_every_truncation_is_refused():
    body = b"}(" + value("a") + tensor() + value("b") + value([1, 2.5, "x"]) + b"u"
    for data in both(body, {"0": (4, FOUR)}):
        for n in range(1, len(data)):
            with pytest.raises(RuntimeError):
                load(data[:n])


def test_flipped_bytes_load_or_are_refused():
    body = b"}(" + value("a") + tensor() + value("b") + value([1, 2.5, "x", (3,), {4: None}]) + b"u"
    rng = random.Random(0)
    for data in both(body, {"0": (4, FOUR)}):
        for _ in range(3000):
            broken = bytearray(data)
            for _ in range(rng.choice([1, 1, 2, 8])):
                broken[rng.randrange(4, len(broken))] = rng.randrange(256)
            try:
                load(bytes(broken))
            except RuntimeError:
                pass


def test_opcodes_at_random():
    rng = random.Random(1)
    opcodes = [getattr(pickle, name) for name in dir(pickle) if type(getattr(pickle, name)) is bytes]
    pieces = opcodes + [value(1), value("a"), b"]", b"}", b"(", tensor(), storage(), glob("torch", "float32")]
    for _ in range(5000):
        body = b"".join(rng.choice(pieces) for _ in range(rng.randrange(1, 30)))
        try:
            load(zipped(pkl(body), {"0": FOUR}))
        except RuntimeError:
            pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on the address space is of Linux")
def test_nothing_large_is_allocated(tmp_path):
    """The corpus again, in a process with little memory left."""
    paths = []
    for i, body in enumerate(CALLS + BOMBS + TENSORS):
        for j, data in enumerate(both(body, {"0": (4, FOUR)})):
            paths.append(tmp_path / f"{i}-{j}.pt")
            paths[-1].write_bytes(data)
    for name, make in ARCHIVES.items():
        paths.append(tmp_path / f"{name}.pt")
        paths[-1].write_bytes(make())
    program = """
        import resource, sys, pynn
        import pynn.serialization, pynn.nn, numpy, zipfile, mmap
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
        for path in sys.argv[1:]:
            try:
                pynn.load(path)
            except pynn.OutOfMemoryError:
                sys.exit(f"out of memory: {path}")
            except RuntimeError:
                continue
            sys.exit(f"loaded: {path}")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, paths)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(pynn.__path__[0])},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_a_file_as_a_storage(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    storage = pynn.UntypedStorage.from_file(path, nbytes=16)
    assert len(storage) == 16 and storage.untyped() is storage
    assert pynn.asarray(storage[4:12], dtype=pynn.uint8).view(pynn.float32).tolist() == [1, 2]
    storage.fill_(0)  # a private copy
    assert np.frombuffer(path.read_bytes(), np.float32).tolist() == [0, 1, 2, 3]
