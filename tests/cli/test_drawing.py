"""Digits drawn in the terminal, and the scaling of small images."""

import numpy as np

from pynn.cli import _terminal
from pynn.cli._data import enlarge


def picture(lines):
    """The drawing without the line of captions, padded to full width."""
    return [line.ljust(_terminal._SIDE) for line in lines.splitlines()[:-1]]


def test_half_blocks_show_the_upper_and_lower_pixel():
    image = np.zeros((_terminal._SIDE, _terminal._SIDE))
    image[0, 0] = image[1, 1] = image[0, 2] = image[1, 2] = 1
    rows = picture(_terminal.draw(image[None], ["one"], blocks=True))
    assert rows[0].rstrip() == "\u2580\u2584\u2588"
    assert len(rows) == _terminal._SIDE // 2 and not "".join(rows[1:]).strip()


def test_ascii_shades_from_dark_to_bright():
    image = np.linspace(0, 1, 28)[None, :].repeat(28, axis=0)
    rows = picture(_terminal.draw(image[None], ["ramp"], blocks=False))
    assert len(set(rows)) == 1
    assert rows[0].isascii() and rows[0][0] == " " and rows[0][-1] == "@"
    shades = [_terminal._SHADES.index(c) for c in rows[0]]
    assert shades == sorted(shades)


def test_an_empty_image_and_several_captions():
    text = _terminal.draw(np.zeros((2, 28, 28)), ["left", "right"], blocks=True)
    last = text.splitlines()[-1]
    assert text.strip() == last.strip()
    assert last.index("right") == _terminal._SIDE + len(_terminal._GAP)


def test_images_per_row_follow_the_terminal(monkeypatch):
    for columns, count in ((10, 1), (80, 3), (1000, 6)):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert _terminal.images_per_row() == count


def test_enlarge_is_bilinear():
    ramp = np.arange(8.0)[None, None, :].repeat(8, axis=1)
    big = enlarge(ramp)
    assert big.shape == (1, 28, 28) and big.dtype == np.float32
    centres = (np.arange(28) + 0.5) * 8 / 28 - 0.5
    np.testing.assert_allclose(big[0], np.clip(centres, 0, 7)[None].repeat(28, axis=0), atol=1e-6)
    np.testing.assert_allclose(enlarge(ramp.swapaxes(1, 2)), big.swapaxes(1, 2), atol=1e-6)
