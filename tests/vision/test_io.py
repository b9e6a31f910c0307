"""vision.io: images through Pillow, there and back."""

import pytest

import pynn
from pynn.vision import io

pytest.importorskip("PIL", reason="images are read by Pillow")


@pytest.mark.parametrize("channels", [1, 3])
def test_there_and_back(tmp_path, channels):
    pynn.manual_seed(0)
    image = pynn.randint(0, 256, (channels, 5, 7), dtype=pynn.uint8)
    io.write_png(image, tmp_path / "x.png")
    assert pynn.equal(io.read_image(tmp_path / "x.png"), image)
    assert pynn.equal(io.decode_png(io.read_file(tmp_path / "x.png")), image)
    assert io.read_image(str(tmp_path / "x.png"), mode="RGB").shape == (3, 5, 7)
    assert io.read_image(tmp_path / "x.png", io.ImageReadMode.GRAY).shape == (1, 5, 7)
    smooth = pynn.arange(64).reshape(1, 8, 8).expand(channels, 8, 8).to(pynn.uint8)
    io.write_jpeg(smooth, tmp_path / "x.jpg", quality=95)
    assert (io.read_image(tmp_path / "x.jpg").int() - smooth.int()).abs().max() < 8


def test_errors(tmp_path):
    with pytest.raises(RuntimeError, match="decode_image"):
        io.decode_image(pynn.zeros(10, dtype=pynn.uint8))
    with pytest.raises(RuntimeError, match="encode_png"):
        io.encode_png(pynn.zeros(3, 2, 2))
    with pytest.raises(OSError):
        io.read_image(tmp_path / "nothing.png")
