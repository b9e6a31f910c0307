"""`pynn demo` in a process of its own: accuracy, files, repeatability, Ctrl-C, and data that are broken."""

import gzip
import os
import re
import signal
import subprocess
import sys

import pytest

from pynn.serialization import load_weights

DEMO = [sys.executable, "-m", "pynn", "demo"]
SHAPES = {"fc1.weight": (128, 784), "fc1.bias": (128,), "fc2.weight": (10, 128), "fc2.bias": (10,)}
EPOCH = re.compile(r"epoch +(\d+)/\d+  loss (\d+\.\d{6})  accuracy (\d+\.\d\d) %")


def demo(out, *arguments, **environment):
    env = {**os.environ, "COLUMNS": "80", **environment}
    return subprocess.run(
        [*DEMO, "--out", str(out), *arguments], capture_output=True, encoding="utf-8", env=env, timeout=500
    )


def epochs_of(text):
    return [(int(n), float(loss), float(accuracy)) for n, loss, accuracy in EPOCH.findall(text)]


def check_weights(path):
    assert {key: tuple(t.shape) for key, t in load_weights(path).items()} == SHAPES


def test_the_default_run_learns_the_digits(tmp_path):
    done = demo(tmp_path / "a" / "b", PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stderr
    epochs = epochs_of(done.stdout)
    assert [n for n, _, _ in epochs] == list(range(1, 21))
    assert epochs[-1][1] < 0.1 < epochs[0][1]
    assert epochs[-1][2] >= 95
    assert f"held-out accuracy {epochs[-1][2]:.2f} %" in done.stdout
    assert "loaded again: the same predictions" in done.stdout
    assert "\u2588" in done.stdout and re.search(r"^\d \(\d+ %\)", done.stdout, re.MULTILINE)
    check_weights(tmp_path / "a" / "b" / "simplenet.safetensors")


def test_the_same_seed_gives_the_same_digits_for_any_number_of_threads(tmp_path):
    runs = []
    for threads in ("1", "2", "3"):
        done = demo(tmp_path, "--epochs", "2", "--seed", "5", "--threads", threads)
        assert done.returncode == 0, done.stderr
        assert f"on {threads} thread(s)" in done.stderr
        runs.append((done.stdout, (tmp_path / "simplenet.safetensors").read_bytes()))
    assert runs[0] == runs[1] == runs[2]
    other = demo(tmp_path, "--epochs", "2", "--seed", "6")
    assert epochs_of(other.stdout) != epochs_of(runs[0][0])


def test_options_are_used(tmp_path):
    one = demo(tmp_path, "--epochs", "1", "--lr", "0.0001", "--batch-size", "5000")
    two = demo(tmp_path, "--epochs", "1", "--lr", "0.01", "--batch-size", "16")
    assert len(epochs_of(one.stdout)) == len(epochs_of(two.stdout)) == 1
    assert epochs_of(one.stdout)[0][1] > 2 > epochs_of(two.stdout)[0][1]


def test_ascii_where_the_output_knows_no_more(tmp_path):
    done = demo(tmp_path, "--epochs", "1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii() and "@" in done.stdout


def test_a_picture_with_matplotlib(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    done = demo(tmp_path, "--epochs", "1")
    assert f"plot: {tmp_path / 'simplenet.png'}" in done.stdout
    assert (tmp_path / "simplenet.png").read_bytes().startswith(b"\x89PNG")


def test_no_picture_without_matplotlib(tmp_path):
    (tmp_path / "hide" / "matplotlib").mkdir(parents=True)
    (tmp_path / "hide" / "matplotlib" / "__init__.py").write_text("raise ImportError('hidden')")
    path = os.pathsep.join(filter(None, [str(tmp_path / "hide"), os.environ.get("PYTHONPATH")]))
    done = demo(tmp_path / "out", "--epochs", "1", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "plot: none, since matplotlib is not installed" in done.stdout
    assert os.listdir(tmp_path / "out") == ["simplenet.safetensors"]


# ---- Ctrl-C ----


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to one process")
def test_ctrl_c_keeps_the_last_finished_epoch(tmp_path):
    child = subprocess.Popen(
        [*DEMO, "--out", str(tmp_path), "--epochs", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell may ignore it
    )
    try:
        for line in child.stdout:
            if "epoch       3/" in line:
                break
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130
    weights = tmp_path / "simplenet.safetensors"
    assert re.fullmatch(
        rf"pynn demo: interrupted; {re.escape(str(weights))} holds the weights of epoch \d+\n", err
    )
    assert os.listdir(tmp_path) == [weights.name]
    check_weights(weights)


def test_ctrl_c_before_the_first_epoch_ended_leaves_old_weights(tmp_path, monkeypatch, capsys):
    from pynn.cli import _train, main

    def interrupted(*arguments):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(_train, "train", interrupted)
    (tmp_path / "simplenet.safetensors").write_bytes(b"old")
    assert main(["demo", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "pynn demo: interrupted; no epoch was finished\n"
    assert (tmp_path / "simplenet.safetensors").read_bytes() == b"old"


# ---- what cannot be used ----


def fails_with_one_line(done, why):
    assert done.returncode == 1
    assert re.fullmatch(rf"pynn demo: error: [^\n]*{why}[^\n]*\n", done.stderr), done.stderr


def write_mnist(folder, damage):
    """Four images each, of which `damage` changes the compressed training images."""
    folder.mkdir()
    for part in ("train", "t10k"):
        images = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(range(196)) * 16
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 3]))
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))


def test_mnist_files_from_pynn_data(tmp_path):
    write_mnist(tmp_path / "data", lambda b: b)
    done = demo(tmp_path / "out", "--data", "mnist", PYNN_DATA=str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert "MNIST: 4 images to train on, 4 held out" in done.stdout
    assert len(epochs_of(done.stdout)) == 5


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-20], lambda b: b"rubbish"])
def test_broken_data_give_one_line_and_write_nothing(damage, tmp_path):
    write_mnist(tmp_path / "data", damage)
    done = demo(tmp_path / "out", "--data", "mnist", PYNN_DATA=str(tmp_path / "data"))
    fails_with_one_line(done, "train-images-idx3-ubyte.gz is corrupt or truncated")
    assert done.stdout == "" and not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("a file")
    fails_with_one_line(demo(tmp_path / "out"), "out")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_loss_that_is_no_number_ends_the_training(tmp_path, monkeypatch, capsys):
    from pynn.cli import _data, main

    good = _data.load("digits")
    bad = good._replace(train_x=good.train_x * float("nan"))
    monkeypatch.setattr(_data, "load", lambda name: bad)
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err == "pynn demo: error: the loss became nan in epoch 1 (try a smaller --lr)\n"
    )
    assert os.listdir(tmp_path) == []


def has_mnist():
    from pynn.vision.datasets import MNIST

    try:
        return len(MNIST(train=False)) == 10000
    except RuntimeError:
        return False


def test_mnist_in_five_epochs(tmp_path):
    if not has_mnist():
        pytest.skip("MNIST is neither in PYNN_DATA nor in the cache, and a test downloads nothing")
    done = demo(tmp_path, "--data", "mnist")
    assert done.returncode == 0, done.stderr
    assert len(epochs_of(done.stdout)) == 5
    assert epochs_of(done.stdout)[-1][2] >= 97.5
