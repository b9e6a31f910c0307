"""The picture of the demo: loss and accuracy by epoch, and held-out digits with their predictions."""

from __future__ import annotations

import os
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pynn._files import atomic_write
from pynn.cli._data import Data
from pynn.cli._train import Epoch

_BLUE, _GREEN, _RED, _GREY = "#2563eb", "#15803d", "#dc2626", "#6b7280"
_COLUMNS, _ROWS = 6, 4


def save(path: str | os.PathLike[str], data: Data, probabilities: Any, history: list[Epoch]) -> None:
    figure: Any = Figure(figsize=(11, 5.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.15], wspace=0.03)
    figure.suptitle(
        f"{data.title}: held-out accuracy {history[-1].accuracy:.2f} %", fontsize=13, weight="bold"
    )
    _curves(left, history)
    _digits(right, data, probabilities)
    with atomic_write(path) as out:
        figure.savefig(out, format="png")


def _curves(figure: Any, history: list[Epoch]) -> None:
    epochs = range(1, len(history) + 1)
    top, bottom = figure.subplots(2, 1, sharex=True)
    style = {"linewidth": 2, "marker": "o", "markersize": 3.5}
    top.plot(epochs, [e.loss for e in history], color=_BLUE, **style)
    top.set_ylabel("training loss")
    top.set_ylim(bottom=0)
    bottom.plot(epochs, [e.accuracy for e in history], color=_GREEN, **style)
    bottom.set_ylabel("held-out accuracy, %")
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (top, bottom):
        axes.grid(color="#e5e7eb", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)


def _digits(figure: Any, data: Data, probabilities: Any) -> None:
    """Evenly spaced images; the last row shows mistakes, as far as there are any."""
    images, labels = data.test_x.numpy(), data.test_y.numpy()
    guesses = probabilities.argmax(1)
    wrong = (guesses != labels).nonzero()[0][:_COLUMNS]
    right = (guesses == labels).nonzero()[0]
    count = min(_COLUMNS * _ROWS - len(wrong), len(right))
    picks = [right[i * len(right) // count] for i in range(count)] + list(wrong)
    axes = list(figure.subplots(_ROWS, _COLUMNS).flat)
    figure.suptitle("held-out digits: the prediction and its probability, mistakes in red", fontsize=10)
    for place in axes:
        place.set(xticks=[], yticks=[])
        place.spines[:].set(color="#d1d5db", linewidth=0.8)
    for place in axes[len(picks) :]:
        place.set_axis_off()
    for place, i in zip(axes, picks, strict=False):
        place.imshow(images[i], cmap="gray_r", vmin=0, vmax=1)
        text = f"{guesses[i]}  {100 * probabilities[i, guesses[i]]:.0f} %"
        if guesses[i] == labels[i]:
            place.set_title(text, fontsize=9, color=_GREY, pad=3)
        else:
            place.set_title(f"{text}, is {labels[i]}", fontsize=9, color=_RED, pad=3)
