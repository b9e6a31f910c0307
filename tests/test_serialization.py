"""pynn.save, pynn.load and plain weight files: round trips, sharing, interchange, and broken files."""

import io
import json
import math
import os
import pickle
import random
import stat
import threading
from collections import OrderedDict

import pytest

import pynn
from pynn import nn, optim
from pynn.serialization import load_weights, save_weights

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
DTYPES += ["complex64", "complex128"]


def roundtrip(obj, path, **options):
    pynn.save(obj, path)
    return pynn.load(path, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pynn"


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_keeps_value_shape_and_dtype(name, mmap, path):
    if not hasattr(pynn, name):
        pytest.skip(f"this version has no {name}")
    x = pynn.arange(-3, 3).reshape(2, 3).to(getattr(pynn, name))
    cases = {"2-d": x, "0-d": x[0, 1], "view": x.t(), "step": x[:, ::2], "empty": x[:, :0]}
    got = roundtrip(cases, path, mmap=mmap)
    for key, want in cases.items():
        assert got[key].dtype == want.dtype and got[key].shape == want.shape, key
        assert got[key].tolist() == want.tolist(), key


def test_nested_state_comes_back_with_its_types(path):
    state = {
        "list": [1, -2.5, True, None, "text", [], {}],
        "tuple": (1, (2, ()), "\u20ac"),
        "odict": OrderedDict([("b", 1), ("a", 2)]),
        3: {2.5: "float key", (1, "x"): "tuple key", None: 0, True: 1},
        "big": 2**80,
        "complex": complex(1.5, -math.inf),
        "size": pynn.Size([2, 3]),
        "dtype": pynn.float16,
        "device": pynn.device("cpu"),
        "infinite": [math.inf, -math.inf],
        "tiny": 5e-324,
    }
    got = roundtrip(state, path)
    assert got == state
    assert list(got) == list(state)
    assert (
        type(got["odict"]) is OrderedDict and type(got["tuple"]) is tuple and type(got["size"]) is pynn.Size
    )
    assert type(got["list"][2]) is bool
    assert math.isnan(roundtrip(math.nan, path))


def test_shared_tensors_are_stored_once_and_shared_again(path):
    x = pynn.zeros(1000)
    got = roundtrip({"x": x, "same": x, "alias": x.detach(), "other": x.clone()}, path)
    assert os.path.getsize(path) < 3 * x.numel() * 4
    assert got["x"] is got["same"]
    assert got["alias"] is not got["x"]
    got["x"][0] = 7
    assert got["alias"][0].item() == 7
    assert got["other"][0].item() == 0


def test_empty_tensors_are_not_taken_for_one_another(path):
    got = roundtrip([pynn.zeros(0, 2), pynn.zeros(0, 2)], path)
    assert got[0] is not got[1]


def test_parameters_and_gradient_flags(path):
    state = {"p": nn.Parameter(pynn.ones(2)), "frozen": nn.Parameter(pynn.ones(2), requires_grad=False)}
    state["leaf"] = pynn.ones(2, requires_grad=True)
    got = roundtrip(state, path)
    assert isinstance(got["p"], nn.Parameter) and got["p"].requires_grad
    assert isinstance(got["frozen"], nn.Parameter) and not got["frozen"].requires_grad
    assert not isinstance(got["leaf"], nn.Parameter) and got["leaf"].requires_grad and got["leaf"].is_leaf


def trained():
    pynn.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    step(model, optimizer)
    return model, optimizer


def step(model, optimizer):
    optimizer.zero_grad()
    model(pynn.ones(2, 4)).pow(3).sum().backward()
    optimizer.step()


def test_a_checkpoint_goes_on_as_the_original(path):
    model, optimizer = trained()
    pynn.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    step(model, optimizer)

    other, other_optimizer = trained()
    saved = pynn.load(path)
    other.load_state_dict(saved["model"])
    other_optimizer.load_state_dict(saved["optimizer"])
    step(other, other_optimizer)
    assert saved["epoch"] == 3
    for key, want in model.state_dict().items():
        assert pynn.equal(other.state_dict()[key], want), key


def test_a_state_dict_keeps_its_metadata(path):
    model, _ = trained()
    assert roundtrip(model.state_dict(), path)._metadata == model.state_dict()._metadata


def test_mapped_tensors_do_not_write_to_the_file(path):
    got = roundtrip({"x": pynn.zeros(4)}, path, mmap=True)
    got["x"][0] = 5
    assert pynn.load(path)["x"][0].item() == 0


def test_file_objects(path):
    buffer = io.BytesIO()
    buffer.write(b"before")
    pynn.save([1, pynn.arange(3)], buffer)
    pynn.save("second", buffer)
    buffer.seek(6)
    assert pynn.load(buffer)[1].tolist() == [0, 1, 2]
    assert pynn.load(buffer) == "second"
    with open(path, "wb") as f:
        pynn.save(pynn.arange(3), f)
    with open(path, "rb") as f:
        assert pynn.load(f).tolist() == [0, 1, 2]
    with open(path, "rb") as f, pytest.raises(ValueError, match="a path is required with mmap=True"):
        pynn.load(f, mmap=True)


def test_str_paths(path):
    assert roundtrip([1], str(path)) == [1]


def test_map_location(path):
    pynn.save({"x": pynn.ones(2)}, path)
    for where in (
        "cpu",
        pynn.device("cpu"),
        {"cuda:0": "cpu"},
        lambda tensor, place: tensor,
        lambda tensor, place: None,
    ):
        assert pynn.load(path, map_location=where)["x"].device.type == "cpu"
    assert pynn.load(path, map_location="meta")["x"].device.type == "meta"
    assert pynn.load(path, map_location={"cpu": "meta"})["x"].device.type == "meta"


# ---- interchange ----


def test_files_are_safetensors_with_the_names_of_the_state_dict(path):
    numpy_api = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")
    model, optimizer = trained()
    for write in (
        lambda: pynn.save(model.state_dict(), path),
        lambda: save_weights(model.state_dict(), path),
    ):
        write()
        got = numpy_api.load_file(path)
        assert set(got) == set(model.state_dict())
        assert got["0.weight"].tolist() == model[0].weight.tolist()
    pynn.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    assert {"model.0.weight", "optimizer.state.0.exp_avg"} <= set(numpy_api.load_file(path))


def test_files_of_the_safetensors_package_are_read(path):
    numpy = pytest.importorskip("numpy")
    numpy_api = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")
    arrays = {"a": numpy.arange(6, dtype="float32").reshape(2, 3), "b": numpy.array([True, False])}
    arrays["c"] = numpy.zeros((0, 2), dtype="int64")
    numpy_api.save_file(arrays, path, metadata={"format": "np"})
    for got in (pynn.load(path), pynn.load(path, mmap=True), load_weights(path)):
        assert {key: t.tolist() for key, t in got.items()} == {key: a.tolist() for key, a in arrays.items()}


def test_misaligned_data_are_read(path):
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    header += b" " * (3 - len(header) % 8)  # data begin at an odd offset
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([0, 0, 128, 63, 0, 0, 0, 64]))
    for mmap in (False, True):
        assert pynn.load(path, mmap=mmap)["x"].tolist() == [1.0, 2.0]


