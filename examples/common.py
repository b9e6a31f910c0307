"""What the examples share: their options, the data, a progress bar, pictures.

Data comes from the folder named by PYNN_DATA (mnist/, cifar10-subset/, tinyshakespeare/, multi30k/). Without it the
pictures are the handwritten digits that ship with pynn, scaled up, the text is Python's own library, and the
sentences are numbers in words.
"""

import argparse
import gzip
import importlib.util
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm


def options(description, **numbers):
    """`--NAME` for each keyword, whose value is a pair: its default, and the one taken by `--quick`."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds of work, to see that everything runs"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of pictures and weights")
    for name, (full, _) in numbers.items():
        parser.add_argument(f"--{name}", type=type(full), help=f"default {full}")
    args = parser.parse_args()
    for name, pair in numbers.items():
        if getattr(args, name) is None:
            setattr(args, name, pair[args.quick])
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    return args


def progress(steps, title):
    return tqdm(steps, desc=title, leave=False, mininterval=0.5)


def batches(n, size):
    """Shuffled indices of `n` samples, `size` at a time; the last incomplete batch is left out."""
    return torch.randperm(n)[: n // size * size].view(-1, size)


def _file(*parts):
    """A path below PYNN_DATA, or None."""
    path = Path(os.environ.get("PYNN_DATA", ""), *parts)
    return path if "PYNN_DATA" in os.environ and path.exists() else None


def mnist():
    """Images (N, 1, 28, 28) in [0, 1] and labels (N,): train, then test."""
    if _file("mnist") is None:
        return _digits(28)
    parts = []
    for part in ("train", "t10k"):
        for kind, header in (("images-idx3", 16), ("labels-idx1", 8)):
            with gzip.open(_file("mnist", f"{part}-{kind}-ubyte.gz")) as file:
                parts.append(torch.from_numpy(np.frombuffer(file.read(), np.uint8, offset=header).copy()))
    train, train_y, test, test_y = parts
    return train.view(-1, 1, 28, 28) / 255, train_y.long(), test.view(-1, 1, 28, 28) / 255, test_y.long()


def cifar10():
    """Images (N, 3, 32, 32) in [0, 1] and labels (N,): train, then test. 10,000 and 2,000 of CIFAR-10's images."""
    path = _file("cifar10-subset", "cifar10-subset.npz")
    if path is None:
        x, y, test_x, test_y = _digits(32)
        return x.repeat(1, 3, 1, 1), y, test_x.repeat(1, 3, 1, 1), test_y
    with np.load(path) as z:
        train, test = (
            [torch.from_numpy(z[f"{part}_{kind}"]) for kind in ("images", "labels")]
            for part in ("train", "test")
        )
    return train[0] / 255, train[1].long(), test[0] / 255, test[1].long()


def _digits(side):
    path = (
        _file("digits", "digits.npz")
        or Path(importlib.util.find_spec("pynn").origin).parent / "vision/datasets/data/digits.npz"
    )
    with np.load(path) as z:
        x, y = torch.from_numpy(z["images"]).float() / 16, torch.from_numpy(z["labels"]).long()
    x = F.interpolate(x[:, None], size=(side, side), mode="bilinear", align_corners=False)
    return x[:1500], y[:1500], x[1500:], y[1500:]


def characters():
    """A text as character numbers (N,), and its alphabet: Shakespeare, or the source of Python's library."""
    path = _file("tinyshakespeare", "input.txt")
    if path is not None:
        text = path.read_text()
    else:
        sources = sorted(Path(os.__file__).parent.glob("[a-d]*.py"))
        text = "".join(
            c for p in sources for c in p.read_text(encoding="utf-8", errors="ignore") if c.isascii()
        )
    alphabet = sorted(set(text))
    number = {c: i for i, c in enumerate(alphabet)}
    return torch.tensor([number[c] for c in text]), alphabet


def sentences():
    """German and English sentences, ([pairs to train on], [pairs to test on]): Multi30k, or numbers in words."""
    if _file("multi30k") is not None:
        return tuple(
            list(
                zip(
                    *(
                        _file("multi30k", f"{part}.{lang}").read_text(encoding="utf-8").lower().splitlines()
                        for lang in ("de", "en")
                    )
                )
            )
            for part in ("train", "test_2016_flickr")
        )
    pairs = [(_german(n), _english(n)) for n in range(1, 10_000)]
    return [p for i, p in enumerate(pairs) if i % 20], pairs[::20]


def _english(n):
    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
    small += ["seventeen", "eighteen", "nineteen"]
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    for size, word in ((1000, "thousand"), (100, "hundred")):
        if n >= size:
            return f"{_english(n // size)} {word}" + (f" {_english(n % size)}" if n % size else "")
    return small[n] if n < 20 else tens[n // 10 - 2] + (f" {small[n % 10]}" if n % 10 else "")


def _german(n):
    small = "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn".split()
    small += ["siebzehn", "achtzehn", "neunzehn"]
    tens = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
    for size, word in ((1000, "tausend"), (100, "hundert")):
        if n >= size:
            return f"{_german(n // size)} {word}" + (f" {_german(n % size)}" if n % size else "")
    return small[n] if n < 20 else (f"{small[n % 10]} und " if n % 10 else "") + tens[n // 10 - 2]


def plot(path, **curves):
    """A picture with one panel for each keyword: a list of numbers, or a dict of lists by name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(curves), figsize=(4.5 * len(curves), 3.2), layout="constrained", squeeze=False
    )
    for axis, (title, lines) in zip(axes[0], curves.items()):
        for label, values in (lines if isinstance(lines, dict) else {None: lines}).items():
            axis.plot(values, label=label)
        axis.set_title(title.replace("_", " "))
        if isinstance(lines, dict):
            axis.legend()
    figure.savefig(path, dpi=110)
    print(f"picture: {path}")


def save_images(path, images, columns=16):
    """Images (N, C, H, W) in [0, 1] as one picture, `columns` in a row, twice their size."""
    from PIL import Image

    n, c, h, w = images.shape
    rows = -(-n // columns)
    sheet = images.new_zeros(rows * columns, c, h, w)
    sheet[:n] = images.clamp(0, 1)
    sheet = sheet.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)
    array = (sheet * 255).round().to(torch.uint8).numpy()
    picture = Image.fromarray(array[..., 0] if c == 1 else array)
    picture.resize((2 * columns * w, 2 * rows * h), Image.NEAREST).save(path)
    print(f"picture: {path}")
