"""Batch, instance, group, RMS and response normalisation beside PyTorch's."""

import numpy as np
import pytest
from both_libraries import LIBS, assert_close, compare, compare_module, floats, same_error, tensor

SHAPES = [(5, 3), (4, 3, 5), (3, 4, 6, 5), (2, 3, 2, 4, 3), (70, 33), (3, 17, 9, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm(shape):
    c = shape[1]
    arrays = floats(*shape), floats(c, seed=1), floats(c, seed=2)
    running = floats(c, seed=3), abs(floats(c, seed=4)) + 0.5

    def train(lib, x, w, b):
        m, v = (tensor(lib, r, str(x.dtype)[6:]) for r in running)
        return lib.nn.functional.batch_norm(x, m, v, w, b, True, 0.3, 1e-4), m, v

    def evaluate(lib, x, w, b):
        m, v = (tensor(lib, r, str(x.dtype)[6:]) for r in running)
        return lib.nn.functional.batch_norm(x, m, v, w, b, False)

    for call in (train, evaluate):
        compare(call, *arrays)
        compare(call, *arrays, dtype="float32", tol=1e-4)
        compare(call, *arrays, dtype="bfloat16", gradgrad=False, tol=5e-2)
    compare(lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True), arrays[0])
    compare(
        lambda lib, x: lib.nn.functional.batch_norm(x.mT.contiguous().mT, None, None, training=True),
        arrays[0],
    )


@pytest.mark.parametrize(
    "shape,groups", [((5, 6), 3), ((4, 6, 5), 2), ((3, 4, 6, 5), 4), ((2, 6, 2, 4, 3), 1)]
)
def test_group_norm(shape, groups):
    arrays = floats(*shape), floats(shape[1], seed=1), floats(shape[1], seed=2)
    compare(lambda lib, x, w, b: lib.nn.functional.group_norm(x, groups, w, b), *arrays)
    compare(
        lambda lib, x, w, b: lib.nn.functional.group_norm(x, groups, w, b), *arrays, dtype="float32", tol=1e-4
    )
    compare(lambda lib, x: lib.nn.functional.group_norm(x, groups, eps=1e-2), arrays[0])


@pytest.mark.parametrize("shape", [(4, 3, 5), (3, 3, 6, 5), (2, 3, 2, 4, 3)])
def test_instance_norm(shape):
    running = floats(3, seed=3), abs(floats(3, seed=4)) + 0.5

    def call(lib, x, w, b, by_input=True):
        m, v = (tensor(lib, r, str(x.dtype)[6:]) for r in running)
        return lib.nn.functional.instance_norm(x, m, v, w, b, by_input, 0.3), m, v

    arrays = floats(*shape), floats(3, seed=1), floats(3, seed=2)
    compare(call, *arrays)
    compare(lambda *a: call(*a, by_input=False), *arrays)
    compare(lambda lib, x: lib.nn.functional.instance_norm(x), arrays[0], dtype="float32", tol=1e-4)


def test_rms_and_response():
    x, w = floats(4, 3, 5), floats(3, 5)
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        compare(
            lambda lib, x: lib.nn.functional.rms_norm(x, (5,)), x, dtype=dtype, gradgrad=dtype[-2:] != "16"
        )
        compare(
            lambda lib, x, w: lib.nn.functional.rms_norm(x, (3, 5), w, 1e-3),
            x,
            w,
            dtype=dtype,
            gradgrad=False,
        )
    for lib in LIBS:  # the input's type, whatever the weight's is
        half = tensor(lib, x, "bfloat16")
        assert lib.nn.functional.rms_norm(half, (5,), lib.ones(5)).dtype == lib.bfloat16
    for shape in ((2, 6, 4), (2, 6, 3, 3), (2, 6, 2, 2, 3)):
        for size in (2, 5):
            compare(lambda lib, x, s=size: lib.nn.functional.local_response_norm(x, s, 0.1), floats(*shape))


MODULES = [
    ("BatchNorm1d", (3,), {}, (4, 3)),
    ("BatchNorm1d", (3,), {"bias": False}, (4, 3, 5)),
    ("BatchNorm2d", (3,), {"eps": 1e-3, "momentum": None}, (4, 3, 5, 4)),
    ("BatchNorm3d", (3,), {"affine": False, "track_running_stats": False}, (2, 3, 2, 3, 4)),
    ("InstanceNorm1d", (3,), {}, (4, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True}, (3, 5)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, (4, 3, 5, 4)),
    ("InstanceNorm3d", (3,), {}, (2, 3, 2, 3, 4)),
    ("GroupNorm", (3, 6), {}, (4, 6, 5)),
    ("GroupNorm", (3, 6), {"affine": False}, (4, 6)),
    ("GroupNorm", (2, 6), {"bias": False, "eps": 1e-3}, (4, 6, 3, 2)),
    ("RMSNorm", (5,), {}, (4, 5)),
    ("RMSNorm", ((2, 3),), {"eps": 1e-3, "elementwise_affine": False}, (4, 2, 3)),
    ("LocalResponseNorm", (3,), {}, (2, 6, 4)),
]


@pytest.mark.parametrize("name,args,kwargs,shape", MODULES)
@pytest.mark.parametrize("train", [True, False])
def test_module(name, args, kwargs, shape, train):
    compare_module(name, args, kwargs, floats(*shape), tol=1e-4, train=train)


@pytest.mark.parametrize("kwargs", [{}, {"momentum": None}, {"momentum": 0.7}])
def test_running_statistics_over_steps(kwargs):
    found = []
    for lib in LIBS:
        m = lib.nn.BatchNorm2d(3, **kwargs)
        for seed in range(3):
            m(tensor(lib, floats(4, 3, 5, 4, seed=seed), "float32"))
        m.eval()
        found.append([*m.state_dict().values(), m(tensor(lib, floats(1, 3, 5, 4, seed=9), "float32"))])
    for a, b in zip(*found, strict=True):
        assert_close(a, b, 1e-5)


def test_old_state_dicts():
    for lib in LIBS:
        state = lib.nn.BatchNorm1d(3).state_dict()
        del state["num_batches_tracked"]
        state._metadata[""]["version"] = 1
        assert str(lib.nn.BatchNorm1d(3).load_state_dict(state)) == "<All keys matched successfully>"
    same_error(lambda lib: lib.nn.InstanceNorm1d(3).load_state_dict({"running_mean": lib.ones(3)}))


ERRORS = [
    lambda lib, F: F.batch_norm(lib.ones(2, 3), None, None),
    lambda lib, F: F.batch_norm(lib.ones(2, 3), lib.ones(2), lib.ones(3)),
    lambda lib, F: F.batch_norm(lib.ones(1, 3), None, None, training=True),
    lambda lib, F: F.batch_norm(lib.ones(3), None, None, training=True),
    lambda lib, F: F.batch_norm(lib.ones(2, 3).double(), lib.ones(3), lib.ones(3), lib.ones(3)),
    lambda lib, F: F.batch_norm(lib.ones(2, 3).long(), None, None, training=True),
    lambda lib, F: F.batch_norm(lib.ones(2, 3), lib.ones(3), lib.ones(3), eps=-1),
    lambda lib, F: F.instance_norm(lib.ones(2, 3)),
    lambda lib, F: F.instance_norm(lib.ones(2, 3, 4), use_input_stats=False),
    lambda lib, F: F.instance_norm(lib.ones(2, 3, 4), weight=lib.ones(2)),
    lambda lib, F: F.group_norm(lib.ones(2, 6, 4), 4),
    lambda lib, F: F.group_norm(lib.ones(6), 3),
    lambda lib, F: F.group_norm(lib.ones(2, 6), 0),
    lambda lib, F: F.group_norm(lib.ones(1, 2, 1), 2),
    lambda lib, F: F.rms_norm(lib.ones(2, 6), (5,)),
    lambda lib, F: F.rms_norm(lib.ones(2, 6), 6),
    lambda lib, F: F.rms_norm(lib.ones(2, 6).long(), (6,)),
    lambda lib, F: F.local_response_norm(lib.ones(2, 6), 3),
    lambda lib, F: F.local_response_norm(lib.ones(2, 6, 4), 0),
    lambda lib, F: lib.nn.BatchNorm1d(3)(lib.ones(2, 3, 4, 4)),
    lambda lib, F: lib.nn.BatchNorm2d(3)(lib.ones(2, 4, 4, 4)),
    lambda lib, F: lib.nn.InstanceNorm2d(3, affine=True)(lib.ones(2, 4, 4, 4)),
    lambda lib, F: lib.nn.InstanceNorm1d(3)(lib.ones(3)),
    lambda lib, F: lib.nn.GroupNorm(4, 6),
]


@pytest.mark.parametrize("call", ERRORS)
def test_errors(call):
    same_error(lambda lib: call(lib, lib.nn.functional))


def test_values_far_from_zero():
    x = (1e4 + floats(4, 3, 50)).astype(np.float32)
    compare(
        lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True),
        x,
        dtype="float32",
        grad=False,
        tol=1e-3,
    )
