"""torchvision.transforms.v2's names."""

import numpy as np
import pytest

import pynn
from pynn.vision import transforms
from pynn.vision.transforms import v2


def test_they_are_those_of_the_first_version():
    for name in set(transforms.__all__) - {"functional"}:
        assert getattr(v2, name) is getattr(transforms, name)
    x = pynn.rand(3, 8, 8)
    assert pynn.equal(v2.functional.resize(x, [4, 4]), transforms.functional.resize(x, [4, 4]))
    assert v2.functional.InterpolationMode is transforms.InterpolationMode


def test_images_and_dtypes():
    Image = pytest.importorskip("PIL.Image", reason="Pillow makes the image")
    array = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    for image in (Image.fromarray(array), array):
        got = v2.ToImage()(image)
        assert got.dtype is pynn.uint8 and (got.numpy() == array.transpose(2, 0, 1)).all()
    assert v2.ToImage()(array[..., 0]).shape == (1, 2, 4) and v2.ToImage()(got) is got
    scaled = v2.ToDtype(pynn.float32, scale=True)(got)
    assert np.allclose(scaled.numpy(), got.numpy() / 255) and v2.ToDtype(pynn.float32)(got).max() == 23
    assert v2.functional.grayscale_to_rgb(got[:1]).shape == (3, 2, 4) and v2.ToPureTensor()(got) is got
    both = v2.Compose([v2.ToImage(), v2.ToDtype(pynn.float32, True), v2.Normalize([0.5] * 3, [0.5] * 3)])
    assert np.allclose(both(array).numpy(), (array.transpose(2, 0, 1) / 255 - 0.5) / 0.5, atol=1e-6)
