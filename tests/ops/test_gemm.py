"""The paths of the one product behind matmul, linear and their kin: sizes around every border between them and inside
of them, layouts, NaN and infinities, threads; half types and int8 with and without the CPU's dot instructions."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from helpers import run_python, same_bits, tensor, to_numpy

import pynn

FLOATS = {pynn.float32: 3e-6, pynn.float64: 1e-14, pynn.bfloat16: 4e-3, pynn.float16: 5e-4}

# Borders: rows of a tile (6, 8), vectors (4 to 32 columns), dots (12 rows), copying B (24 rows and 640 KiB), blocks of
# k (640), threads (2^18 multiply-adds).
SHAPES = [
    (7, 31, 33),
    (8, 32, 64),
    (9, 33, 65),
    (17, 48, 31),
    (12, 100, 300),
    (13, 100, 320),
    (64, 10, 128),
    (64, 128, 784),
    (25, 260, 641),
    (24, 300, 1300),
    (3, 600, 700),
    (2, 600, 700),
    (1, 4100, 70),
    (70, 4100, 65),
    (300, 70, 1),
    (66, 66, 66),
    (130, 257, 96),
    (2050, 130, 40),
    (4, 37, 100),
    (7, 50, 170),
    (11, 33, 270),
]
# AMX: blocks of 32 x 32, of 512 or 1024 elements of k, panels of B of 1 MiB, copies of A of 2^23 elements.
AMX_SHAPES = [(33, 65, 1100), (100, 300, 2100), (16, 40, 512), (70, 70, 512)]

# float32 by parts on AMX: blocks of 32 x 32, 12 steps of 32 elements of k, panels of 1 MiB, 2,048 rows at a time; few
# rows make the panel.
SPLIT_SHAPES = [
    (128, 128, 128),
    (97, 130, 400),
    (70, 500, 790),
    (2100, 70, 390),
    (48, 900, 385),
    (500, 700, 33),
    (460, 500, 400),  # more than one panel
]


def operands(m, n, k, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return tensor(rng.standard_normal((m, k)), dtype), tensor(rng.standard_normal((k, n)), dtype)


def layouts(t):
    """The same matrix with its rows, its columns, and neither along memory, rows one element further apart."""
    r, c = t.shape
    wide = pynn.zeros(r, c + 1, dtype=t.dtype)
    wide[:, :c] = t
    tall = pynn.zeros(c, r + 1, dtype=t.dtype)
    tall[:, :r] = t.t()
    loose = pynn.zeros(2 * r, 2 * c, dtype=t.dtype)
    loose[::2, ::2] = t
    return wide[:, :c], tall[:, :r].t(), loose[::2, ::2]


def check(got, a, b, dtype, extra=0.0):
    a, b = to_numpy(a).astype(np.float64), to_numpy(b).astype(np.float64)
    step = FLOATS[dtype]
    bound = step * np.abs(a @ b + extra) + 2e-6 * (math.sqrt(a.shape[1]) + 1) if step > 1e-10 else 1e-12
    assert (np.abs(to_numpy(got).astype(np.float64) - (a @ b + extra)) <= bound).all()


def check_layouts(m, n, k, dtype):
    a, b = operands(m, n, k, dtype)
    for x, y in itertools.product(layouts(a), layouts(b)):
        check(x @ y, a, b, dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layouts(shape, dtype):
    check_layouts(*shape, dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_result_layouts_and_epilogues(shape, dtype):
    m, n, k = shape
    a, b = operands(m, n, k, dtype)
    c, bias = operands(m, n, n, dtype, seed=1)[0], operands(1, n, 1, dtype, seed=2)[1][0]
    for out in layouts(pynn.full((m, n), math.nan, dtype=dtype)):
        pynn.mm(a, b, out=out)
        check(out, a, b, dtype)
    check(pynn.nn.functional.linear(a, b.t(), bias), a, b, dtype, to_numpy(bias).astype(float))
    check(pynn.nn.functional.linear(a, b.t().contiguous(), bias), a, b, dtype, to_numpy(bias).astype(float))
    check(pynn.addmm(c[:, :n], a, b, beta=0.5), a, b, dtype, 0.5 * to_numpy(c[:, :n]).astype(float))


@pytest.mark.parametrize("shape", AMX_SHAPES, ids=str)
def test_layouts_of_large_blocks(shape):
    check_layouts(*shape, pynn.bfloat16)


def check_split(a, b, got):
    """Errors relative to |a| |b|, as float32's own products have them."""
    x, y = to_numpy(a).astype(np.float64), to_numpy(b).astype(np.float64)
    scale = np.abs(x) @ np.abs(y)
    assert (np.abs(to_numpy(got) - x @ y) <= 6 * 2.0**-24 * scale + 1e-45 * x.shape[1]).all()


