"""Pooling beside PyTorch's."""

import pytest
from both_libraries import LIBS, compare, compare_module, floats, same_error, tensor

SIZES = {1: (2, 3, 11), 2: (2, 3, 9, 10), 3: (2, 2, 5, 6, 7)}
OPTIONS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": (3,), "stride": []},
]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("options", OPTIONS)
def test_sliding(dims, options):
    x = floats(*SIZES[dims])

    def call(name, **more):
        return lambda lib, x: getattr(lib.nn.functional, f"{name}_pool{dims}d")(x, **options, **more)

    for dtype in ("float64", "float32", "bfloat16", "float16"):
        compare(call("max", return_indices=True), x, dtype=dtype)
        if dims < 3 or not dtype.endswith("16"):  # which PyTorch lacks
            compare(call("avg"), x, dtype=dtype)
    compare(call("max", dilation=2), floats(*[s + 2 for s in SIZES[dims]]))
    compare(call("avg", count_include_pad=False), x)
    if dims > 1:
        compare(call("avg", divisor_override=5), x)
    compare(call("max"), x[0])
    compare(call("avg"), x[0])
    if dims > 1:
        compare(lambda lib, x: call("max", return_indices=True)(lib, (x * 9).long()), x, grad=False)
        compare(lambda lib, x: call("avg")(lib, (x * 9).long()), x, grad=False)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_adaptive(dims):
    x = floats(*SIZES[dims])
    for kind in ("max", "avg"):
        for size in (1, 3, 7):

            def call(lib, x, kind=kind, size=size):
                return getattr(lib.nn.functional, f"adaptive_{kind}_pool{dims}d")(x, size)

            compare(call, x)
            compare(call, x[0], dtype="float32")
        if dims > 1:
            call = lambda lib, x, k=kind: getattr(lib.nn.functional, f"adaptive_{k}_pool{dims}d")(
                x, (None, *[2] * (dims - 1))
            )
            compare(call, x)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_lp_and_unpool(dims):
    x = abs(floats(*SIZES[dims])) + 0.1
    compare(lambda lib, x: getattr(lib.nn.functional, f"lp_pool{dims}d")(x, 2, 3, 2, ceil_mode=True), x)

    def unpool(lib, x, size=None):
        f = lib.nn.functional
        y, i = getattr(f, f"max_pool{dims}d")(x, 2, return_indices=True)
        return getattr(f, f"max_unpool{dims}d")(y, i, 2, output_size=size)

    compare(unpool, floats(2, 3, *[6, 4, 8][:dims]))
    compare(lambda lib, x: unpool(lib, x, x.shape), x)
    compare(lambda lib, x: unpool(lib, x, x.shape[2:]), x)


@pytest.mark.parametrize("dims", [2, 3])
def test_fractional(dims):
    x = floats(2, 3, *[9, 8, 10][:dims])
    samples = abs(floats(2, 3, dims)) % 1
    f = f"fractional_max_pool{dims}d"

    def call(lib, x, samples):
        return getattr(lib.nn.functional, f)(
            x, 2, output_ratio=(0.5,) * dims, return_indices=True, _random_samples=samples.detach()
        )

    compare(call, x, samples)
    compare(call, x, samples, dtype="float32")

    def drawn(lib, x):
        lib.manual_seed(4)
        return getattr(lib.nn.functional, f)(x, (3, 2, 2)[:dims], output_size=(4,) * dims)

    compare(drawn, x)


MODULES = [
    ("MaxPool1d", (2,), {}, (2, 3, 9)),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True, "return_indices": True}, (2, 3, 8, 9)),
    ("MaxPool2d", ((2, 3),), {"dilation": (1, 2)}, (3, 8, 9)),
    ("MaxPool3d", ((1, 2, 3),), {}, (1, 2, 4, 5, 6)),
    ("AvgPool1d", (3,), {}, (2, 3, 9)),
    (
        "AvgPool2d",
        ((2, 3),),
        {"ceil_mode": True, "count_include_pad": False, "divisor_override": 2},
        (2, 3, 8, 9),
    ),
    ("AvgPool3d", (2, 2), {}, (1, 2, 4, 5, 6)),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 3, 8)),
    ("AdaptiveAvgPool2d", ((1, None),), {}, (2, 3, 8, 9)),
    ("AdaptiveAvgPool3d", (2,), {}, (1, 2, 4, 5, 6)),
    ("AdaptiveMaxPool1d", (3,), {"return_indices": True}, (2, 3, 8)),
    ("AdaptiveMaxPool2d", ((3, 2),), {}, (2, 3, 8, 9)),
    ("AdaptiveMaxPool3d", (2,), {}, (1, 2, 4, 5, 6)),
    ("LPPool1d", (2, 3, 1), {}, (2, 3, 9)),
    ("LPPool2d", (2, 3), {}, (2, 3, 8, 9)),
    ("LPPool3d", (2, 3), {}, (1, 2, 4, 5, 6)),
    ("FractionalMaxPool2d", (2,), {"output_size": 3}, (2, 3, 8, 9)),
    ("FractionalMaxPool3d", (2,), {"output_ratio": 0.5}, (1, 2, 4, 5, 6)),
]


