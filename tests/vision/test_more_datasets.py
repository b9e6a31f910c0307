"""The data sets of torchvision: FashionMNIST, CIFAR, folders of images, noise."""

import io
import os
import pickle
import tarfile
import warnings

import numpy as np
import pytest

import pynn
from pynn.utils.data import DataLoader
from pynn.vision import datasets, transforms

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def no_other_data(monkeypatch, tmp_path):
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def batch(n, seed=0, key="labels"):
    data = np.random.default_rng(seed).integers(0, 255, (n, 3072), dtype=np.uint8)
    return {"data": data, key: [i % 10 for i in range(n)]}


def write_cifar(folder, base="cifar-10-batches-py"):
    folder = folder / base
    folder.mkdir(parents=True)
    if base == "cifar-100-python":
        files = {"train": batch(4, 0, "fine_labels"), "test": batch(2, 1, "fine_labels")}
        files["meta"] = {"fine_label_names": [f"c{i}" for i in range(100)]}
    else:
        files = {f"data_batch_{i}": batch(4, i) for i in range(1, 6)} | {"test_batch": batch(3, 9)}
        files["batches.meta"] = {"label_names": list("abcdefghij")}
    for name, content in files.items():
        (folder / name).write_bytes(pickle.dumps(content, 2))
    return folder


@pytest.mark.parametrize("archive", [False, True])
def test_cifar10(tmp_path, archive):
    folder = write_cifar(tmp_path / "data")
    if archive:
        with tarfile.open(tmp_path / "data" / "cifar-10-python.tar.gz", "w:gz") as tar:
            tar.add(folder, "cifar-10-batches-py")
        for path in folder.iterdir():
            path.unlink()
    train, test = (datasets.CIFAR10(tmp_path / "data", train=part) for part in (True, False))
    assert (len(train), len(test)) == (20, 3) and train.data.shape == (20, 32, 32, 3)
    assert train.classes == list("abcdefghij") and train.class_to_idx["c"] == 2
    image, target = train[5]
    assert (image.mode, image.size, target) == ("RGB", (32, 32), 1)
    expected = batch(4, 2)["data"][1].reshape(3, 32, 32).transpose(1, 2, 0)
    assert (np.asarray(image) == expected).all()
    shown = f"Dataset CIFAR10\n    Number of datapoints: 20\n    Root location: {tmp_path / 'data'}\n    Split: Train"
    assert repr(train) == shown


def test_cifar100(tmp_path):
    write_cifar(tmp_path, "cifar-100-python")
    assert [target for _, target in datasets.CIFAR100(tmp_path)] == [0, 1, 2, 3]
    assert len(datasets.CIFAR100(tmp_path, train=False).classes) == 100


def test_cifar_runs_nothing_from_its_files(tmp_path):
    folder = write_cifar(tmp_path)
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    (folder / "data_batch_3").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(RuntimeError, match="CIFAR10: .*corrupt.*mkdir"):
        datasets.CIFAR10(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "corrupt"),
        (pickle.dumps({"data": np.zeros((2, 5), np.uint8), "labels": [0, 0]}), "3072"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}), "labels do not fit"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}), "labels do not fit"),
        (pickle.dumps({"labels": [0]}), "data"),
    ],
)
def test_broken_cifar_says_why(tmp_path, content, why):
    (write_cifar(tmp_path) / "test_batch").write_bytes(content)
    with pytest.raises(RuntimeError, match=why):
        datasets.CIFAR10(tmp_path, train=False)


def test_cifar10_that_is_nowhere(tmp_path):
    with pytest.raises(RuntimeError, match="CIFAR10: dataset not found in .*download=True"):
        datasets.CIFAR10(tmp_path)


def test_the_subset_stands_in_with_a_warning(tmp_path, monkeypatch):
    folder = tmp_path / "cifar10-subset"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 255, (4, 3, 32, 32), dtype=np.uint8)
    arrays = {"train_images": images, "train_labels": np.arange(4), "classes": np.array(list("abcdefghij"))}
    np.savez(folder / "cifar10-subset.npz", **arrays)
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="taking the subset .* of 4 images"):
        subset = datasets.CIFAR10(tmp_path / "elsewhere")
    assert (np.asarray(subset[2][0]) == images[2].transpose(1, 2, 0)).all() and subset[2][1] == 2


