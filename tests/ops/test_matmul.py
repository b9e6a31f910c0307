"""Matrix products: matmul, mm, bmm, mv, dot, outer, addmm, baddbmm, linear."""

import itertools
import math

import numpy as np
import pytest
from helpers import FLOATS, arr, arrs, check_op, ints, raises, same_bits, tensor, to_numpy

import pynn

# Products of k terms in float32 differ by a few roundings of the largest partial sum.
PRODUCT = {"tol": 3, "grad_tol": 3}


def test_mm():
    cases = [arrs((3, 4), (4, 5)), arrs((1, 1), (1, 1)), arrs((1, 7), (7, 1)), arrs((6, 1), (1, 2))]
    bad = [
        (arrs((2, 3), (4, 5)), RuntimeError, r"mm.*3.*4"),
        (arrs((2, 3), (3,)), RuntimeError, "mm"),
        (arrs((2, 2, 3), (3, 2)), RuntimeError, "mm"),
    ]
    check_op(pynn.mm, np.matmul, cases, ints="same", errors=bad, **PRODUCT)
    check_op(
        pynn.mm, np.matmul, [arrs((0, 3), (3, 4)), arrs((3, 0), (0, 4)), arrs((3, 4), (4, 0))], **PRODUCT
    )
    assert pynn.mm(pynn.ones(2, 0), pynn.ones(0, 3)).tolist() == [[0.0] * 3] * 2
    out = pynn.empty(3, 5, dtype=pynn.float64)
    a, b = (tensor(x) for x in cases[0])
    assert pynn.mm(a, b, out=out) is out and same_bits(out, a.mm(b))


MATMUL_SHAPES = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 2)),
    ((3, 4), (4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 2)),
    ((1, 3, 4), (2, 4, 1)),
    ((0, 3, 4), (4, 2)),
    ((2, 0, 4), (2, 4, 3)),
    ((2, 3, 0), (2, 0, 3)),
]


@pytest.mark.parametrize("shapes", MATMUL_SHAPES, ids=str)
def test_matmul(shapes):
    check_op(pynn.matmul, np.matmul, [arrs(*shapes)], ints="same", **PRODUCT)
    a, b = (tensor(x) for x in arrs(*shapes))
    assert same_bits(a @ b, pynn.matmul(a, b)) and same_bits(a.matmul(b), a @ b)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((2, 3), (4, 5)), r"matmul.*\(?2.*3.*4.*5"),
        (((2, 3, 4), (3, 4, 5)), "matmul.*2.*3"),
        (((3,), (4,)), "matmul.*3.*4"),
        (((), (3,)), "matmul"),
        (((3,), ()), "matmul"),
        (((2, 3), (2,)), "matmul.*3.*2"),
    ],
    ids=str,
)
def test_matmul_errors(shapes, words):
    with raises(RuntimeError, words):
        pynn.matmul(*(tensor(x) for x in arrs(*shapes)))


SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 28, 31, 32, 33, 47, 48, 49, 63, 64, 65]


@pytest.mark.parametrize("dtype", [pynn.float32, pynn.float64])
@pytest.mark.parametrize("m", SIZES)
def test_block_edges(m, dtype):
    """Every m around a tile's edge, with n and k from the other end of the list."""
    rtol = 2e-5 if dtype == pynn.float32 else 1e-12
    for n, k in zip(SIZES, reversed(SIZES), strict=True):
        a, b = tensor(arr(m, k), dtype), tensor(arr(k, n, seed=1), dtype)
        expected = to_numpy(a) @ to_numpy(b)
        np.testing.assert_allclose(to_numpy(a @ b), expected, rtol=rtol, atol=rtol * math.sqrt(k))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [
        (300, 3, 5),
        (3, 300, 5),
        (3, 5, 300),
        (257, 129, 65),
        (1, 500, 300),
        (500, 1, 300),
        (2, 2, 2000),
        (130, 70, 1),
    ],
    ids=str,
)
def test_tall_skinny_and_transposed(m, n, k, dtype):
    a, b = tensor(arr(m, k), dtype), tensor(arr(k, n, seed=1), dtype)
    expected = to_numpy(a) @ to_numpy(b)
    step = {pynn.float64: 1e-12, pynn.float32: 2e-6, pynn.float16: 2e-3, pynn.bfloat16: 1e-2}[dtype]
    atol = step * (np.abs(to_numpy(a)) @ np.abs(to_numpy(b))).max()
    at, bt = a.t().contiguous().t(), b.t().contiguous().t()
    for x, y in itertools.product((a, at), (b, bt)):
        got = x @ y
        assert got.dtype == dtype
        np.testing.assert_allclose(to_numpy(got), expected, rtol=step, atol=atol)


