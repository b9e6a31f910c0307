"""Files exchanged with a real PyTorch, both ways."""

import collections
import io
import pickle

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")


def compare(theirs, ours, path="obj"):
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, pynn.Tensor), path
        assert str(theirs.dtype) == str(ours.dtype) and tuple(theirs.shape) == tuple(ours.shape), path
        assert theirs.stride() == tuple(ours.stride()) and theirs.storage_offset() == ours.storage_offset(), (
            path
        )
        assert theirs.requires_grad == ours.requires_grad, path
        assert isinstance(theirs, torch.nn.Parameter) == isinstance(ours, pynn.nn.Parameter), path
        if theirs.numel():
            a = theirs.detach().reshape(-1).contiguous().view(torch.uint8).numpy()
            b = ours.detach().reshape(-1).contiguous().view(pynn.uint8).numpy()
            assert (a == b).all(), path
    elif isinstance(theirs, dict):
        assert type(theirs) is type(ours) and len(theirs) == len(ours), path
        for (k, v), (l, w) in zip(theirs.items(), ours.items(), strict=True):
            compare(k, l, f"key of {path}")
            compare(v, w, f"{path}[{k!r}]")
        if hasattr(theirs, "_metadata"):
            assert dict(theirs._metadata) == dict(ours._metadata)
    elif isinstance(theirs, torch.Size):
        assert type(ours) is pynn.Size and tuple(theirs) == tuple(ours), path
    elif isinstance(theirs, (list, tuple)):
        assert type(theirs) is type(ours) and len(theirs) == len(ours), path
        for i, (v, w) in enumerate(zip(theirs, ours, strict=True)):
            compare(v, w, f"{path}[{i}]")
    elif isinstance(theirs, (torch.dtype, torch.device)):
        assert str(theirs) == str(ours), path
    elif isinstance(theirs, np.ndarray):
        assert theirs.dtype == ours.dtype and (theirs == ours).all(), path
    else:
        assert type(theirs) is type(ours) and (theirs == ours or theirs != theirs), path


