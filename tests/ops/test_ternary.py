"""where, clamp, lerp, addcmul, addcdiv."""

import math

import numpy as np
import pytest
from helpers import ALL_DTYPES, FLOATS, INTS, arr, arrs, check_op, raises, same_bits, tensor, to_numpy

import pynn

INF, NAN = math.inf, math.nan


def test_where():
    mask = arr(3, 4) > 0
    cases = [(mask, *arrs((3, 4), (3, 4))), (mask, *arrs((4,), (3, 1))), (mask[0], *arrs((2, 4), ()))]
    bad = [((mask, np.zeros((3, 4)), np.zeros((5,))), RuntimeError, "where.*4.*5")]
    check_op(pynn.where, np.where, cases, ints="same", bools="same", elementwise=True, errors=bad)


def test_where_scalars_and_promotion():
    mask = pynn.tensor([True, False, True])
    x = pynn.tensor([1, 2, 3])
    assert pynn.where(mask, x, 0).tolist() == [1, 0, 3]
    assert pynn.where(mask, x, 0).dtype == pynn.int64
    assert pynn.where(mask, x, 0.5).dtype == pynn.float32
    assert pynn.where(mask, 1.0, 0.0).tolist() == [1.0, 0.0, 1.0]
    assert pynn.where(mask, 1.0, 0.0).dtype == pynn.float32
    assert pynn.where(mask, 1, 0).dtype == pynn.int64
    assert pynn.where(mask, pynn.ones(3), pynn.zeros(3, dtype=pynn.float64)).dtype == pynn.float64
    assert x.where(mask, pynn.tensor(-1)).tolist() == [1, -1, 3]
    rows, columns = pynn.where(pynn.tensor([[0, 1], [2, 0]]))
    assert rows.tolist() == [0, 1] and columns.tolist() == [1, 0]
    with raises(RuntimeError, "where", "(?i)bool|condition"):
        pynn.where(pynn.ones(3), x, x)


def test_where_stops_gradients_of_the_other_side():
    x = pynn.tensor([0.0, 4.0], requires_grad=True)
    y = pynn.where(x > 0, x, pynn.ones(2))
    y.sqrt().sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_clamp():
    x = arr(4, 5)
    for low, high in ((-0.5, 0.7), (None, 0.3), (-0.2, None), (0.5, -0.5)):

        def ref(a, low=low, high=high):
            a = a if low is None else np.maximum(a, low)
            return a if high is None else np.minimum(a, high)

        check_op(lambda a, low=low, high=high: pynn.clamp(a, low, high), ref, [x], elementwise=True)
        t = tensor(x)
        assert same_bits(t.clamp(min=low, max=high), pynn.clamp(t, low, high))
        assert same_bits(pynn.clip(t, low, high), pynn.clamp(t, low, high))
        assert t.clone().clamp_(low, high).tolist() == pynn.clamp(t, low, high).tolist()
    assert same_bits(t.clamp_min(0.2), t.clamp(min=0.2)) and same_bits(t.clamp_max(0.2), t.clamp(max=0.2))


@pytest.mark.parametrize("dtype", INTS)
def test_clamp_integers(dtype):
    x = pynn.tensor([0, 3, 7, 100], dtype=dtype)
    assert x.clamp(2, 50).tolist() == [2, 3, 7, 50]
    assert x.clamp(2, 50).dtype == dtype
    assert x.clamp(0.5, 3.5).dtype == pynn.float32  # a float bound promotes
    assert x.clamp(0.5, 3.5).tolist() == [0.5, 3.0, 3.5, 3.5]


def test_clamp_with_tensors():
    x, low, high = arrs((4, 5), (5,), (4, 1))
    check_op(
        pynn.clamp,
        lambda a, b, c: np.minimum(np.maximum(a, b), c),
        [(x, low - 1, high + 1)],
        elementwise=True,
    )
    t, bound = tensor(x), tensor(low)
    assert same_bits(t.clamp(min=bound), pynn.maximum(t, bound))
    assert same_bits(t.clamp(max=bound), pynn.minimum(t, bound))


def test_clamp_nan_and_edges():
    x = pynn.tensor([NAN, -INF, INF, 0.0])
    y = x.clamp(-1, 1)
    assert y[0].isnan() and y[1:].tolist() == [-1.0, 1.0, 0.0]
    assert pynn.ones(2).clamp(max=NAN).isnan().all()
    # At a bound the gradient passes; beyond it, it does not.
    x = pynn.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], requires_grad=True)
    x.clamp(-1, 1).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    with raises(RuntimeError, "clamp", "min", "max"):
        pynn.clamp(x)
    with pytest.raises(TypeError):
        pynn.clamp(x, "low")


