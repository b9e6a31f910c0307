"""Damaged files of every kind that is read: one clear line, whatever byte was lost or changed, and nothing else."""

import gzip
import random
from collections import OrderedDict

import pytest

import pynn
from pynn import nn
from pynn.serialization import load_weights, save_weights
from pynn.vision import datasets
from pynn.vision.datasets import digits


def damaged(whole, n, seed):
    """Copies of a file with bytes changed, lost, put in or cut off."""
    rng = random.Random(seed)
    for _ in range(n):
        b = bytearray(whole)
        kind = rng.randrange(6)
        # The first bytes say what the rest is, and so do the last ones of an archive.
        top = rng.choice([16, 200, len(b)])
        at = (
            rng.randrange(min(top, len(b)))
            if rng.random() < 0.7
            else len(b) - 1 - rng.randrange(min(top, len(b)))
        )
        if kind == 0:
            b[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            for i in range(at, min(at + rng.randint(1, 8), len(b))):
                b[i] = rng.choice([0, 255, rng.randrange(256)])
        elif kind == 2:
            del b[at:]
        elif kind == 3:
            del b[at : at + rng.randint(1, 9)]
        elif kind == 4:
            b[at:at] = rng.randbytes(rng.randint(1, 9))
        else:
            b[at:] = rng.randbytes(rng.randint(0, 64))
        yield bytes(b)


def refused_or_read(read, path, content):
    """Whether the file was refused, by one line that names it."""
    path.write_bytes(content)
    try:
        read()
    except RuntimeError as error:
        assert path.name in str(error) and "\n" not in str(error), error
        return True
    return False


@pytest.mark.parametrize("mmap", [False, True])
def test_saved_state(mmap, tmp_path):
    path = tmp_path / "state.pynn"
    state = {"a": pynn.arange(5), "b": (nn.Parameter(pynn.ones(3)), OrderedDict(x=1.5, y=pynn.Size([2])))}
    pynn.save({**state, "c": pynn.ones(2, dtype=pynn.complex128), "d": [pynn.float16, None, 2**80]}, path)
    read = [lambda: pynn.load(path, mmap=mmap), lambda: repr(pynn.load(path, mmap=mmap))]
    files = list(damaged(path.read_bytes(), 800, seed=1))
    assert sum(refused_or_read(read[i % 2], path, b) for i, b in enumerate(files)) > 300


def test_weights_leave_a_module_as_it_was(tmp_path):
    path = tmp_path / "model.safetensors"
    model = nn.Linear(3, 2)
    save_weights(model.state_dict(), path)
    before = {k: v.tolist() for k, v in model.state_dict().items()}
    refused = 0
    for content in damaged(path.read_bytes(), 300, seed=2):
        if refused_or_read(lambda: load_weights(path), path, content):
            refused += 1
            with pytest.raises(RuntimeError):
                model.load_state_dict(load_weights(path))
            assert {k: v.tolist() for k, v in model.state_dict().items()} == before
    assert refused > 100


def test_digits(tmp_path, monkeypatch):
    with open(digits._FILE, "rb") as f:
        whole = f.read()
    path = tmp_path / "digits.npz"
    monkeypatch.setattr(digits, "_FILE", str(path))
    assert sum(refused_or_read(datasets.Digits, path, b) for b in damaged(whole, 300, seed=3)) > 100


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    "name, dims", [("train-images-idx3-ubyte", (5, 28, 28)), ("train-labels-idx1-ubyte", (5,))]
)
def test_mnist(name, dims, suffix, tmp_path):
    def write(name, dims):
        head = bytes([0, 0, 8, len(dims)]) + b"".join(n.to_bytes(4, "big") for n in dims)
        n = dims[0] * (28 * 28 if len(dims) == 3 else 1)
        content = head + bytes(i % 10 for i in range(n))
        content = gzip.compress(content) if suffix else content
        (tmp_path / (name + suffix)).write_bytes(content)
        return content

    write("train-images-idx3-ubyte", (5, 28, 28)), write("train-labels-idx1-ubyte", (5,))
    whole, path = write(name, dims), tmp_path / (name + suffix)
    refused = 0
    for content in damaged(whole, 300, seed=4):
        path.write_bytes(content)
        try:
            datasets.MNIST(tmp_path)
        except RuntimeError as error:
            assert "-ubyte" in str(error) and "\n" not in str(error), error
            refused += 1
    assert refused > 100
