"""Transforms, on Pillow images and on tensors. Values were compared with torchvision's; here they are worked out."""

import math
import random

import numpy as np
import pytest

import pynn
from pynn.vision import transforms as T
from pynn.vision.transforms import functional as F
from pynn.vision.utils import make_grid

Image = pytest.importorskip("PIL.Image")

BYTES = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PIL = Image.fromarray(BYTES)
GRAY = Image.fromarray(BYTES[:, :, 0])
U8 = pynn.from_numpy(BYTES).permute(2, 0, 1).contiguous()
FLOAT = U8.float() / 255
IMAGES = pytest.mark.parametrize("image", [PIL, GRAY, U8, FLOAT], ids=["pil", "gray", "uint8", "float"])


def array(x):
    """(C, H, W)"""
    x = x.numpy() if isinstance(x, pynn.Tensor) else np.asarray(x)
    return x[None] if x.ndim == 2 else (x.transpose(2, 0, 1) if x.shape[-1] in (3,) else x)


# ---- conversions ----


def test_to_tensor_and_back():
    t = T.ToTensor()(PIL)
    assert t.dtype == pynn.float32 and t.shape == (3, 20, 30) and t.is_contiguous()
    np.testing.assert_array_equal(t.numpy(), BYTES.transpose(2, 0, 1).astype(np.float32) / 255)
    assert (np.asarray(T.ToPILImage()(t)) == BYTES).all() and (np.asarray(T.ToPILImage()(U8)) == BYTES).all()
    assert T.ToTensor()(GRAY).shape == (1, 20, 30)
    assert T.ToTensor()(BYTES).tolist() == t.tolist()
    assert T.ToTensor()(BYTES.astype(np.float64)).dtype == pynn.float64
    assert T.PILToTensor()(PIL).tolist() == U8.tolist()
    assert T.ToTensor()(GRAY.convert("1")).unique().tolist() == [0, 1]
    assert (
        T.ToTensor()(GRAY.convert("I")).dtype == pynn.int32
        and T.ToTensor()(GRAY.convert("F")).dtype == pynn.float32
    )
    assert (
        T.ToPILImage("RGBA")(pynn.zeros(4, 2, 2)).mode == "RGBA"
        and T.ToPILImage()(pynn.zeros(2, 3)).mode == "L"
    )
    for bad in (t, [1], "x"):
        with pytest.raises(TypeError, match="pic should be"):
            T.ToTensor()(bad)
    with pytest.raises(ValueError, match="4 channels"):
        T.ToPILImage()(pynn.zeros(5, 2, 2))


def test_normalize():
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]
    out = T.Normalize(mean, std)(FLOAT)
    expected = (FLOAT.numpy() - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)
    x = FLOAT.clone()
    assert T.Normalize(mean, std, inplace=True)(x) is x and x.tolist() == out.tolist()
    with pytest.raises(ValueError, match="zero"):
        T.Normalize([0.0], [0.0])(FLOAT)
    with pytest.raises(TypeError, match="float tensor"):
        T.Normalize(mean, std)(U8)


def test_convert_image_dtype():
    assert F.convert_image_dtype(pynn.tensor([0.0, 0.5, 1.0]), pynn.uint8).tolist() == [0, 127, 255]
    assert F.convert_image_dtype(pynn.tensor([0, 255], dtype=pynn.uint8), pynn.float64).tolist() == [0, 1]
    assert F.convert_image_dtype(pynn.tensor([0, 1, 255], dtype=pynn.uint8), pynn.int16).tolist() == [
        0,
        128,
        32640,
    ]
    assert F.convert_image_dtype(pynn.tensor([32640], dtype=pynn.int16), pynn.uint8).tolist() == [255]
    with pytest.raises(RuntimeError, match="safely"):
        F.convert_image_dtype(FLOAT, pynn.int32)


# ---- geometry ----