def test_real_cifar10_subset():
    data = os.environ.get("PYNN_TEST_DATA", "")
    if not os.path.isdir(os.path.join(data, "cifar10-subset")):
        pytest.skip("PYNN_TEST_DATA names no folder with cifar10-subset")
    os.environ["PYNN_DATA"] = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = datasets.CIFAR10(train=False, transform=transforms.ToTensor())
    x, y = next(iter(DataLoader(test, 16)))
    assert x.shape == (16, 3, 32, 32) and 0 <= float(x.min()) < float(x.max()) <= 1 and y.dtype == pynn.int64


def write_idx(folder, n=3):
    folder.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, 3]) + b"".join(k.to_bytes(4, "big") for k in (n, 28, 28))
    (folder / "train-images-idx3-ubyte").write_bytes(header + bytes(n * 784))
    (folder / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, n, *range(n)]))


def test_fashion_mnist_does_not_take_mnists_files(tmp_path, monkeypatch):
    monkeypatch.setenv("PYNN_DATA", str(tmp_path))
    write_idx(tmp_path)
    assert len(datasets.MNIST()) == 3
    with pytest.raises(RuntimeError, match="FashionMNIST: dataset not found"):
        datasets.FashionMNIST()
    write_idx(tmp_path / "FashionMNIST" / "raw")
    assert datasets.FashionMNIST().classes[9] == "Ankle boot" and datasets.FashionMNIST()[2][1] == 2
    assert len(datasets.KMNIST(tmp_path / "FashionMNIST" / "raw")) == 3


@pytest.fixture
def pictures(tmp_path):
    for i, name in enumerate(["cat/a.png", "cat/deep/b.PNG", "dog/c.jpg", "dog/notes.txt"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("no image")
        else:
            Image.new("L" if i == 0 else "RGB", (4, 3), i).save(path)
    return tmp_path


def test_image_folder(pictures):
    data = datasets.ImageFolder(pictures, transform=transforms.ToTensor(), target_transform=lambda t: t + 10)
    names = [os.path.relpath(path, pictures) for path, _ in data.samples]
    assert names == [
        os.path.join("cat", "a.png"),
        os.path.join("cat", "deep", "b.PNG"),
        os.path.join("dog", "c.jpg"),
    ]
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    assert data.targets == [0, 0, 1] and data.imgs == data.samples
    image, target = data[0]
    assert image.shape == (3, 3, 4) and target == 10
    x, y = next(iter(DataLoader(data, 3)))
    assert x.shape == (3, 3, 3, 4) and y.tolist() == [10, 10, 11]


def test_folder_errors(pictures, tmp_path):
    (pictures / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match="no valid file for the classes empty. Supported extensions are: .jpg"
    ):
        datasets.ImageFolder(pictures)
    assert len(datasets.ImageFolder(pictures, allow_empty=True)) == 3
    text = datasets.DatasetFolder(pictures, lambda p: open(p).read(), (".txt",), allow_empty=True)
    assert text[0] == ("no image", 1)
    chosen = datasets.ImageFolder(pictures, is_valid_file=lambda p: p.endswith("c.jpg"), allow_empty=True)
    assert len(chosen) == 1
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder"):
        datasets.ImageFolder(pictures / "empty")


def test_fake_data():
    pynn.manual_seed(3)
    data = datasets.FakeData(5, (3, 8, 6), 4, transforms.ToTensor())
    state = pynn.get_rng_state().tolist()
    first, again = data[1], data[1]
    assert pynn.get_rng_state().tolist() == state
    assert first[0].shape == (3, 8, 6) and (first[0] == again[0]).all() and 0 <= first[1] < 4
    with pytest.raises(IndexError):
        data[5]


def test_transforms_in_repr():
    data = datasets.FakeData(2, transform=transforms.Compose([transforms.ToTensor()]))
    assert repr(data).splitlines() == [
        "Dataset FakeData",
        "    Number of datapoints: 2",
        "    StandardTransform",
        "Transform: Compose(",
        "               ToTensor()",
        "           )",
    ]
    both = datasets.VisionDataset(transforms=lambda x, y: (x, y))
    assert both.transforms(1, 2) == (1, 2)
    with pytest.raises(ValueError, match="not both"):
        datasets.VisionDataset(transforms=len, transform=len)


def test_save_image(tmp_path):
    from pynn.vision.utils import save_image

    save_image(pynn.tensor([[[0.0, 0.5, 1.0, 2.0]]]), tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 128, 255, 255]
    out = io.BytesIO()
    save_image(pynn.rand(5, 3, 4, 4), out, format="png", nrow=3, padding=1)
    assert Image.open(out).size == (3 * 5 + 1, 2 * 5 + 1)
