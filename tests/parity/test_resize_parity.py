"""Padding, interpolation, shuffles, fold, grid_sample and the dropouts beside PyTorch's."""

import itertools
import warnings

import numpy as np
import pytest
from both_libraries import LIBS, compare, compare_module, floats, same_error, tensor, values

pytestmark = pytest.mark.filterwarnings("ignore")

# -- pad ------------------------------------------------------------------------------------------------------------

PADS = [
    ((3, 4), (1, 2)),
    ((2, 3, 4), (2, 0)),
    ((2, 3, 4), (-1, 2)),
    ((2, 3, 4, 5), (1, 2, 3, 0)),
    ((3, 4, 5), (1, -2, 3, 0)),
    ((2, 3, 4, 5, 3), (1, 2, 1, 1, 0, 2)),
]


@pytest.mark.parametrize("shape,pads", PADS)
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad(shape, pads, mode):
    compare(lambda lib, x: lib.nn.functional.pad(x, pads, mode), floats(*shape))
    compare(lambda lib, x: lib.nn.functional.pad(x.mT, pads, mode), floats(*shape), dtype="float32")


def test_pad_values():
    compare(lambda lib, x: lib.nn.functional.pad(x, (1, 2, 0, 3), value=2.5), floats(3, 4))
    compare(lambda lib, x: lib.nn.functional.pad((x * 9).long(), (1, 2), value=2), floats(3, 4), grad=False)
    compare(lambda lib, x: lib.nn.functional.pad(x, (5, 9), "replicate"), floats(0, 3, 4))
    compare(lambda lib, x: lib.nn.functional.pad((x * 9).long(), (1, 2), "reflect"), floats(3, 4), grad=False)


PAD_MODULES = [
    ("ConstantPad1d", (2, 3.5), (2, 3, 4)),
    ("ConstantPad2d", ((1, 2, 3, 4), 0), (2, 3, 4, 5)),
    ("ConstantPad3d", (1, 2), (2, 3, 4, 5, 3)),
    ("ZeroPad1d", ((1, 2),), (2, 3, 4)),
    ("ZeroPad2d", (1,), (2, 3, 4, 5)),
    ("ZeroPad3d", (2,), (2, 3, 4, 5, 3)),
    ("ReflectionPad1d", (2,), (2, 3, 4)),
    ("ReflectionPad2d", ((1, 1, 2, 0),), (2, 3, 4, 5)),
    ("ReflectionPad3d", (1,), (2, 3, 4, 5, 3)),
    ("ReplicationPad1d", ((3, 1),), (3, 4)),
    ("ReplicationPad2d", (2,), (2, 3, 4, 5)),
    ("ReplicationPad3d", (1,), (2, 3, 4, 5, 3)),
    ("CircularPad1d", (2,), (2, 3, 4)),
    ("CircularPad2d", ((1, 1, 2, 0),), (2, 3, 4, 5)),
    ("CircularPad3d", (1,), (2, 3, 4, 5, 3)),
]


@pytest.mark.parametrize("name,args,shape", PAD_MODULES)
def test_pad_module(name, args, shape):
    compare_module(name, args, {}, floats(*shape))


# -- interpolate ----------------------------------------------------------------------------------------------------

SIZES = {1: (2, 3, 7), 2: (2, 3, 5, 7), 3: (1, 2, 4, 3, 5)}
MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}
TARGETS = [
    {"size": 3},
    {"size": 9},
    {"size": 1},
    {"scale_factor": 2},
    {"scale_factor": 0.6},
    {"scale_factor": 1.7},
    {"scale_factor": 1.7, "recompute_scale_factor": True},
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", TARGETS)
def test_interpolate(mode, target):
    for dims in MODES[mode]:
        corners = [None] if mode in ("nearest", "nearest-exact", "area") else [False, True]
        for align in corners:

            def call(lib, x, align=align):
                return lib.nn.functional.interpolate(x, mode=mode, align_corners=align, **target)

            compare(call, floats(*SIZES[dims]))
            compare(call, floats(*SIZES[dims]), dtype="float32")


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(3, 4), (2, 15), (13, 9), (1, 1), (11, 12)])
def test_antialias(mode, align, size):
    align = align and mode != "lanczos"  # which has no such
    compare(
        lambda lib, x: lib.nn.functional.interpolate(x, size, mode=mode, align_corners=align, antialias=True),
        floats(2, 3, 11, 12),
    )