# ---- what cannot be saved ----


@pytest.mark.parametrize(
    "make, place",
    [
        (lambda: {"a": [0, lambda: 1]}, r"<lambda> at obj\['a'\]\[1\] cannot be found by its name"),
        (lambda: [threading.Lock()], r"lock at obj\[0\] cannot be pickled"),
        (lambda: {"m": pynn.empty(2, device="meta")}, r"meta device at obj\['m'\]"),
    ],
)
def test_unsupported_objects_are_named_by_their_place(make, place, path):
    path.write_bytes(b"old")
    with pytest.raises((TypeError, pickle.PicklingError), match=place):
        pynn.save(make(), path)
    assert path.read_bytes() == b"old"


def test_a_container_inside_itself(path):
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="at most 100 nested containers"):
        pynn.save(loop, path)
    assert not path.exists()


def test_save_weights_takes_names_and_tensors_only(path):
    for bad in ({"a": 1}, {1: pynn.ones(1)}):
        with pytest.raises(TypeError, match="names and tensors are required"):
            save_weights(bad, path)


# ---- whole or not at all ----


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    pynn.save("old", path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        pynn.save("new", path)
    assert pynn.load(path) == "old"
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pynn.save(1, tmp_path / "nowhere" / "x")


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and links")
def test_mode_and_links_are_kept(path):
    pynn.save("old", path)
    path.chmod(0o640)
    link = path.parent / "link"
    link.symlink_to(path)
    pynn.save("new", link)
    assert link.is_symlink() and pynn.load(path) == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    pynn.save("gone", os.devnull)
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)