def test_strides():
    """Steps, offsets and stride 0 in both operands and in the result."""
    a, b = arr(20, 30), arr(30, 16, seed=1)
    s, t = tensor(a)[1::2, 3::3], tensor(b)[3::3, 1:14:2]
    np.testing.assert_allclose(to_numpy(s @ t), a[1::2, 3::3] @ b[3::3, 1:14:2])
    row = tensor(a[:1]).expand(5, 30)
    np.testing.assert_allclose(to_numpy(row @ tensor(b)), np.repeat(a[:1], 5, 0) @ b)
    out = pynn.zeros(16, 40, dtype=pynn.float64).t()[::2]
    pynn.mm(tensor(a), tensor(b), out=out)
    np.testing.assert_allclose(to_numpy(out), a @ b)


@pytest.mark.parametrize("dtype", [pynn.uint8, pynn.int8, pynn.int32, pynn.int64])
def test_integers_wrap(dtype):
    a, b = ints(5, 70, low=0, high=100), ints(70, 6, low=0, high=100, seed=1)
    got = tensor(a, dtype) @ tensor(b, dtype)
    np.testing.assert_array_equal(got.numpy(), (a @ b).astype(got.numpy().dtype))
    big = pynn.tensor([[2**40]]) @ pynn.tensor([[2**20 + 1]])
    assert big.item() == 2**60 + 2**40


def test_nan_and_inf_are_not_lost():
    a = pynn.zeros(3, 3)
    b = pynn.ones(3, 3)
    b[1, 1] = math.inf
    assert (a @ b)[:, 1].isnan().all() and (a @ b)[:, 0].tolist() == [0.0] * 3  # 0 * inf
    b[1, 1] = math.nan
    assert (a @ b)[:, 1].isnan().all()


def test_bmm():
    cases = [arrs((2, 3, 4), (2, 4, 5)), arrs((1, 1, 4), (1, 4, 1)), arrs((5, 2, 2), (5, 2, 2))]
    bad = [
        (arrs((2, 3, 4), (3, 4, 5)), RuntimeError, "bmm.*2.*3"),
        (arrs((2, 3, 4), (2, 5, 4)), RuntimeError, "bmm.*4.*5"),
        (arrs((3, 4), (4, 5)), RuntimeError, "bmm.*(3-?d|dim)"),
    ]
    check_op(pynn.bmm, np.matmul, cases, ints="same", errors=bad, **PRODUCT)
    assert pynn.bmm(pynn.ones(0, 2, 3), pynn.ones(0, 3, 4)).shape == (0, 2, 4)
    big = arrs((40, 33, 17), (40, 17, 31))
    np.testing.assert_allclose(to_numpy(pynn.bmm(*map(tensor, big))), np.matmul(*big), rtol=1e-10, atol=1e-10)


def test_mv():
    bad = [(arrs((2, 3), (2,)), RuntimeError, "mv.*3.*2"), (arrs((3,), (3,)), RuntimeError, "mv")]
    check_op(pynn.mv, np.matmul, [arrs((3, 4), (4,)), arrs((1, 1), (1,))], ints="same", errors=bad, **PRODUCT)
    for m, k in ((1, 1000), (1000, 1), (65, 63), (513, 257)):
        a, b = arrs((m, k), (k,))
        for t in (tensor(a), tensor(a.T).t()):
            np.testing.assert_allclose(to_numpy(t @ tensor(b)), a @ b, rtol=1e-10, atol=1e-10)


def test_dot():
    bad = [
        (arrs((3,), (4,)), RuntimeError, "dot.*3.*4"),
        (arrs((2, 3), (3,)), RuntimeError, "dot.*(1-?[dD]|dim)"),
    ]
    check_op(pynn.dot, np.dot, [arrs((5,), (5,)), arrs((1,), (1,))], ints="same", errors=bad, **PRODUCT)
    assert pynn.dot(pynn.empty(0), pynn.empty(0)).item() == 0.0
    half = pynn.ones(5000, dtype=pynn.float16)
    assert pynn.dot(half, half).item() == 5000.0


def test_outer():
    bad = [(arrs((2, 2), (2,)), RuntimeError, "outer.*(1-?[dD]|dim)")]
    check_op(pynn.outer, np.outer, [arrs((3,), (4,)), arrs((1,), (2,))], ints="same", errors=bad)
    assert pynn.outer(pynn.empty(0), pynn.ones(3)).shape == (0, 3)
    assert pynn.ger(pynn.ones(2), pynn.ones(3)).shape == (2, 3)