@pytest.mark.parametrize("name,args,kwargs,shape", MODULES)
def test_module(name, args, kwargs, shape):
    compare_module(name, args, kwargs, floats(*shape))


def test_unpool_modules():
    for dims in (1, 2, 3):
        found = []
        for lib in LIBS:
            m = getattr(lib.nn, f"MaxUnpool{dims}d")(2, padding=0)
            y, i = getattr(lib.nn, f"MaxPool{dims}d")(2, return_indices=True)(
                tensor(lib, floats(*SIZES[dims]))
            )
            found.append((repr(m), m(y, i, output_size=SIZES[dims]).tolist()))
        assert found[0] == found[1]


ERRORS = [
    lambda lib: lib.nn.functional.max_pool2d(lib.ones(4, 4), 2),
    lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 2, 0, 4), 2),
    lambda lib: lib.nn.functional.max_pool2d(lib.ones(2, 0, 4, 4), 2),
    lambda lib: lib.nn.functional.max_pool2d(lib.ones(0, 2, 4, 4), 2),
    lambda lib: lib.nn.functional.max_pool2d(lib.ones(2, 4, 4), 2, padding=2),
    lambda lib: lib.nn.functional.avg_pool2d(lib.ones(2, 4, 4), 2, padding=2),
    lambda lib: lib.nn.functional.avg_pool2d(lib.ones(2, 4, 4), (2, 2, 2)),
    lambda lib: lib.nn.functional.avg_pool2d(lib.ones(2, 4, 4), 5),
    lambda lib: lib.nn.functional.max_pool2d(lib.ones(2, 4, 4, dtype=lib.bool), 2),
    lambda lib: lib.nn.functional.max_pool1d(lib.ones(2, 4, dtype=lib.int64), 2),
    lambda lib: lib.nn.functional.avg_pool2d(lib.ones(2, 4, 4, dtype=lib.int32), 2),
    lambda lib: lib.nn.functional.avg_pool2d(lib.ones(2, 4, 4), 2, divisor_override=0),
    lambda lib: lib.nn.functional.avg_pool1d(lib.ones(2, 4), 2, divisor_override=2),
    lambda lib: lib.nn.functional.adaptive_avg_pool2d(lib.ones(4, 4), 2),
    lambda lib: lib.nn.functional.adaptive_avg_pool2d(lib.ones(2, 4, 4), (2, 2, 2)),
    lambda lib: lib.nn.functional.adaptive_avg_pool2d(lib.ones(2, 4, 4), -1),
    lambda lib: lib.nn.functional.adaptive_avg_pool1d(lib.ones(2, 4), (None,)),
    lambda lib: lib.nn.functional.adaptive_max_pool2d(lib.ones(2, 0, 4), 2),
    lambda lib: lib.nn.functional.adaptive_max_pool2d(lib.ones(2, 4, 4, dtype=lib.int64), 2),
    lambda lib: lib.nn.functional.max_unpool2d(lib.ones(2, 2, 2), lib.full((2, 2, 2), 99), 2),
    lambda lib: lib.nn.functional.max_unpool2d(lib.ones(2, 2, 2), lib.ones(2, 2, 1).long(), 2),
    lambda lib: lib.nn.functional.fractional_max_pool2d(lib.ones(2, 9, 9), 2),
    lambda lib: lib.nn.functional.fractional_max_pool2d(lib.ones(2, 9, 9), 2, output_size=9),
    lambda lib: lib.nn.FractionalMaxPool2d(2),
    lambda lib: lib.nn.FractionalMaxPool2d(2, 1, 0.5),
    lambda lib: lib.nn.FractionalMaxPool2d(2, output_ratio=1.5),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call):
    same_error(call)
