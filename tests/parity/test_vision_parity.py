"""Transforms, grids and data sets beside torchvision's, when that is installed: the same seeds give the same images."""

import random

import numpy as np
import pytest

import pynn
import pynn.vision.datasets
import pynn.vision.transforms
import pynn.vision.utils

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")
try:
    import torchvision
except Exception as e:  # a build for another torch raises RuntimeError
    pytest.skip(f"torchvision is not usable: {e}", allow_module_level=True)

NOISE = np.random.default_rng(0).integers(0, 255, (37, 53, 3), dtype=np.uint8)
PIL = Image.fromarray(NOISE).resize((200, 150)).resize((53, 37))
GRAY = PIL.convert("L")
BYTES = np.asarray(PIL).transpose(2, 0, 1).copy()
FLOATS = BYTES.astype(np.float32) / 255


def array(x):
    if isinstance(x, (list, tuple)):
        return [array(y) for y in x]
    return x.numpy() if isinstance(x, (torch.Tensor, pynn.Tensor)) else np.asarray(x)


def mode(name):
    return lambda T: getattr(T.InterpolationMode, name)


# name, arguments, keywords, inputs (pil, gray, uint8, float), allowed difference of bytes, allowed share beyond it
CASES = [
    *[("Resize", (s,), {}, "pguf", 1, 0) for s in (20, (10, 70), [64], (80, 90))],
    *[
        ("Resize", (s,), {"interpolation": mode(m)}, "pguf", 1, 0)
        for s in (20, (80, 90))
        for m in ("NEAREST", "BICUBIC", "NEAREST_EXACT")
    ],
    ("Resize", (20,), {"antialias": False}, "uf", 1, 0),
    ("Resize", (64,), {"antialias": False, "interpolation": mode("BICUBIC")}, "uf", 1, 0),
    ("Resize", (30,), {"max_size": 35}, "pguf", 1, 0),
    *[("CenterCrop", (s,), {}, "pguf", 0, 0) for s in (20, (10, 30), (60, 30), 80, [5])],
    ("RandomCrop", (20,), {}, "pguf", 0, 0),
    ("RandomCrop", ((30, 50),), {"padding": 4}, "pguf", 0, 0),
    ("RandomCrop", (60,), {"pad_if_needed": True}, "pguf", 0, 0),
    ("RandomCrop", (32,), {"padding": (1, 2, 3, 4), "padding_mode": "reflect"}, "pguf", 0, 0),
    ("RandomCrop", (60,), {}, "pguf", 0, 0),
    *[
        ("Pad", ((3, 5, 0, 1),), {"padding_mode": m}, "pguf", 0, 0)
        for m in ("constant", "edge", "reflect", "symmetric")
    ],
    ("Pad", (-2,), {}, "pguf", 0, 0),
    ("Pad", ((3, 5),), {"fill": 7}, "pguf", 0, 0),
    ("RandomHorizontalFlip", (), {}, "pguf", 0, 0),
    ("RandomVerticalFlip", (0.3,), {}, "pguf", 0, 0),
    ("RandomInvert", (), {}, "pguf", 0, 0),
    ("RandomGrayscale", (0.5,), {}, "pguf", 0, 0),
    ("RandomAutocontrast", (), {}, "pguf", 1, 0),
    ("RandomEqualize", (), {}, "pgu", 0, 0),
    ("RandomPosterize", (3,), {}, "pgu", 0, 0),
    ("RandomSolarize", (128,), {}, "pgu", 0, 0),
    ("RandomAdjustSharpness", (2,), {}, "pguf", 1, 0),
    ("RandomResizedCrop", (24,), {}, "pguf", 1, 0),
    ("RandomResizedCrop", ((24, 12),), {"scale": (0.5, 1.0)}, "pguf", 1, 0),
    ("RandomRotation", (30,), {}, "pguf", 0, 0),
    ("RandomRotation", ((10, 80),), {"expand": True}, "pguf", 0, 0),
    ("RandomRotation", (30,), {"fill": 100}, "pgu", 0, 0),
    ("RandomRotation", (30,), {"center": (3, 7)}, "pguf", 0, 0),
    ("RandomRotation", (45,), {"interpolation": mode("BILINEAR")}, "pguf", 1, 0.002),
    ("RandomAffine", (30,), {"translate": (0.1, 0.2), "scale": (0.7, 1.3), "shear": 10}, "pguf", 0, 0),
    ("RandomAffine", (30,), {"shear": (1, 2, 3, 20)}, "pguf", 0, 0),
    ("ColorJitter", (0.4, 0.4, 0.4, 0.1), {}, "pguf", 1, 0.01),
    ("Grayscale", (), {}, "pguf", 0, 0),
    ("Grayscale", (3,), {}, "pguf", 0, 0),
    ("GaussianBlur", (5,), {}, "pguf", 1, 0),
    ("GaussianBlur", ((3, 7),), {}, "pguf", 1, 0),
    ("RandomErasing", (0.9,), {}, "uf", 0, 0),
    ("RandomErasing", (1,), {"value": "random"}, "f", 0, 0),
    ("RandomErasing", (1,), {"value": (1, 2, 3)}, "uf", 0, 0),
    ("FiveCrop", (20,), {}, "pguf", 0, 0),
    ("TenCrop", (20,), {}, "pguf", 0, 0),
    ("ToTensor", (), {}, "pg", 0, 0),
    ("PILToTensor", (), {}, "pg", 0, 0),
    ("ToPILImage", (), {}, "uf", 0, 0),
    ("Normalize", ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)), {}, "f", 0, 0),
    ("RandomApply", (lambda T: [T.ColorJitter(0.2), T.RandomHorizontalFlip()],), {"p": 0.6}, "pguf", 1, 0),
    ("RandomChoice", (lambda T: [T.RandomVerticalFlip(1), T.RandomHorizontalFlip(1)],), {}, "pguf", 0, 0),
    ("RandomOrder", (lambda T: [T.CenterCrop(20), T.RandomHorizontalFlip(1)],), {}, "pguf", 0, 0),
]


