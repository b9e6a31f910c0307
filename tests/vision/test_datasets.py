"""The digits inside the package, MNIST from files of every kind, and downloads with their checksums."""

import gzip
import hashlib
import os

import pytest

import pynn
from pynn.utils.data import DataLoader
from pynn.vision import datasets
from pynn.vision.datasets import digits, mnist
from pynn.vision.datasets.download import cache_folder, download

COUNT = {"train": 5, "t10k": 3}


def idx(dims, data):
    return bytes([0, 0, 8, len(dims)]) + b"".join(n.to_bytes(4, "big") for n in dims) + data


def images_of(part):
    n = COUNT[part]
    return idx([n, 28, 28], bytes(i % 251 for i in range(n * 784)))


def labels_of(part):
    return idx([COUNT[part]], bytes(range(COUNT[part])))


def write_mnist(folder, suffix="-idx{}-ubyte.gz", parts=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for what, rank, data in (("images", 3, images_of(part)), ("labels", 1, labels_of(part))):
            name = f"{part}-{what}" + suffix.format(rank)
            (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.fixture(autouse=True)
def no_other_data(monkeypatch, tmp_path):
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "_MIRRORS", [])


# ---- digits ----


def test_digits_are_split_once_and_for_all():
    train, test = datasets.Digits(), datasets.Digits(train=False)
    assert (len(train), len(test)) == (1442, 355)
    assert train.data.shape == (1442, 8, 8) and train.data.dtype == pynn.uint8 and int(train.data.max()) == 16
    assert train.targets.dtype == pynn.int64
    assert sorted(set(test.targets.tolist())) == list(range(10))
    assert all(34 <= test.targets.tolist().count(digit) <= 36 for digit in range(10))
    assert train.targets[:5].tolist() == [0, 1, 2, 3, 4]
    everything = {bytes(image.flatten().tolist()) for image in train.data}
    assert not any(bytes(image.flatten().tolist()) in everything for image in test.data)


def test_digits_items_and_transforms():
    plain = datasets.Digits()
    image, target = plain[1]
    assert image.shape == (8, 8) and target == 1 and type(target) is int
    scaled = datasets.Digits(transform=lambda x: x / 16.0, target_transform=lambda t: t + 100)
    image, target = scaled[1]
    assert float(image.max()) == 1.0 and target == 101
    x, y = next(iter(DataLoader(scaled, batch_size=4)))
    assert x.shape == (4, 8, 8) and y.tolist() == [100, 101, 102, 103]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:1000], lambda b: b"", lambda b: b[:5000] + b"????" + b[5004:]]
)
def test_broken_digits_give_one_line(damage, tmp_path, monkeypatch):
    with open(digits._FILE, "rb") as f:
        whole = f.read()
    path = tmp_path / "digits.npz"
    path.write_bytes(damage(whole))
    monkeypatch.setattr(digits, "_FILE", str(path))
    with pytest.raises(RuntimeError, match="digits.npz is corrupt or truncated") as error:
        datasets.Digits()
    assert "\n" not in str(error.value)


# ---- MNIST ----


@pytest.mark.parametrize("suffix", ["-idx{}-ubyte.gz", "-idx{}-ubyte", ".idx{}-ubyte"])
@pytest.mark.parametrize("place", [".", "mnist", "MNIST/raw"])
def test_mnist_is_found_where_it_may_lie(suffix, place, tmp_path, monkeypatch):
    write_mnist(tmp_path / "data" / place, suffix)
    for root in (tmp_path / "data", None):
        if root is None:
            monkeypatch.setenv("PYNN_DATA", str(tmp_path / "data"))
        train, test = datasets.MNIST(root), datasets.MNIST(root, train=False)
        assert (len(train), len(test)) == (5, 3)
        assert train.data.shape == (5, 28, 28) and train.data.dtype == pynn.uint8
        assert train.data.flatten()[:300].tolist() == [i % 251 for i in range(300)]
        assert train.targets.tolist() == [0, 1, 2, 3, 4] and train.targets.dtype == pynn.int64
        pytest.importorskip("PIL", reason="items are images of Pillow")
        image, target = test[2]
        assert (image.mode, image.size, target) == ("L", (28, 28), 2)