@pytest.mark.parametrize("shape", SPLIT_SHAPES, ids=str)
def test_split(shape):
    m, n, k = shape
    check_layouts(m, n, k, pynn.float32)
    test_result_layouts_and_epilogues(shape, pynn.float32)
    a, b = operands(m, n, k, pynn.float32)
    check_split(a, b, a @ b)
    with_threads = []
    for threads in (1, 2, 3):
        pynn.set_num_threads(threads)
        with_threads.append(a @ b)
    assert same_bits(with_threads[0], with_threads[1]) and same_bits(with_threads[0], with_threads[2])


def test_split_of_long_sums():
    a, b = (t.abs() for t in operands(64, 64, 40000, pynn.float32))
    x, y = to_numpy(a).astype(np.float64), to_numpy(b).astype(np.float64)
    assert (np.abs(to_numpy(a @ b) - x @ y) <= 30 * 2.0**-24 * (x @ y)).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3.4e38, 1e-38, 1e-44, 0.0])
def test_split_with_a_value_that_has_no_parts(value):
    """The block around it goes by multiply-adds; its neighbours stay as they are."""
    a, b = operands(100, 150, 200, pynn.float32)
    plain = a @ b
    a[40, 77] = value
    got = to_numpy(a @ b)
    with np.errstate(all="ignore"):
        want = (to_numpy(a).astype(np.float64) @ to_numpy(b).astype(np.float64)).astype(np.float32)
    assert np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(np.isinf(got), np.isinf(want))
    finite = np.isfinite(want)
    assert np.allclose(got[finite], want[finite], rtol=3e-6, atol=3e-5)
    assert (got[:32] == to_numpy(plain)[:32]).all()  # other rows, to the bit
    b[77, 3] = value
    with np.errstate(all="ignore"):
        want = (to_numpy(a).astype(np.float64) @ to_numpy(b).astype(np.float64)).astype(np.float32)
    got = to_numpy(a @ b)
    assert np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(np.isinf(got), np.isinf(want))


@pytest.mark.parametrize(
    "x_scale,y_scale",
    [(1, 1), (1e-8, 1e-8), (1e-12, 1e-12), (1e-20, 1), (1e-30, 1e10), (1e-37, 1e37), (1e18, 1e18)],
)
def test_split_keeps_digits_at_any_scale(x_scale, y_scale):
    a, b = operands(96, 128, 160, pynn.float32)
    a, b = a * x_scale, b * y_scale
    check_split(a, b, a @ b)
    a[::2] *= 1e-9  # rows of different size side by side
    check_split(a, b, a @ b)


def test_more_rows_than_are_copied_at_a_time():
    a, b = operands(8000, 500, 1060, pynn.bfloat16)
    check(a @ b, a, b, pynn.bfloat16)


@pytest.mark.parametrize("m,n", [(1, 1), (1, 40), (2, 5), (3, 7), (40, 1)])
@pytest.mark.parametrize("k", [2**16 - 1, 2**16, 2**16 + 1, 2**17, 2**17 + 33])
def test_blocks_of_long_dots(m, n, k):
    rng = np.random.default_rng(k)
    a, b, c = (rng.integers(-3, 4, shape) for shape in ((m, k), (n, k), (m, n)))
    want = a @ b.T  # whole numbers that float32 holds: every order of summing gives them
    x, w, y = (tensor(t.astype(float), pynn.float32) for t in (a, b, c))
    assert (to_numpy(x @ w.t()) == want).all()
    assert (to_numpy(pynn.nn.functional.linear(x, w, y[0])) == want + c[0]).all()
    assert (to_numpy(pynn.addmm(y, x, w.t(), beta=2, alpha=-1)) == 2 * c - want).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_small_sizes_and_zeros(dtype):
    for m, n, k in itertools.product((0, 1, 2, 5, 9), repeat=3):
        a, b = operands(m, n, k, dtype)
        got = a @ b
        assert got.shape == (m, n)
        if m and n:
            check(got, a, b, dtype)
    assert pynn.addmm(pynn.ones(3, 4), pynn.ones(3, 0), pynn.ones(0, 4)).tolist() == [[1.0] * 4] * 3
    for m, n in ((3, 400), (400, 3), (100, 100), (30, 20)):  # empty sums, in all layouts
        for x, y in itertools.product(
            layouts(pynn.ones(m, 0, dtype=dtype)), layouts(pynn.ones(0, n, dtype=dtype))
        ):
            assert not (x @ y).any() and not (y.t() @ x.t()).any()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(9, 33, 65), (3, 40, 130), (64, 128, 784), (20, 300, 700)], ids=str)