@pytest.mark.parametrize("name, args, kwargs, inputs, off, share", CASES)
def test_transforms(name, args, kwargs, inputs, off, share):
    for kind in inputs:
        for seed in range(4):
            results = []
            for fw, T in ((torch, torchvision.transforms), (pynn, pynn.vision.transforms)):
                image = {"p": PIL, "g": GRAY}.get(kind)
                if image is None:
                    image = fw.from_numpy((BYTES if kind == "u" else FLOATS).copy())
                fw.manual_seed(seed)
                random.seed(seed)
                a = [v(T) if callable(v) else v for v in args]
                k = {key: v(T) if callable(v) else v for key, v in kwargs.items()}
                try:
                    out = array(getattr(T, name)(*a, **k)(image))
                except Exception as e:
                    out = e
                results.append(out)
            theirs, ours = results
            if isinstance(theirs, Exception) or isinstance(ours, Exception):
                assert type(theirs) is type(ours), (kind, theirs, ours)
                continue
            for x, y in zip(*((r if isinstance(r, list) else [r]) for r in results), strict=True):
                assert x.shape == y.shape and x.dtype == y.dtype, (kind, x.shape, y.shape, x.dtype, y.dtype)
                limit = off if x.dtype == np.uint8 else 2e-5
                wrong = (np.abs(x.astype(float) - y.astype(float)) > limit).mean()
                assert wrong <= share, (kind, seed, wrong)


def test_grids_and_fake_data():
    fake = pynn.vision.datasets.FakeData(3, (3, 8, 8)), torchvision.datasets.FakeData(3, (3, 8, 8))
    for i in range(3):
        assert (np.asarray(fake[0][i][0]) == np.asarray(fake[1][i][0])).all() and fake[0][i][1] == fake[1][i][
            1
        ]
    for n in (1, 3, 8, 11):
        x = torch.randn(n, 1 + 2 * (n % 2), 5, 7)
        for options in (
            {},
            {"nrow": 3, "padding": 1},
            {"normalize": True},
            {"normalize": True, "scale_each": True},
        ):
            theirs = torchvision.utils.make_grid(x, **options).numpy()
            ours = pynn.vision.utils.make_grid(pynn.from_numpy(x.numpy()), **options).numpy()
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_repr():
    for make in (
        lambda T: T.Resize((3, 4)),
        lambda T: T.RandomCrop(3),
        lambda T: T.RandomHorizontalFlip(),
        lambda T: T.Normalize([0.1], [0.2]),
        lambda T: T.Compose([T.ToTensor(), T.CenterCrop(3)]),
        lambda T: T.RandomRotation(3),
        lambda T: T.RandomResizedCrop(3),
        lambda T: T.ColorJitter(0.1),
        lambda T: T.Pad(2),
        lambda T: T.RandomErasing(),
        lambda T: T.Grayscale(),
        lambda T: T.RandomApply([T.ToTensor()]),
        lambda T: T.Lambda(len),
        lambda T: T.ToPILImage(),
    ):
        assert repr(make(pynn.vision.transforms)) == repr(make(torchvision.transforms))