def trained(fw):
    fw.manual_seed(0)
    model = fw.nn.Sequential(fw.nn.Linear(3, 4), fw.nn.LayerNorm(4), fw.nn.Linear(4, 2))
    optimizer = fw.optim.Adam(model.parameters())
    model(fw.randn(5, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


BASE = torch.arange(24.0)
MODEL, OPTIMIZER = trained(torch)
DTYPES = ["float64", "float32", "float16", "bfloat16", "int8", "uint8", "bool", "int16", "int32", "int64"]
OBJECTS = {
    "model": MODEL.state_dict(),
    "optimizer": OPTIMIZER.state_dict(),
    "views": [BASE, BASE[::2], BASE.view(4, 6).t(), BASE[3:5].clone().requires_grad_()],
    "dtypes": {d: torch.ones(3).to(getattr(torch, d)) for d in [*DTYPES, "complex64", "complex128"]},
    "numbers": [1, 2**40, -5, 10**30, -(10**300), 1.5, float("inf"), float("nan"), True, None, 3 + 4j],
    "containers": [
        (1, (2,)),
        {1, 2},
        collections.OrderedDict(a=1),
        collections.Counter("abb"),
        {(1, "a"): 2},
    ],
    "text": ["\u00fc\ud800", b"bytes", bytearray(b"xy")],
    "torch": [torch.Size([2, 3]), torch.float16, torch.device("cpu")],
    "corners": [torch.empty(0, 3), torch.tensor(3), torch.ones(1).expand(5, 2)],
    "marked": [torch.nn.Parameter(torch.ones(2)), torch.nn.Buffer(torch.ones(2))],
    "numpy": [np.float64(3.5), np.arange(6).reshape(2, 3), np.array(["ab"]), np.bool_(True)],
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("name", OBJECTS)
def test_read(name, new, protocol, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(OBJECTS[name], path, _use_new_zipfile_serialization=new, pickle_protocol=protocol)
    compare(OBJECTS[name], pynn.load(path))
    compare(OBJECTS[name], pynn.load(io.BytesIO(path.read_bytes()), map_location="cpu"))
    if new:
        compare(OBJECTS[name], pynn.load(path, mmap=True))


@pytest.mark.parametrize("new", [True, False])
def test_views_share_again(new, tmp_path):
    torch.save(OBJECTS["views"], tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    a, b, c, _ = pynn.load(tmp_path / "x.pt")
    a[0] = 99
    assert b[0] == 99 and c[0, 0] == 99


def test_a_whole_module_is_refused_by_name(tmp_path):
    torch.save(MODEL, tmp_path / "x.pt")
    with pytest.raises(pickle.UnpicklingError, match="torch.nn.modules.container.Sequential"):
        pynn.load(tmp_path / "x.pt")


def layers(lib):
    nn = lib.nn
    return {
        "cnn": (
            nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5)
            ),
            (2, 1, 8, 8),
        ),
        "lstm": (nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), (2, 5, 3)),
        "gru": (nn.GRU(3, 4), (5, 2, 3)),
        "transformer": (
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
            (2, 3, 8),
        ),
        "norms": (
            nn.Sequential(nn.GroupNorm(2, 4), nn.LayerNorm(6), nn.GELU(), nn.ConvTranspose1d(4, 2, 3)),
            (2, 4, 6),
        ),
        "embedding": (nn.Embedding(10, 4), None),
    }


@pytest.mark.parametrize("name", list(layers(pynn)))
def test_whole_modules_of_pytorch_are_read_where_they_are_trusted(name, tmp_path):
    model, shape = layers(torch)[name]
    torch.save(model.eval(), tmp_path / "x.pt")
    got = pynn.load(tmp_path / "x.pt", weights_only=False)
    assert type(got).__name__ == type(model).__name__ and not got.training
    x = torch.randn(shape) if shape else torch.arange(6)
    want, out = model(x), got(pynn.tensor(x.numpy()))
    want, out = (y[0] if isinstance(y, tuple) else y for y in (want, out))
    assert np.allclose(out.detach().numpy(), want.detach().numpy(), atol=1e-5)
    got.train()
    out = got(pynn.tensor(x.numpy()))
    (out[0] if isinstance(out, tuple) else out).sum().backward()
    assert list(got.state_dict()) == list(model.state_dict()) and repr(got)


def test_objects_of_other_packages_both_ways(tmp_path):
    objects = {
        "array": np.arange(6.0).reshape(2, 3),
        "set": {1, 2},
        "bytes": b"ab\xff",
        "counter": collections.Counter("abca"),
        "slice": slice(1, 2),
        "number": np.float32(2.5),
    }
    for write, read in ((pynn, torch), (torch, pynn)):
        write.save(objects, tmp_path / "x.pt")
        got = read.load(tmp_path / "x.pt", weights_only=False)
        assert list(got) == list(objects) and (got["array"] == objects["array"]).all()
        assert all(got[k] == objects[k] and type(got[k]) is type(objects[k]) for k in objects if k != "array")


def ours():
    model, optimizer = trained(pynn)
    base = pynn.arange(24.0)
    plain = [1, 2**40, -(10**300), 1.5, float("inf"), True, None, "\u00fc", 3 + 4j, (1, (2,)), {(1, "a"): 2}]
    dtypes = {d: pynn.ones(3).to(getattr(pynn, d)) for d in DTYPES}
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [base, base[::2], base.view(4, 6).t(), base[4:8]],
        "others": [pynn.Size([2, 3]), pynn.float16, pynn.device("cpu"), pynn.empty(0, 3), nn_parameter()],
        "plain": plain,
        "dtypes": dtypes | {"complex64": pynn.ones(2, dtype=pynn.complex64)},
    }


def nn_parameter():
    return pynn.nn.Parameter(pynn.ones(2), requires_grad=False)


@pytest.mark.parametrize("mmap", [False, True])
def test_write(mmap, tmp_path):
    state = ours()
    pynn.save(state, tmp_path / "x.pt")
    theirs = torch.load(tmp_path / "x.pt", weights_only=True, mmap=mmap)
    compare(theirs, state)
    theirs["views"][0][4] = 99
    assert theirs["views"][1][2] == 99 and theirs["views"][3][0] == 99
    model, optimizer = trained(torch)
    model.load_state_dict(theirs["model"])
    optimizer.load_state_dict(theirs["optimizer"])


def test_training_goes_on_from_a_checkpoint_of_the_other(tmp_path):
    torch.save({"model": MODEL.state_dict(), "optimizer": OPTIMIZER.state_dict()}, tmp_path / "x.pt")
    checkpoint = pynn.load(tmp_path / "x.pt")
    mine, my_optimizer = trained(pynn)
    mine.load_state_dict(checkpoint["model"])
    my_optimizer.load_state_dict(checkpoint["optimizer"])
    yours, your_optimizer = trained(torch)
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    for fw, model, optimizer in ((pynn, mine, my_optimizer), (torch, yours, your_optimizer)):
        optimizer.zero_grad()
        model(fw.from_numpy(x)).pow(2).sum().backward()
        optimizer.step()
    for a, b in zip(mine.parameters(), yours.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-7)