@IMAGES
def test_flips_and_crops(image):
    whole = array(image)
    assert (array(F.hflip(image)) == whole[:, :, ::-1]).all() and (
        array(F.vflip(image)) == whole[:, ::-1]
    ).all()
    assert (array(F.crop(image, 3, 4, 5, 6)) == whole[:, 3:8, 4:10]).all()
    beyond = array(F.crop(image, -2, 25, 10, 10))
    assert beyond.shape[1:] == (10, 10) and (beyond[:, 2:, :5] == whole[:, :8, 25:]).all()
    assert not beyond[:, :2].any() and not beyond[:, :, 5:].any()
    assert not array(F.crop(image, 100, 100, 4, 4)).any()
    assert (array(T.CenterCrop(10)(image)) == whole[:, 5:15, 10:20]).all()
    padded = array(T.CenterCrop((24, 10))(image))
    assert padded.shape[1:] == (24, 10) and (padded[:, 2:22] == whole[:, :, 10:20]).all()
    five = T.FiveCrop(4)(image)
    assert (array(five[0]) == whole[:, :4, :4]).all() and (array(five[3]) == whole[:, -4:, -4:]).all()
    assert len(T.TenCrop((4, 5))(image)) == 10


@IMAGES
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [2, (1, 3), (1, 2, 3, 4)])
def test_pad(image, mode, padding):
    left, top, right, bottom = F._sides(padding)
    expected = np.pad(array(image), ((0, 0), (top, bottom), (left, right)), mode=mode)
    assert (array(T.Pad(padding, padding_mode=mode)(image)) == expected).all()


def test_pad_with_a_colour_and_negative():
    assert T.Pad(1, fill=7)(U8)[0, 0, 0] == 7
    assert np.asarray(T.Pad(1, fill=(1, 2, 3))(PIL))[0, 0].tolist() == [1, 2, 3]
    assert (T.Pad(-2)(U8) == U8[:, 2:-2, 2:-2]).all()
    with pytest.raises(ValueError, match="1, 2, or 4 element"):
        T.Pad((1, 2, 3))
    with pytest.raises(ValueError, match="number of channels"):
        T.Pad(1, fill=(1, 2))(PIL)


@pytest.mark.parametrize(
    "size, max_size, expected",
    [
        (10, None, (10, 15)),
        ([10], None, (10, 15)),
        ((7, 9), None, (7, 9)),
        (10, 12, (8, 12)),
        (40, None, (40, 60)),
    ],
)
@IMAGES
def test_resize_sizes(image, size, max_size, expected):
    assert array(T.Resize(size, max_size=max_size)(image)).shape[1:] == expected
    assert array(T.Resize((20, 30))(image)).shape[1:] == (20, 30)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 11), (40, 45), (20, 11)])
def test_antialiased_resize_of_tensors_is_pillows(mode, size):
    kind = T.InterpolationMode(mode)
    floats = F.resize(FLOAT, size, kind)
    for c in range(3):
        channel = Image.fromarray(FLOAT[c].numpy())
        expected = np.asarray(channel.resize(size[::-1], F._pil.filter_of(mode)))
        np.testing.assert_allclose(floats[c].numpy(), expected, atol=1e-5)
    if mode == "bilinear":  # bicubic overshoots, and Pillow clips that between rows and columns
        difference = array(F.resize(U8, size, kind)).astype(int) - array(F.resize(PIL, size, kind)).astype(
            int
        )
        assert abs(difference).max() <= 1


