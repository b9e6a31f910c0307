"""Convolutions and their transposes beside PyTorch's."""

import pytest
from both_libraries import compare, compare_module, floats, same_error

# batch, in, out, groups, kernel, stride, padding, dilation, size
SHAPES = [
    (2, 3, 4, 1, 3, 1, 0, 1, 7),
    (2, 4, 6, 2, 3, 2, 1, 1, 8),
    (3, 4, 4, 4, 3, 1, 1, 1, 9),
    (3, 4, 8, 4, 3, 2, 2, 2, 11),
    (1, 8, 8, 1, 1, 1, 0, 1, 6),
    (2, 8, 8, 2, 1, 1, 0, 1, 6),
    (1, 2, 3, 1, 2, 3, 1, 2, 12),
    (5, 17, 33, 1, 3, 1, 1, 1, 4),
    (2, 6, 6, 6, 2, 3, 0, 1, 15),
    (40, 16, 16, 1, 3, 1, 1, 1, 2),
    (40, 16, 16, 1, 1, 1, 0, 1, 2),
    (2, 64, 32, 1, 3, 1, 1, 1, 8),
    (1, 3, 3, 3, 4, 1, 4, 1, 6),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_conv(shape, dims, transposed):
    n, ci, co, groups, k, s, p, d, size = shape
    name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"
    w = (ci, co // groups) if transposed else (co, ci // groups)
    arrays = floats(n, ci, *[size + i for i in range(dims)]), floats(*w, *[k] * dims), floats(co)

    def call(lib, x, w, b):
        f = getattr(lib.nn.functional, name)
        return f(x, w, b, stride=s, padding=p, dilation=d, groups=groups)

    compare(call, *arrays)
    compare(call, *arrays, dtype="float32", tol=1e-4)
    if dims < 3 and ci * k**dims < 80:
        compare(call, *arrays, dtype="bfloat16", tol=6e-2, gradgrad=False)
        compare(call, *arrays, dtype="float16", tol=8e-3, gradgrad=False)


def test_layouts_and_unbatched():
    x, w = floats(2, 6, 5, 3), floats(4, 3, 3, 3)
    compare(lambda lib, x, w: lib.nn.functional.conv2d(x.permute(0, 3, 1, 2), w, padding=1), x, w)
    compare(lambda lib, x, w: lib.nn.functional.conv2d(x.permute(0, 3, 1, 2)[1, :, ::2], w[::2]), x, w)
    compare(
        lambda lib, x, w: lib.conv2d(x.contiguous(memory_format=lib.channels_last), w),
        floats(2, 3, 6, 5),
        w,
    )


MODULES = [
    ("Conv1d", (4, 6, 3), {}, (2, 4, 9)),
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2}, (4, 9)),
    ("Conv2d", (4, 6, (3, 2), 2, 1, (2, 1), 2, False, "circular"), {}, (2, 4, 9, 8)),
    ("Conv2d", (4, 6, 3), {"padding": 1, "padding_mode": "reflect"}, (2, 4, 5, 6)),
    ("Conv2d", (4, 6, 4), {"padding": "same", "padding_mode": "replicate"}, (2, 4, 5, 6)),
    ("Conv2d", (4, 4, 3), {"groups": 4, "stride": (1, 2)}, (4, 5, 6)),
    ("Conv3d", (2, 3, 2), {"padding": (0, 1, 1)}, (2, 2, 4, 3, 5)),
    ("Conv3d", (2, 3, (1, 2, 3)), {"padding": "valid", "padding_mode": "circular"}, (2, 2, 4, 3, 5)),
    ("ConvTranspose1d", (4, 6, 3, 2), {}, (2, 4, 5)),
    ("ConvTranspose2d", (4, 6, 3, 2, 1, 1, 2, False, 2), {}, (2, 4, 5, 4)),
    ("ConvTranspose3d", (2, 4, (1, 2, 3)), {"stride": 2}, (2, 3, 2, 3)),
]


@pytest.mark.parametrize("name,args,kwargs,shape", MODULES)
def test_module(name, args, kwargs, shape):
    compare_module(name, args, kwargs, floats(*shape))


def test_output_size():
    for size in ((9, 10), (2, 6, 10, 9), None):
        compare_module("ConvTranspose2d", (4, 6, 3, 2), {}, floats(2, 4, 4, 4), forward={"output_size": size})
    for size in ((20, 20), (10,), (8, 9)):
        same_error(
            lambda lib, s=size: lib.nn.ConvTranspose2d(2, 4, 3, 2)(lib.ones(1, 2, 4, 4), output_size=s)
        )


def test_repr():
    for args, kwargs in (((1, 2, 3), {"padding": "same"}), ((2, 4, 3), {"padding": "valid", "groups": 2})):
        compare_module("Conv1d", args, kwargs, floats(2, args[0], 8))


ERRORS = [
    lambda lib: lib.conv2d(lib.ones(1, 1, 4, 4, dtype=lib.bool), lib.ones(1, 1, 2, 2, dtype=lib.bool)),
    lambda lib: lib.conv2d(lib.ones(1, 1, 4, 4, dtype=lib.int32), lib.ones(1, 1, 2, 2, dtype=lib.int32)),
    lambda lib: lib.conv_transpose1d(lib.ones(1, 1, 4, dtype=lib.int32), lib.ones(1, 1, 2, dtype=lib.int32)),
    lambda lib: lib.conv2d(lib.ones(1, 1, 4, 4).double(), lib.ones(1, 1, 2, 2)),
    lambda lib: lib.conv2d(lib.ones(1, 1, 4, 4), lib.ones(1, 1, 2, 2), lib.ones(1).double()),
    lambda lib: lib.conv2d(lib.ones(1, 2, 4, 4), lib.ones(1, 1, 2, 2)),
    lambda lib: lib.conv2d(lib.ones(1, 2, 4, 4), lib.ones(3, 1, 2, 2), groups=2),
    lambda lib: lib.conv2d(lib.ones(1, 2, 4, 4), lib.ones(3, 2, 2)),
    lambda lib: lib.conv2d(lib.ones(2, 4), lib.ones(3, 2, 2, 2)),
    lambda lib: lib.conv2d(lib.ones(1, 2, 0, 4), lib.ones(3, 2, 2, 2), padding=2),
    lambda lib: lib.conv2d(lib.ones(1, 2, 4, 4), lib.ones(0, 2, 2, 2)),
    lambda lib: lib.conv2d(lib.ones(1, 2, 4, 4), lib.ones(3, 2, 2, 2), padding="foo"),
    lambda lib: lib.conv2d(lib.ones(1, 2, 4, 4), lib.ones(3, 2, 2, 2), stride=[2]),
    lambda lib: lib.conv_transpose2d(lib.ones(1, 2, 4, 4), lib.ones(2, 3, 2, 2), padding=8),
    lambda lib: lib.nn.Conv2d(3, 4, 3, padding="same", stride=2),
    lambda lib: lib.nn.Conv2d(3, 4, 3, padding="x"),
    lambda lib: lib.nn.Conv2d(3, 4, 3, padding_mode="x"),
    lambda lib: lib.nn.Conv2d(3, 4, 3, groups=0),
    lambda lib: lib.nn.Conv2d(3, 4, 3, groups=2),
    lambda lib: lib.nn.ConvTranspose2d(4, 3, 3, padding_mode="circular"),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call):
    same_error(call)