def test_nan_and_infinity_stay_in_their_row_and_column(shape, dtype):
    m, n, k = shape
    for bad in (math.nan, math.inf):
        for x, y in itertools.product(range(3), range(3)):
            a, b = operands(m, n, k, dtype)
            a[m - 1, k - 1] = bad
            b[k // 2, n - 1] = bad
            got = to_numpy(layouts(a)[x] @ layouts(b)[y])
            assert not np.isfinite(got[m - 1]).any() and not np.isfinite(got[:, n - 1]).any()
            assert np.isfinite(got[: m - 1, : n - 1]).all()


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    "shape", [(64, 64, 64), (64, 128, 784), (25, 260, 641), (3, 5000, 300), (400, 300, 700)], ids=str
)
def test_bits_do_not_depend_on_threads(shape, dtype):
    before = pynn.get_num_threads()
    a, b = operands(*shape, dtype)
    try:
        for x, y in itertools.product(layouts(a), layouts(b)):
            results = []
            for n in (1, 2, 3, 16):
                pynn.set_num_threads(n)
                results.append(x @ y)
            assert all(same_bits(r, results[0]) for r in results)
    finally:
        pynn.set_num_threads(before)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 9, 7), (40, 33, 17, 31), (3, 70, 80, 90)], ids=str)
def test_batches(shape, dtype):
    batch, m, n, k = shape
    pairs = [operands(m, n, k, dtype, seed) for seed in range(batch)]
    got = pynn.bmm(pynn.stack([a for a, _ in pairs]), pynn.stack([b for _, b in pairs]))
    for c, (a, b) in zip(got, pairs, strict=True):
        assert same_bits(c, a @ b)


def check_int8():
    rng = np.random.default_rng(0)
    for m, n, k in [
        (1, 1, 1),
        (1, 40, 33),
        (40, 1, 64),
        (5, 17, 7),
        (9, 33, 65),
        (64, 128, 784),
        (17, 300, 1000),
        (3, 4, 0),
        (33, 90, 2100),
    ]:
        for first in (np.int8, np.uint8):
            low = np.iinfo(first).min
            a = rng.integers(low, low + 256, (m, k)).astype(first)
            b = rng.integers(-128, 128, (k, n)).astype(np.int8)
            a[:1], b[:, :1] = np.iinfo(first).max, -128  # the largest sums
            for x, y in itertools.product(layouts(pynn.tensor(a)), layouts(pynn.tensor(b))):
                got = pynn._int_mm(x, y)
                assert got.dtype == pynn.int32
                np.testing.assert_array_equal(got.numpy(), a.astype(np.int32) @ b.astype(np.int32))


def test_int8():
    check_int8()
    a, b = pynn.ones(2, 3, dtype=pynn.int8), pynn.ones(3, 4, dtype=pynn.int8)
    out = pynn.empty(2, 4, dtype=pynn.int32)
    assert pynn._int_mm(a, b, out=out) is out and out.tolist() == [[3] * 4] * 2
    for x, y, words in [
        (a.int(), b, "int8"),
        (a, b.int(), "int8"),
        (a, a, "3.*2"),
        (a[0], b, "2-D"),
    ]:
        with pytest.raises(RuntimeError, match=f"_int_mm.*{words}"):
            pynn._int_mm(x, y)


def check_without_dot_instructions():
    for shape in SHAPES:
        check_layouts(*shape, pynn.bfloat16)
    for shape in SPLIT_SHAPES:
        check_layouts(*shape, pynn.float32)
    check_int8()


@pytest.mark.parametrize("wanted", ["0", "avx512"])
def test_without_dot_instructions(wanted):
    here = Path(__file__).parent
    code = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n"
    code += "import test_gemm; test_gemm.check_without_dot_instructions()"
    status, out = run_python(code, env={"PYNN_CPU_DOT": wanted})
    assert status == 0, out