def test_plain_resize_of_tensors():
    x = pynn.tensor([[[0.0, 4.0, 8.0, 12.0]]])
    assert F.resize(x, (1, 2), antialias=False).flatten().tolist() == [2, 10]
    assert F.resize(x, (1, 8), antialias=False).flatten().tolist() == [0, 1, 3, 5, 7, 9, 11, 12]
    assert F.resize(x, (1, 2), T.InterpolationMode.NEAREST).flatten().tolist() == [0, 8]
    assert F.resize(x, (1, 2), T.InterpolationMode.NEAREST_EXACT).flatten().tolist() == [4, 12]
    with pytest.raises(ValueError, match="strictly greater"):
        F.resize(x, 5, max_size=5)
    with pytest.raises(ValueError, match="nearest, bilinear or bicubic"):
        F.resize(x, 5, T.InterpolationMode.LANCZOS)
    assert F.resize(PIL, 5, T.InterpolationMode.LANCZOS).size == (7, 5) and F.resize(PIL, 5, 2).size == (7, 5)


def test_quarter_turns():
    square = U8[:, :, :20]
    for quarter in range(4):
        turned = F.rotate(square, 90.0 * quarter).numpy()
        np.testing.assert_array_equal(turned, np.rot90(square.numpy(), quarter, axes=(1, 2)))
    whole = F.rotate(FLOAT, 90.0, T.InterpolationMode.BILINEAR, expand=True)
    np.testing.assert_allclose(whole.numpy(), np.rot90(FLOAT.numpy(), axes=(1, 2)), atol=1e-4)
    assert np.asarray(F.rotate(PIL, 90, expand=True)).tolist() == np.rot90(BYTES).tolist()


def test_rotation_fills_the_corners():
    out = F.rotate(pynn.ones(3, 20, 20), 45.0, fill=[0.1, 0.2, 0.3])
    assert out[:, 0, 0].tolist() == pytest.approx([0.1, 0.2, 0.3]) and out[0, 10, 10] == 1
    smooth = F.rotate(pynn.ones(1, 20, 20), 45.0, T.InterpolationMode.BILINEAR, fill=[0.5])
    assert smooth.min() >= 0.499 and smooth.max() <= 1.001
    assert np.asarray(F.rotate(PIL, 45, fill=9))[0, 0].tolist() == [9, 9, 9]


def test_affine_shifts_and_scales():
    x = pynn.arange(25.0).reshape(1, 5, 5)
    shifted = F.affine(x, 0.0, [1, 2], 1.0, [0.0, 0.0])
    assert (shifted[:, 2:, 1:] == x[:, :3, :4]).all() and not shifted[:, :2].any()
    assert F.affine(x, 0.0, [0, 0], 2.0, [0.0, 0.0])[0, 2, 2] == x[0, 2, 2]
    np.testing.assert_array_equal(
        F.affine(x, 90.0, [0, 0], 1.0, [0.0, 0.0]).numpy(), np.rot90(x.numpy(), -1, axes=(1, 2))
    )
    assert np.asarray(F.affine(GRAY, 0, [1, 0], 1.0, [0, 0]))[:, 1:].tolist() == BYTES[:, :-1, 0].tolist()


def test_blur_keeps_the_sum_and_spreads():
    x = pynn.zeros(1, 9, 9)
    x[0, 4, 4] = 1
    y = F.gaussian_blur(x, 3, 1.0)
    side = math.exp(-0.5)
    taps = np.array([side, 1, side]) / (1 + 2 * side)
    np.testing.assert_allclose(y[0, 3:6, 3:6].numpy(), np.outer(taps, taps), rtol=1e-5)
    assert F.gaussian_blur(PIL, 5).size == PIL.size
    with pytest.raises(ValueError, match="odd"):
        T.GaussianBlur(4)


# ---- colour ----


@pytest.mark.parametrize("adjust", [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation])
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_tensors_change_as_pillow_images_do(adjust, factor):
    ours, theirs = array(adjust(U8, factor)).astype(int), array(adjust(PIL, factor)).astype(int)
    assert abs(ours - theirs).max() <= 2
    if factor == 1:
        assert (ours == BYTES.transpose(2, 0, 1)).all()