def test_interpolate_rounding():
    """The neighbours of many sizes and scales, in float32 as PyTorch computes them."""
    for n, size in itertools.product((3, 10, 29, 64), (1, 2, 7, 31, 53, 96, 191)):
        for mode in ("nearest", "nearest-exact"):
            x = np.arange(n, dtype=np.float64).reshape(1, 1, n)
            compare(
                lambda lib, x, m=mode, s=size: lib.nn.functional.interpolate(x, s, mode=m), x, dtype="float32"
            )
    for scale in (0.3, 0.7, 1.1, 2.9, 3.3):
        x = np.arange(29, dtype=np.float64).reshape(1, 1, 29)
        for mode in ("nearest", "nearest-exact", "linear"):
            compare(
                lambda lib, x, m=mode, s=scale: lib.nn.functional.interpolate(x, scale_factor=s, mode=m),
                x,
                dtype="float32",
            )


def test_interpolate_dtypes():
    for mode in ("nearest", "bilinear", "bicubic"):
        for dtype in ("float16", "bfloat16"):
            compare(
                lambda lib, x, m=mode: lib.nn.functional.interpolate(x, (3, 9), mode=m),
                floats(1, 2, 5, 7),
                dtype=dtype,
                gradgrad=False,
            )
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 9), np.uint8)
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        a, b = (
            values(lib.nn.functional.interpolate(tensor(lib, image), (5, 13), mode=mode)).astype(int)
            for lib in LIBS
        )
        assert np.abs(a - b).max() <= (0 if "nearest" in mode else 1)


UP_MODULES = [
    ("Upsample", (), {"scale_factor": 2}),
    ("Upsample", ((3, 4),), {"mode": "bilinear", "align_corners": True}),
    ("Upsample", (), {"scale_factor": (2, 3), "mode": "bicubic", "recompute_scale_factor": True}),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}),
    ("UpsamplingBilinear2d", (5,), {}),
]


@pytest.mark.parametrize("name,args,kwargs", UP_MODULES)
def test_up_module(name, args, kwargs):
    compare_module(name, args, kwargs, floats(2, 3, 4, 5))


def test_old_names():
    for name in ("upsample", "upsample_nearest", "upsample_bilinear"):
        compare(lambda lib, x, f=name: getattr(lib.nn.functional, f)(x, scale_factor=2), floats(1, 2, 3, 4))


# -- shuffles and windows -------------------------------------------------------------------------------------------


def test_shuffles():
    compare(lambda lib, x: lib.pixel_shuffle(x, 2), floats(2, 8, 3, 4))
    compare(lambda lib, x: lib.nn.functional.pixel_shuffle(x, 2), floats(3, 2, 8, 3, 4))
    compare(lambda lib, x: lib.pixel_unshuffle(x, 2), floats(2, 2, 6, 4))
    compare(lambda lib, x: lib.channel_shuffle(x, 3), floats(2, 6, 3, 4))
    compare_module("PixelShuffle", (2,), {}, floats(8, 3, 4))
    compare_module("PixelUnshuffle", (2,), {}, floats(2, 6, 4))
    compare_module("ChannelShuffle", (2,), {}, floats(2, 6, 3, 4))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"dilation": (1, 2), "padding": (0, 2)}]
)
def test_windows(options):
    compare(lambda lib, x: lib.nn.functional.unfold(x, (2, 3), **options), floats(2, 3, 5, 6))
    compare(lambda lib, x: lib.nn.functional.unfold(x, 2, **options), floats(3, 5, 6), dtype="float32")

    def there_and_back(lib, x):
        col = lib.nn.functional.unfold(x, (2, 3), **options)
        return lib.nn.functional.fold(col.sin(), (5, 6), (2, 3), **options)

    compare(there_and_back, floats(2, 3, 5, 6))
    compare_module("Unfold", ((2, 3),), options, floats(2, 3, 5, 6))


def test_fold_module():
    compare_module("Fold", ((4, 5), 2), {}, floats(2, 12, 12))
    compare_module("Fold", (4, 2), {"stride": 2}, floats(12, 4))