def test_pynn_data_comes_before_the_cache(tmp_path, monkeypatch):
    write_mnist(tmp_path / "cache" / "pynn" / "mnist", parts=["train"])
    assert len(datasets.MNIST()) == 5
    monkeypatch.setenv("PYNN_DATA", str(tmp_path / "empty"))
    assert len(datasets.MNIST()) == 5
    monkeypatch.setenv("PYNN_DATA", str(tmp_path / "broken"))
    write_mnist(tmp_path / "broken")
    (tmp_path / "broken" / "train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(RuntimeError, match="broken/train-images-idx3-ubyte.gz is corrupt or truncated"):
        datasets.MNIST()


def test_mnist_that_is_nowhere_says_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.setenv("PYNN_DATA", str(tmp_path / "mine"))
    with pytest.raises(
        RuntimeError, match=r"dataset not found in .*mine or .*cache.pynn \(use download=True"
    ):
        datasets.MNIST()
    with pytest.raises(RuntimeError, match="dataset not found in .*elsewhere"):
        datasets.MNIST(tmp_path / "elsewhere")


TRAIN = images_of("train")


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("train-images-idx3-ubyte", b"", "IDX header of rank 3 .*, got nothing"),
        ("train-images-idx3-ubyte", TRAIN[:10], "IDX header"),
        ("train-images-idx3-ubyte", TRAIN[:-1], "3920 bytes of data required, got 3919"),
        ("train-images-idx3-ubyte", TRAIN + b"x", "got more"),
        (
            "train-images-idx3-ubyte",
            labels_of("train") + bytes(100),
            "IDX header of rank 3 .*, got 00 00 08 01",
        ),
        (
            "train-images-idx3-ubyte",
            idx([5, 20, 28], bytes(5 * 560)),
            r"\(N, 28, 28\) required, got \(5, 20, 28\)",
        ),
        ("train-images-idx3-ubyte", idx([2**32 - 1, 28, 28], b""), "required, got"),
        ("train-images-idx3-ubyte", idx([0, 28, 28], b""), "required, got"),
        ("train-labels-idx1-ubyte", idx([4], bytes(4)), "got 5 images in .* and 4 labels in"),
        ("train-labels-idx1-ubyte", idx([5], bytes([0, 1, 2, 3, 10])), "labels 0 to 9 required, got 10"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_broken_idx_files_say_why(name, content, why, compressed, tmp_path):
    write_mnist(tmp_path, "-idx{}-ubyte.gz" if compressed else "-idx{}-ubyte")
    path = tmp_path / (name + ".gz" * compressed)
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(RuntimeError, match=why) as error:
        datasets.MNIST(tmp_path)
    assert path.name in str(error.value) and "\n" not in str(error.value)


def test_broken_compression_gives_one_line(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    write_mnist(tmp_path)
    whole = path.read_bytes()
    wrong_sum = bytearray(whole)
    wrong_sum[-6] ^= 1  # CRC-32, then the size in the last four bytes
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for content in (whole[:-1], whole[: len(whole) // 2], b"no gzip", bytes(wrong_sum), bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match="train-images-idx3-ubyte.gz is corrupt or truncated") as error:
            datasets.MNIST(tmp_path)
        assert "\n" not in str(error.value)


# ---- download ----


def test_cache_folder(monkeypatch, tmp_path):
    assert cache_folder() == os.path.join(str(tmp_path), "cache", "pynn")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("USERPROFILE", "/home/somebody")
    assert cache_folder() == os.path.join("/home/somebody", ".cache", "pynn")


def test_download_takes_the_first_mirror_that_has_the_file(tmp_path, capsys):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"content")
    bad.write_bytes(b"tampered")
    md5 = hashlib.md5(b"content").hexdigest()
    target = tmp_path / "new" / "file"
    download([(tmp_path / "absent").as_uri(), bad.as_uri(), good.as_uri()], str(target), md5)
    assert target.read_bytes() == b"content"
    assert os.listdir(target.parent) == ["file"]
    assert capsys.readouterr().err.count("downloading file:") == 3


def test_a_wrong_checksum_changes_nothing(tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"tampered")
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="no mirror gave file .*MD5 0123 required, got") as error:
        download([bad.as_uri()], str(target), "0123")
    assert "\n" not in str(error.value)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["bad", "file"]


@pytest.mark.parametrize("root", ["given", None])
def test_mnist_downloads_to_root_or_cache(root, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    write_mnist(mirror)
    monkeypatch.setattr(mnist, "_MIRRORS", [mirror.as_uri() + "/"])
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in mirror.iterdir()}
    monkeypatch.setattr(mnist, "_MD5", sums)
    folder = tmp_path / root if root else tmp_path / "cache" / "pynn"
    assert len(datasets.MNIST(root and folder, download=True)) == 5
    assert sorted(os.listdir(folder / "MNIST" / "raw")) == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    monkeypatch.setattr(mnist, "_MIRRORS", [])
    assert len(datasets.MNIST(root and folder, download=True)) == 5


def test_no_mirror_gives_one_line_and_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "_MIRRORS", [(tmp_path / "nowhere").as_uri() + "/"])
    with pytest.raises(RuntimeError, match=r"no mirror gave train-images.*named by PYNN_DATA") as error:
        datasets.MNIST(download=True)
    assert "\n" not in str(error.value)