def test_hue():
    red = pynn.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert F.adjust_hue(red, 1 / 3).flatten().tolist() == pytest.approx([0, 1, 0], abs=1e-5)
    assert F.adjust_hue(red, -1 / 3).flatten().tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    np.testing.assert_allclose(F.adjust_hue(FLOAT, 0.0).numpy(), FLOAT.numpy(), atol=1e-5)
    turned = np.asarray(F.adjust_hue(Image.new("RGB", (1, 1), (255, 0, 0)), 1 / 3))[0, 0]
    assert turned[1] > 250 and turned[0] < 10
    with pytest.raises(ValueError, match=r"not in \[-0.5, 0.5\]"):
        F.adjust_hue(red, 0.6)


def test_other_colours():
    assert (F.invert(U8) == 255 - U8).all() and np.allclose(F.invert(FLOAT).numpy(), 1 - FLOAT.numpy())
    assert F.rgb_to_grayscale(FLOAT, 3).shape == FLOAT.shape and F.rgb_to_grayscale(U8).shape == (1, 20, 30)
    assert T.Grayscale(3)(PIL).mode == "RGB" and T.Grayscale()(PIL).mode == "L"
    assert (F.posterize(U8, 2) == U8 // 64 * 64).all()
    assert (F.solarize(U8, 100) == pynn.where(U8 >= 100, 255 - U8, U8)).all()
    stretched = F.autocontrast(FLOAT * 0.5 + 0.2)
    assert stretched.min().item() == pytest.approx(0, abs=1e-6) and stretched.max().item() == pytest.approx(
        1, abs=1e-6
    )
    assert (array(F.equalize(U8)) == array(F.equalize(PIL))).all()
    np.testing.assert_allclose(F.adjust_gamma(FLOAT, 2).numpy(), FLOAT.numpy() ** 2, atol=1e-6)
    assert (F.adjust_sharpness(U8, 1.0) == U8).all()


# ---- random ----


@IMAGES
def test_random_transforms_keep_type_and_repeat_with_the_seed(image):
    every = [
        T.RandomCrop(12, padding=2),
        T.RandomCrop(40, pad_if_needed=True),
        T.RandomHorizontalFlip(),
        T.RandomVerticalFlip(),
        T.RandomRotation(30),
        T.RandomAffine(10, (0.1, 0.1), (0.8, 1.2), 5),
        T.RandomResizedCrop(16),
        T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        T.RandomInvert(),
        T.GaussianBlur(3),
        T.RandomApply([T.RandomCrop(5)], p=0.5),
        T.RandomChoice([T.CenterCrop(4), T.Pad(2)]),
        T.RandomOrder([T.CenterCrop(4), T.Pad(2)]),
    ]
    for transform in every:
        results = []
        for seed in (0, 0, 1, 2, 3, 4, 5):
            pynn.manual_seed(seed)
            random.seed(seed)
            out = transform(image)
            assert isinstance(out, pynn.Tensor) == isinstance(image, pynn.Tensor)
            if isinstance(image, pynn.Tensor):
                assert out.dtype == image.dtype
            else:
                assert out.mode == image.mode
            results.append(array(out).tobytes())
        assert results[0] == results[1] and len(set(results)) > 1, transform


def test_random_crop_reaches_every_place():
    places = {T.RandomCrop.get_params(PIL, (18, 29)) for _ in range(200)}
    assert {place[:2] for place in places} == {(i, j) for i in range(3) for j in range(2)}
    with pytest.raises(ValueError, match="larger than input image size"):
        T.RandomCrop(21)(U8)


def test_resized_crop_in_its_ranges():
    for _ in range(50):
        top, left, h, w = T.RandomResizedCrop.get_params(PIL, (0.2, 0.5), (0.8, 1.25))
        assert 0 <= top <= 20 - h and 0 <= left <= 30 - w
        assert 0.15 < h * w / 600 < 0.57 and 0.65 < w / h < 1.5
    assert T.RandomResizedCrop.get_params(pynn.zeros(1, 4, 400), (0.9, 1.0), (1.0, 1.0)) == (0, 198, 4, 4)


def test_probabilities():
    assert (T.RandomHorizontalFlip(1.0)(U8) == U8.flip(-1)).all() and T.RandomHorizontalFlip(0.0)(U8) is U8
    flips = sum(T.RandomVerticalFlip(0.25)(U8) is not U8 for _ in range(400))
    assert 60 < flips < 140


def test_erasing():
    pynn.manual_seed(0)
    out = T.RandomErasing(1.0)(FLOAT)
    gone = (out == 0) & (FLOAT != 0)
    assert 0.01 < gone.float().mean().item() < 0.4 and FLOAT.min() == U8.min() / 255
    x = FLOAT.clone()
    assert T.RandomErasing(1.0, value="random", inplace=True)(x) is x and (x != FLOAT).any()
    coloured = T.RandomErasing(1.0, value=(7, 8, 9))(FLOAT)
    assert set(coloured[1][coloured[1] > 1].tolist()) == {8.0}
    with pytest.raises(ValueError, match="number of input channels"):
        T.RandomErasing(1.0, value=(1, 2))(FLOAT)


def test_wrong_arguments():
    for make, words in [
        (lambda: T.ColorJitter(brightness=-1), "non negative"),
        (lambda: T.ColorJitter(hue=0.7), "hue values should be between"),
        (lambda: T.RandomRotation(-3), "must be positive"),
        (lambda: T.RandomRotation([1, 2, 3]), "sequence of length 2"),
        (lambda: T.RandomCrop((1, 2, 3)), "two dimensions"),
        (lambda: T.Resize((1, 2, 3)), "1 or 2 values"),
        (lambda: T.RandomErasing(p=2), "between 0 and 1"),
        (lambda: T.RandomAffine(1, translate=(2, 0)), "between 0 and 1"),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(TypeError, match="callable"):
        T.Lambda(3)
    with pytest.raises(TypeError, match="PIL Image or Tensor"):
        T.Resize(3)(BYTES)
    with pytest.raises(TypeError, match="InterpolationMode"):
        T.Resize(3, "bilinear")


def test_repr():
    pipeline = T.Compose(
        [T.Resize((3, 4)), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize([0.1], [0.2])]
    )
    assert repr(pipeline).splitlines() == [
        "Compose(",
        "    Resize(size=(3, 4), interpolation=bilinear, max_size=None, antialias=True)",
        "    RandomHorizontalFlip(p=0.5)",
        "    ToTensor()",
        "    Normalize(mean=[0.1], std=[0.2])",
        ")",
    ]
    assert repr(T.RandomResizedCrop(3)) == (
        "RandomResizedCrop(size=(3, 3), scale=(0.08, 1.0), ratio=(0.75, 1.3333), interpolation=bilinear, antialias=True)"
    )


# ---- grids ----


def test_make_grid():
    x = pynn.arange(5 * 1 * 2 * 3.0).reshape(5, 1, 2, 3)
    grid = make_grid(x, nrow=3, padding=1, pad_value=-1)
    assert grid.shape == (3, 7, 13) and (grid[0] == grid[2]).all()
    assert (
        (grid[0, 1:3, 5:8] == x[1, 0]).all() and (grid[0, 4:6, 1:4] == x[3, 0]).all() and grid[0, 4, 9] == -1
    )
    scaled = make_grid(x, normalize=True, padding=0)
    assert scaled.min() == 0 and scaled.max() == 1
    each = make_grid(x, normalize=True, scale_each=True, nrow=1, padding=0)
    assert (each[0, :2] == each[0, 2:4]).all() and x[1, 0, 0, 0] == 6
    assert make_grid(x[0, 0]).shape == (3, 2, 3) and make_grid([x[0], x[1]], padding=0).shape == (3, 2, 6)
    with pytest.raises(TypeError, match="tensor or list of tensors"):
        make_grid(3)