# -- grid_sample ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode, padding, align):
    def call(lib, x, grid):
        return lib.nn.functional.grid_sample(x, grid, mode, padding, align)

    grid = floats(2, 6, 7, 2) * 1.3
    smooth = mode != "nearest"
    compare(
        call if smooth else lambda lib, x, g: call(lib, x, g.detach()), floats(2, 3, 4, 5), grid, tol=1e-8
    )
    compare(call, floats(2, 3, 4, 5), grid, dtype="float32", grad=False, tol=1e-4)
    compare(call, floats(1, 2, 1, 5), grid[:1], grad=False)
    if mode != "bicubic":
        grid = floats(2, 3, 2, 4, 3) * 1.3
        compare(call, floats(2, 2, 4, 5, 3), grid, tol=1e-8, gradgrad=False)


def test_affine_grid():
    for align in (False, True):
        for size, theta in (
            ((2, 3, 4, 5), (2, 2, 3)),
            ((2, 3, 1, 5), (2, 2, 3)),
            ((2, 3, 4, 5, 6), (2, 3, 4)),
        ):
            compare(lambda lib, t, s=size, a=align: lib.nn.functional.affine_grid(t, s, a), floats(*theta))


# -- dropout --------------------------------------------------------------------------------------------------------


def test_dropouts():
    x = np.random.default_rng(0).standard_normal((400, 500)).astype(np.float32)
    for name, given in (("alpha_dropout", x), ("feature_alpha_dropout", x[..., None])):
        found = []
        for lib in LIBS:
            lib.manual_seed(0)
            y = values(getattr(lib.nn.functional, name)(tensor(lib, given), 0.3, True))
            found.append(
                (np.unique(np.round(y[y < -1], 4))[:0].size, y.mean(), y.std(), (y == y.min()).mean())
            )
        np.testing.assert_allclose(*found, atol=0.01)
    for lib in LIBS:
        assert values(lib.nn.functional.alpha_dropout(lib.ones(4), 1.0, True)).tolist() == [0, 0, 0, 0]
    for name in ("AlphaDropout", "FeatureAlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d"):
        compare_module(name, (0.4,), {"inplace": False}, floats(2, 3, 4), train=False)
    compare_module("Softmax2d", (), {}, floats(2, 3, 4, 5))
    compare_module("Softmax2d", (), {}, floats(3, 4, 5))
    compare(
        lambda lib, x: lib.nn.functional.one_hot((x.abs() * 3).long().clamp(max=5), 6),
        floats(4, 5),
        grad=False,
    )


# -- errors ---------------------------------------------------------------------------------------------------------

