"""Convolutions of half types, by AMX where the CPU has it: values and both derivatives against a direct sum in float64."""

from pathlib import Path

import numpy as np
import pytest
from helpers import arr, run_python, same_bits, tensor, to_numpy
from ops.test_convolution import conv

import pynn

F = pynn.nn.functional

# Images, input channels of a group, output channels of all, size, kernel, options: around the edges of AMX's registers
# (16 and 32 pixels or channels), few channels whose taps are joined, strides and dilations.
CASES = [
    ((1, 32, 32, 4, 4), (3, 3), {"padding": 1}),
    ((2, 33, 31, 7, 9), (3, 3), {"padding": 1}),
    ((3, 20, 70, 5, 6), (3, 3), {}),
    ((1, 64, 40, 14, 14), (3, 3), {"padding": 1}),
    ((2, 1, 6, 13, 12), (5, 5), {}),
    ((1, 3, 17, 30, 31), (7, 7), {"stride": 2, "padding": 3}),
    ((2, 6, 16, 11, 40), (3, 3), {"padding": (1, 2), "dilation": (2, 1)}),
    ((2, 8, 12, 9, 33), (3, 4), {"padding": 3, "dilation": (1, 3)}),
    ((2, 40, 24, 9, 10), (3, 3), {"stride": 2, "padding": 1}),
    ((2, 18, 33, 13, 11), (2, 3), {"stride": (3, 2), "padding": (0, 2), "groups": 3}),
    ((1, 5, 3, 6, 6), (2, 2), {"stride": 3}),  # inputs that nothing reads
    ((1, 4, 3, 2, 2), (3, 3), {"padding": 4}),  # outputs that read nothing
    ((3, 17, 20, 5, 7), (1, 1), {}),
    ((2, 34, 8, 9, 7), (1, 1), {"stride": 2}),
    ((2, 33, 40, 1, 1), (1, 1), {}),
    ((9, 96, 100, 9, 9), (3, 3), {"padding": 1}),  # tasks own channels
    ((1, 16, 16, 70, 130), (3, 3), {"padding": 1}),  # several parts of an image
    ((2, 12, 20, 50), (5,), {"padding": 2}),
    ((2, 1, 12, 9, 10), (3, 3), {"padding": 1, "groups": 12}),
    ((1, 3, 4, 5, 4, 6), (3, 2, 2), {"padding": 1}),
]


def check(dtype, shape, kernel, options, bound):
    n, ci, co, *size = shape
    x, w = arr(n, ci * options.get("groups", 1), *size), arr(co, ci, *kernel, seed=2) / 4
    f = getattr(F, f"conv{len(kernel)}d")
    leaves = [tensor(t, dtype, requires_grad=True) for t in (x, w, arr(co, seed=3))]
    exact = [to_numpy(t.detach().double()) for t in leaves]
    y = f(*leaves, **options)
    g = tensor(arr(*y.shape, seed=5), dtype)
    grads = pynn.autograd.grad(y, leaves[:2], g)
    assert same_bits(f(*leaves, **options, relu=True), F.relu(y))
    doubles = [tensor(t, pynn.float64, requires_grad=True) for t in exact]
    expected = [
        conv(*exact, **options),
        *pynn.autograd.grad(f(*doubles, **options), doubles[:2], g.double()),
    ]
    for found, right in zip((y, *grads), expected, strict=True):
        right = right if isinstance(right, np.ndarray) else to_numpy(right)
        error = np.abs(to_numpy(found.detach().double()) - right).max()
        assert error <= bound * np.abs(right).max(), (shape, options)
    return y, *grads


@pytest.mark.parametrize("dtype,bound", [(pynn.bfloat16, 5e-3), (pynn.float16, 1e-3)])
@pytest.mark.parametrize("case", CASES)
def test_values(dtype, bound, case, threads):
    found = []
    for n in (1, 2, 16):
        threads(n)
        found.append(check(dtype, *case, bound))
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_not_finite(value):
    """A value that is not finite reaches what reads it and nothing else."""
    x, w, g = arr(2, 20, 12, 13), arr(24, 20, 3, 3, seed=2), arr(2, 24, 12, 13, seed=4)
    bad_x, bad_g = x.copy(), g.copy()
    bad_x[1, 3, 5, 12] = bad_x[0, 2, 0, 0] = bad_x[0, 7, 11, 12] = value
    bad_g[0, 3, 0, 5] = bad_g[1, 2, 11, 12] = value
    results = []
    for dtype in (pynn.bfloat16, pynn.float64):
        leaves = [tensor(t, pynn.bfloat16).to(dtype).requires_grad_() for t in (bad_x, w)]
        y = F.conv2d(*leaves, padding=1)
        dw = pynn.autograd.grad(y, leaves[1], tensor(g, pynn.bfloat16).to(dtype), retain_graph=True)
        dx = pynn.autograd.grad(y, leaves[0], tensor(bad_g, pynn.bfloat16).to(dtype))
        results.append([to_numpy(t.detach().double()) for t in (y, *dx, *dw)])
    for found, expected in zip(*results, strict=True):
        usual = np.isfinite(expected)
        assert (np.isfinite(found) == usual).all()
        np.testing.assert_array_equal(found[~usual], expected[~usual])


def check_all():
    for case in CASES:
        check(pynn.bfloat16, *case, 5e-3)


def test_without_amx():
    here = Path(__file__).parent
    code = f"import sys; sys.path[:0] = [{str(here.parent)!r}]\n"
    code += "from ops import test_convolution_half as t; t.check_all()"
    status, out = run_python(code, env={"PYNN_CPU_DOT": "avx512"})
    assert status == 0, out