@pytest.mark.parametrize(("beta", "alpha"), [(1, 1), (2, 3), (0, 1), (0.5, -1.5), (1, 0)])
def test_addmm(beta, alpha):
    def ref(c, a, b):
        return (beta * c if beta else 0) + alpha * (a @ b)

    cases = [arrs((3, 5), (3, 4), (4, 5)), arrs((5,), (3, 4), (4, 5)), arrs((3, 1), (3, 4), (4, 5))]
    check_op(lambda c, a, b: pynn.addmm(c, a, b, beta=beta, alpha=alpha), ref, cases, **PRODUCT)
    c, a, b = (tensor(x) for x in cases[0])
    expected = pynn.addmm(c, a, b, beta=beta, alpha=alpha)
    assert c.addmm_(a, b, beta=beta, alpha=alpha) is c
    np.testing.assert_allclose(to_numpy(c), to_numpy(expected), rtol=1e-12)


def test_addmm_edges():
    nan = pynn.full((2, 2), math.nan)
    assert not pynn.addmm(nan, pynn.ones(2, 3), pynn.ones(3, 2), beta=0).isnan().any()  # 0 means: not read
    assert pynn.addmm(pynn.ones(2, 2), pynn.ones(2, 0), pynn.ones(0, 2)).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    with raises(RuntimeError, "addmm"):
        pynn.addmm(pynn.ones(3, 3), pynn.ones(2, 3), pynn.ones(3, 2))
    with raises(RuntimeError, "addmm|mm", "3", "4"):
        pynn.addmm(pynn.ones(2, 2), pynn.ones(2, 3), pynn.ones(4, 2))


@pytest.mark.parametrize(("beta", "alpha"), [(1, 1), (0, 2), (0.5, -1.5)])
def test_baddbmm(beta, alpha):
    def ref(c, a, b):
        return (beta * c if beta else 0) + alpha * (a @ b)

    cases = [arrs((2, 3, 5), (2, 3, 4), (2, 4, 5)), arrs((5,), (2, 3, 4), (2, 4, 5))]
    check_op(lambda c, a, b: pynn.baddbmm(c, a, b, beta=beta, alpha=alpha), ref, cases, **PRODUCT)
    with raises((RuntimeError, IndexError), "baddbmm|bmm"):
        pynn.baddbmm(pynn.ones(2, 2), pynn.ones(2, 3), pynn.ones(3, 2))


def test_linear():
    linear = pynn.nn.functional.linear

    def ref(x, w, b=0.0):
        return x @ w.T + b

    shapes = [((2, 4), (3, 4), (3,)), ((4,), (3, 4), (3,)), ((2, 5, 4), (3, 4), (3,)), ((1, 1), (1, 1), (1,))]
    bad = [
        (arrs((2, 4), (3, 5)), RuntimeError, "linear.*4.*5"),
        (arrs((2, 4), (3, 4), (4,)), RuntimeError, "linear"),
    ]
    check_op(linear, ref, [arrs(*s) for s in shapes], errors=bad, **PRODUCT)
    check_op(linear, ref, [arrs(*s[:2]) for s in shapes], **PRODUCT)
    assert linear(pynn.ones(0, 4), pynn.ones(3, 4), pynn.ones(3)).shape == (0, 3)
    assert linear(pynn.ones(2, 4), pynn.ones(4)).tolist() == [4.0, 4.0]  # a vector weight
    for rows in (1, 2, 3, 17, 64, 100):
        x, w, b = (a.astype(np.float32) for a in arrs((rows, 784), (128, 784), (128,), seed=rows))
        got = linear(tensor(x), tensor(w), tensor(b)).numpy()
        np.testing.assert_allclose(got, x.astype(float) @ w.astype(float).T + b, rtol=1e-4, atol=2e-4)


def test_gradients_only_where_asked():
    a, b = tensor(arr(3, 4), requires_grad=True), tensor(arr(4, 5))
    (a @ b).sum().backward()
    np.testing.assert_allclose(to_numpy(a.grad), np.tile(to_numpy(b).sum(1), (3, 1)))
    assert b.grad is None
    assert not (a.detach() @ b).requires_grad


def test_result_does_not_depend_on_row_grouping_of_batches():
    a, b = tensor(arr(6, 9, 33)), tensor(arr(33, 21, seed=1))
    together = a @ b
    for i in range(6):
        np.testing.assert_allclose(to_numpy(together[i]), to_numpy(a[i] @ b), rtol=1e-13, atol=1e-13)
