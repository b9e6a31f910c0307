"""`pynn demo`: train the network 784-128-10 on handwritten digits, save it, load it, show its guesses."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pynn.cli import CliError

if TYPE_CHECKING:
    from pynn.cli._data import Data
    from pynn.cli._train import Epoch, SimpleNet

HELP = "train a small network on handwritten digits"
_EPOCHS = {"digits": 20, "mnist": 5}
_MAX_RATE = 1000  # far above what can learn, far below what overflows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        choices=sorted(_EPOCHS),
        default="digits",
        help="digits: 1,797 images inside the package (default); mnist: 70,000 images from the folder in "
        "PYNN_DATA, the user's cache or the internet",
    )
    parser.add_argument(
        "--epochs", type=_at_least_one, metavar="N", help="default: 20 for digits, 5 for mnist"
    )
    parser.add_argument(
        "--lr", type=_rate, default=0.003, metavar="X", help="first learning rate (%(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=_at_least_one, default=64, metavar="N", help="images (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of weights and order (%(default)s)"
    )
    parser.add_argument("--threads", type=_at_least_one, metavar="N", help="default: as many as pynn chooses")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    import pynn
    from pynn.cli import _data

    with _one_line():
        data = _data.load(args.data)
        args.out.mkdir(parents=True, exist_ok=True)
    if args.threads is not None:
        pynn.set_num_threads(args.threads)
    epochs = args.epochs or _EPOCHS[args.data]
    say(f"{data.title}: {len(data.train_y)} images to train on, {len(data.test_y)} held out")
    say(f"784-128-10 network, {epochs} epochs, seed {args.seed}")
    say(f"Adam, lr {args.lr:g}, batch size {args.batch_size}")

    weights = args.out / "simplenet.safetensors"
    history: list[Epoch] = []
    try:
        net = _fit(data, epochs, args, weights, history)
        probabilities = _reload(net, data, weights)
        say(f"weights: {weights} (loaded again: the same predictions)")
        _show(data, probabilities)
        _plot(data, probabilities, history, args.out / "simplenet.png")
    except KeyboardInterrupt:
        kept = f"{weights} holds the weights of epoch {len(history)}" if history else "no epoch was finished"
        raise KeyboardInterrupt(kept) from None
    say(f"held-out accuracy {history[-1].accuracy:.2f} %")
    return 0


def say(line: str) -> None:
    print(line, flush=True)  # at once, also into a pipe or file


def _fit(data: Data, epochs: int, args: argparse.Namespace, weights: Path, history: list[Epoch]) -> SimpleNet:
    """Train, and after each epoch save the weights, extend `history` and print a line."""
    import pynn
    from pynn.cli import _train
    from pynn.serialization import save_weights

    pynn.manual_seed(args.seed)
    net = _train.SimpleNet()
    start = time.perf_counter()
    with _progress(epochs * math.ceil(len(data.train_y) / args.batch_size)) as bar:
        steps = _train.train(net, data, epochs, args.lr, args.batch_size, args.seed, bar.update)
        try:
            for epoch in steps:
                with _one_line():
                    save_weights(net.state_dict(), weights)
                history.append(epoch)
                line = f"epoch {len(history):{len(str(epochs))}}/{epochs}  loss {epoch.loss:.6f}"
                bar.write(f"{line}  accuracy {epoch.accuracy:.2f} %")
        except FloatingPointError as e:
            raise CliError(e) from e
    # apart from stdout, which is the same for every run with the same seed
    print(
        f"{time.perf_counter() - start:.1f} s on {pynn.get_num_threads()} thread(s)",
        file=sys.stderr,
        flush=True,
    )
    return net


def _reload(net: SimpleNet, data: Data, weights: Path) -> Any:
    """The probabilities of the held-out images, by a fresh net with the saved weights: array (N, 10)."""
    import pynn
    from pynn.cli import _train
    from pynn.serialization import load_weights

    fresh = _train.SimpleNet()
    with _one_line():
        fresh.load_state_dict(load_weights(weights))
    probabilities = _train.predict(fresh, data.test_x)
    if not pynn.equal(probabilities, _train.predict(net, data.test_x)):
        raise CliError(f"the weights loaded from {weights} do not give the same predictions")
    return probabilities.numpy()


def _show(data: Data, probabilities: Any) -> None:
    """Draw a few held-out digits, the first of each kind, with what the network says of them."""
    from pynn.cli import _terminal

    labels = data.test_y.tolist()
    picks = sorted(labels.index(label) for label in set(labels))[: _terminal.images_per_row()]
    captions = []
    for i in picks:
        best = int(probabilities[i].argmax())
        wrong = "" if best == labels[i] else f", is {labels[i]}"
        captions.append(f"{best} ({100 * probabilities[i][best]:.0f} %){wrong}")
    say(f"\n{_terminal.draw(data.test_x.numpy()[picks], captions)}\n")


def _plot(data: Data, probabilities: Any, history: list[Epoch], path: Path) -> None:
    try:
        from pynn.cli import _plot
    except ImportError:
        say("plot: none, since matplotlib is not installed (pip install matplotlib)")
        return
    with _one_line():
        _plot.save(path, data, probabilities, history)
    say(f"plot: {path}")


@contextmanager
def _one_line() -> Iterator[None]:
    """Files and data that cannot be used end the command with their one line."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError) as e:
        raise CliError(e) from e


class _Lines:
    """Stands for the progress bar where there is no terminal: plain lines only."""

    def update(self, n: int = 1) -> None:
        pass

    def write(self, line: str) -> None:
        say(line)


@contextmanager
def _progress(total: int) -> Iterator[_Lines]:
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield _Lines()
        return
    from tqdm import tqdm  # type: ignore[import-untyped]

    with tqdm(total=total, unit="step", leave=False, dynamic_ncols=True) as bar:
        yield bar


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"at least 1 required, got {text}")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= _MAX_RATE:
        raise argparse.ArgumentTypeError(f"above 0 and at most {_MAX_RATE} required, got {text}")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"0 to 2**64 - 1 required, got {text}")
    return value