def test_lerp():
    a, b = arrs((3, 4), (4,))
    for weight in (0.0, 0.3, 0.5, 0.8, 1.0, 1.5):
        check_op(
            lambda x, y, weight=weight: pynn.lerp(x, y, weight),
            lambda x, y, weight=weight: x + weight * (y - x),
            [(a, b)],
            elementwise=True,
            grad_tol=2,
        )
    check_op(
        pynn.lerp, lambda x, y, w: x + w * (y - x), [arrs((3, 4), (4,), (3, 1))], elementwise=True, grad_tol=3
    )
    x, y = tensor(a), tensor(arr(3, 4, seed=9))
    assert same_bits(pynn.lerp(x, y, 0.0), x) and same_bits(pynn.lerp(x, y, 1.0), y)  # exact at both ends
    assert x.lerp_(y, 1.0) is x and same_bits(x, y)
    with raises(RuntimeError, "lerp|dtype"):
        pynn.lerp(pynn.ones(2), pynn.ones(2, dtype=pynn.float64), 0.5)


@pytest.mark.parametrize("value", [1, 2, -0.5])
def test_addcmul(value):
    def ref(a, b, c):
        return a + value * b * c

    whole = "same" if isinstance(value, int) else None
    cases = [arrs((3, 4), (3, 4), (3, 4)), arrs((3, 4), (4,), (3, 1))]
    check_op(
        lambda a, b, c: pynn.addcmul(a, b, c, value=value),
        ref,
        cases,
        ints=whole,
        elementwise=True,
        tol=2,
        grad_tol=2,
    )
    a, b, c = (tensor(x) for x in cases[0])
    assert same_bits(a.clone().addcmul_(b, c, value=value), a.addcmul(b, c, value=value))


@pytest.mark.parametrize("value", [1, 2, -0.5])
def test_addcdiv(value):
    a, b, c = arrs((3, 4), (4,), (3, 1))
    c = np.where(c < 0, c - 0.7, c + 0.7)
    check_op(
        lambda x, y, z: pynn.addcdiv(x, y, z, value=value),
        lambda x, y, z: x + value * y / z,
        [(a, b, c)],
        elementwise=True,
        tol=2,
        grad_tol=3,
    )
    x, y, z = tensor(a), tensor(b), tensor(c)
    assert same_bits(x.clone().addcdiv_(y, z, value=value), x.addcdiv(y, z, value=value))
    with raises(RuntimeError, "(?i)addcdiv|integer"):
        pynn.addcdiv(pynn.ones(2), pynn.tensor([1, 2]), pynn.tensor([1, 2]))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_where_of_every_dtype(dtype):
    a, b = pynn.ones(70, dtype=dtype), pynn.zeros(70, dtype=dtype)
    mask = pynn.arange(70) % 3 == 0
    assert same_bits(pynn.where(mask, a, b).to(pynn.uint8), mask.to(pynn.uint8))


def test_nan_is_selected_not_computed():
    x = pynn.tensor([1.0, NAN, INF])
    assert pynn.where(pynn.tensor([True, False, False]), x, 0.0).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_large_strided(dtype):
    a, b, m = tensor(arr(130, 70), dtype), tensor(arr(70, 130, seed=1), dtype).t(), tensor(arr(70) > 0)
    got = pynn.where(m, a, b)
    np.testing.assert_array_equal(to_numpy(got), np.where(m.numpy(), to_numpy(a), to_numpy(b)))


@pytest.mark.parametrize("name", ["addcmul_", "addcdiv_", "lerp_"])
def test_in_place_is_the_plain_form(name):
    """Straight into the tensor's memory where nothing is recorded, through a copy elsewhere."""
    plain = getattr(pynn, name[:-1])
    x, a, b = (tensor(v, pynn.float32) for v in arrs((6, 5), (6, 5), (6, 5), low=0.5, high=2.0))
    row, wide = a[0], pynn.ones(2, 6, 5)
    for others in ((a, b), (row, b), (a.t().contiguous().t(), b)):
        y = x.clone()
        version = y._version
        assert getattr(y, name)(*others) is y and y._version == version + 1
        assert same_bits(y, plain(x, *others))
        view = pynn.zeros(6, 10)
        view[:, ::2] = x
        getattr(view[:, ::2], name)(*others)
        assert same_bits(view[:, ::2].contiguous(), y) and view[:, 1::2].sum() == 0
    y = x.clone()
    assert same_bits(getattr(y, name)(y, b), plain(x, x, b))  # the operand is the tensor itself
    with raises(RuntimeError, name, "shape"):
        getattr(x.clone(), name)(wide, b)
    if name != "lerp_":  # which takes one dtype only
        y = x.clone()
        assert getattr(y, name)(a.double(), b).dtype == pynn.float32  # computed wider, and rounded
        assert same_bits(y, plain(x.double(), a.double(), b).float())
    with raises(RuntimeError, "overlap"):
        flat = x.clone().view(-1)
        getattr(flat[1:], name)(flat[:-1], b.view(-1)[1:])
    with raises(RuntimeError, "leaf"):
        getattr(x.clone().requires_grad_(), name)(a, b)
    leaf, other = x.clone().requires_grad_(), a.clone().requires_grad_()
    getattr(leaf * 1.0, name)(other, b).sum().backward()
    grads = pynn.autograd.grad(plain(leaf * 1.0, other, b).sum(), (leaf, other))
    assert same_bits(leaf.grad, grads[0]) and same_bits(other.grad, grads[1])