ERRORS = [
    *[
        lambda lib, F, m=mode, s=shape, p=pads: F.pad(lib.ones(*s), p, m)
        for mode in ("reflect", "replicate", "circular")
        for shape, pads in (
            ((4,), (1, 1)),
            ((2, 3, 4, 4), (1, 1)),
            ((2, 3, 4, 4, 4), (1, 1, 1, 1)),
            ((2, 3, 4), (4, 0)),
            ((2, 3, 4), (-2, -2)),
            ((2, 3, 4), (3, 5)),
            ((2, 0, 4), (1, 1)),
            ((2, 3, 0), (1, 1)),
            ((2, 3, 4), (1,)),
            ((2, 3, 4), ()),
        )
    ],
    lambda lib, F: F.pad(lib.ones(2, 3), (1, 1), "foo"),
    lambda lib, F: F.pad(lib.ones(2, 3), (1, 1), "reflect", 1.0),
    lambda lib, F: F.pad(lib.ones(2, 3), (-4, 0)),
    *[
        lambda lib, F, k=kwargs: F.interpolate(lib.ones(2, 3, 4, 5), **k)
        for kwargs in (
            {},
            {"size": 3, "scale_factor": 2},
            {"size": (3, 4, 5)},
            {"scale_factor": (2,)},
            {"size": 3, "mode": "foo"},
            {"size": 3, "mode": "linear"},
            {"size": 3, "mode": "trilinear"},
            {"size": 3, "align_corners": True},
            {"size": 3, "antialias": True},
            {"size": 0},
            {"scale_factor": 0.1},
            {"size": 3, "recompute_scale_factor": True},
            {"size": (3, 4.0)},
            {"scale_factor": -1.0},
            {"size": 3, "mode": "lanczos"},
            {"size": 3, "mode": "lanczos", "antialias": True, "align_corners": True},
        )
    ],
    lambda lib, F: F.interpolate(lib.ones(2, 3), size=3),
    lambda lib, F: F.interpolate(lib.ones(2, 3, 4, 4, 4), size=3, mode="bicubic"),
    lambda lib, F: F.interpolate(lib.ones(2, 0, 4), size=3),
    lambda lib, F: F.interpolate(lib.ones(2, 3, 4, 4).long(), size=3),
    lambda lib, F: F.interpolate(lib.ones(2, 3, 4, 4).int(), size=3, mode="bilinear"),
    lambda lib, F: F.pixel_shuffle(lib.ones(3, 4), 2),
    lambda lib, F: F.pixel_shuffle(lib.ones(7, 3, 4), 2),
    lambda lib, F: F.pixel_shuffle(lib.ones(8, 3, 4), 0),
    lambda lib, F: F.pixel_unshuffle(lib.ones(2, 5, 4), 2),
    lambda lib, F: F.channel_shuffle(lib.ones(2, 6), 3),
    lambda lib, F: F.channel_shuffle(lib.ones(2, 6, 3), 4),
    lambda lib, F: F.unfold(lib.ones(2, 3, 4, 4), 5),
    lambda lib, F: F.unfold(lib.ones(2, 3, 4, 4), 2, stride=0),
    lambda lib, F: F.unfold(lib.ones(2, 3, 4, 4), (2, 2, 2)),
    lambda lib, F: F.unfold(lib.ones(2, 3, 4, 4).long(), 2),
    lambda lib, F: F.unfold(lib.ones(2, 0, 4, 4), 2),
    lambda lib, F: F.fold(lib.ones(2, 11, 9), 4, 2),
    lambda lib, F: F.fold(lib.ones(2, 12, 8), 4, 2),
    lambda lib, F: F.fold(lib.ones(2, 12, 9), (4, 4, 4), 2),
    lambda lib, F: F.fold(lib.ones(2, 12, 9).long(), 4, 2),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5), lib.ones(2, 6, 7, 3)),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5), lib.ones(3, 6, 7, 2)),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4), lib.ones(2, 6, 2)),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5), lib.ones(2, 6, 7, 2), mode="foo"),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5), lib.ones(2, 6, 7, 2), padding_mode="foo"),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5, 3), lib.ones(2, 6, 7, 2, 3), mode="bicubic"),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5), lib.ones(2, 6, 7, 2).double()),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 0, 5), lib.ones(2, 6, 7, 2)),
    lambda lib, F: F.grid_sample(lib.ones(2, 3, 4, 5).long(), lib.ones(2, 6, 7, 2)),
    lambda lib, F: F.affine_grid(lib.ones(2, 2, 3), (2, 3, 4)),
    lambda lib, F: F.affine_grid(lib.ones(2, 2, 3), (3, 3, 4, 5)),
    lambda lib, F: F.affine_grid(lib.ones(2, 3, 3), (2, 3, 4, 5)),
    lambda lib, F: F.affine_grid(lib.ones(2, 2, 3).long(), (2, 3, 4, 5)),
    lambda lib, F: F.affine_grid(lib.ones(2, 2, 3), (2, 3, 0, 5)),
    lambda lib, F: F.alpha_dropout(lib.ones(4), 1.5),
    lambda lib, F: F.feature_alpha_dropout(lib.ones(4), 0.5, True),
    lambda lib, F: F.alpha_dropout(lib.ones(4).long(), 0.5, True),
    lambda lib, F: lib.nn.AlphaDropout(-1),
    lambda lib, F: lib.nn.Softmax2d()(lib.ones(3, 4)),
    lambda lib, F: lib.nn.ReflectionPad2d(1)(lib.ones(4, 4)),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call):
    same_error(lambda lib: call(lib, lib.nn.functional))


def test_warnings():
    for call in (
        lambda lib: lib.nn.functional.grid_sample(lib.ones(1, 1, 3, 3), lib.zeros(1, 2, 2, 2)),
        lambda lib: lib.nn.functional.affine_grid(lib.ones(1, 2, 3), (1, 1, 2, 2)),
        lambda lib: lib.nn.functional.upsample(lib.ones(1, 1, 3, 3), 2),
    ):
        counts = []
        for lib in LIBS:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                call(lib)
            counts.append([w.category for w in caught])
        assert counts[0] == counts[1] != []