# ---- broken files ----


def one_line(error, path):
    text = str(error.value)
    assert text.startswith(f"load: {path} is corrupt or truncated: ") and "\n" not in text


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match=path.name):
        pynn.load(path)


@pytest.mark.parametrize("mmap", [False, True])
def test_every_truncation_is_noticed(path, mmap):
    pynn.save({"a": pynn.arange(5), "b": [pynn.ones(3, dtype=pynn.float64)]}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(RuntimeError) as error:
            pynn.load(path, mmap=mmap)
        one_line(error, path)
    path.write_bytes(whole + b"x")
    with pytest.raises(RuntimeError) as error:
        pynn.load(path, mmap=mmap)
    one_line(error, path)


def test_random_damage_to_the_header_never_escapes_as_another_error(path):
    pynn.save({"a": pynn.arange(5), "b": (nn.Parameter(pynn.ones(3)), OrderedDict(x=1.5))}, path)
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    rng = random.Random(0)
    refused = 0
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(end)] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            pynn.load(path)
        except RuntimeError as e:
            assert str(path) in str(e) and "\n" not in str(e)
            refused += 1
    assert refused > 400


def write_file(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "header, why",
    [
        (b"[" * 100_000, "recursion|Stack overflow"),
        (b"\xff\xfe", "decode"),
        ([], "not a JSON object"),
        ({"x": None}, "bad entry for 'x'"),
        ({"x": F32 | {"dtype": "F33"}}, "bad entry for 'x'"),
        ({"x": F32 | {"shape": [-1]}}, "bad sizes for 'x'"),
        ({"x": F32 | {"shape": [True]}}, "bad sizes for 'x'"),
        ({"x": F32 | {"shape": [2**62, 2**62]}}, "bad sizes for 'x'"),
        ({"x": F32 | {"shape": "1"}}, "bad sizes for 'x'"),
        ({"x": F32 | {"data_offsets": [4, 8]}}, "hole at byte 0"),
        ({"x": F32, "y": F32}, "overlap"),
        (
            {"x": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]}},
            "1099511627776 bytes of data required, got 4",
        ),
        ({"__metadata__": {"pynn": 1}, "x": F32}, "map of strings"),
        ({"__metadata__": {"pynn": "nonsense"}, "x": F32}, "bad structure"),
        (
            {"__metadata__": {"pynn": '{"version":1,"tensors":[{"name":"y"}],"root":0}'}, "x": F32},
            "bad structure",
        ),
        (
            {"__metadata__": {"pynn": '{"version":1,"tensors":[],"root":{"tensor":0}}'}, "x": F32},
            "bad structure",
        ),
        (
            {"__metadata__": {"pynn": '{"version":1,"tensors":[],"root":{"code":"x"}}'}, "x": F32},
            "unknown kind 'code'",
        ),
        ({"__metadata__": {"pynn": '{"version":1,"tensors":[],"root":{}}'}, "x": F32}, "bad structure"),
    ],
)
def test_bad_headers_say_why(header, why, path):
    write_file(path, header, bytes(4))
    with pytest.raises(RuntimeError, match=why) as error:
        pynn.load(path)
    one_line(error, path)


def test_a_newer_version_is_said(path):
    write_file(path, {"__metadata__": {"pynn": '{"version":2,"tensors":[],"root":0}'}})
    with pytest.raises(RuntimeError, match="written by a newer pynn"):
        pynn.load(path)


def test_a_broken_file_changes_no_module(path):
    model, _ = trained()
    before = {key: t.clone() for key, t in model.state_dict().items()}
    pynn.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RuntimeError):
        model.load_state_dict(pynn.load(path))
    for key, t in model.state_dict().items():
        assert pynn.equal(t, before[key])
