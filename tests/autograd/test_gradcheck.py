"""gradcheck must accept right gradients and reject every kind of wrong one."""

import sys

import pytest
from helpers import arr, raises, tensor

import pynn
from pynn.autograd import Function, gradcheck, gradgradcheck


def _op(forward, backward):
    class Op(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Op.apply


@pytest.fixture
def x():
    return tensor(arr(3, 2), requires_grad=True)


@pytest.mark.parametrize("fast", [False, True])
def test_right_gradients(x, fast):
    y = tensor(arr(2, seed=1), requires_grad=True)
    assert gradcheck(lambda a, b: a.sin() * b, (x, y), fast_mode=fast)
    assert gradcheck(lambda a, b: (a * b, a.exp().sum()), (x, y), fast_mode=fast)
    assert gradcheck(lambda a: a.sum(), x, fast_mode=fast)
    assert gradcheck(lambda a, n, t: a**n + t, (x, 3, pynn.ones(2)), fast_mode=fast)
    assert gradgradcheck(lambda a, b: a.sin() * b**2, (x, y), fast_mode=fast)
    assert gradgradcheck(lambda a: a**3, x, pynn.ones(3, 2, dtype=pynn.float64), fast_mode=fast)
    assert gradgradcheck(lambda a: a.exp(), x, gen_non_contig_grad_outputs=True, fast_mode=fast)
    assert gradcheck(lambda a: a.t()[:, 1:], x, fast_mode=fast)
    assert gradcheck(lambda a: (a > 0, a * 2), x, fast_mode=fast)


WRONG = {
    "factor": _op(lambda x: x**2, lambda g, x: g * x),
    "sign": _op(lambda x: x.cos(), lambda g, x: g * x.sin()),
    "zero": _op(lambda x: x.exp(), lambda g, x: g * 0),
    "one element": _op(lambda x: x * 2, lambda g, x: 2 * g + (pynn.arange(6).reshape(3, 2) == 5) * g * 0.1),
    "transposed": _op(lambda x: x[:2] @ x[:2], lambda g, x: pynn.cat([g @ x[:2] + x[:2] @ g, x[2:] * 0])),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("fast", [False, True])
def test_wrong_gradients(x, name, fast):
    # The fast way looks along random vectors of a stream of its own, and misses one element along some of them.
    sys.modules["pynn.autograd.gradcheck"]._stream = None
    with raises(RuntimeError, "gradcheck", "output 0", "input 0"):
        gradcheck(WRONG[name], x, fast_mode=fast)
    assert gradcheck(WRONG[name], x, fast_mode=fast, raise_exception=False) is False


def test_wrong_second_derivative(x):
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * (x * x).detach()  # right once, wrong twice

    assert gradcheck(Cube.apply, x)
    with raises(RuntimeError, "gradcheck"):
        gradgradcheck(Cube.apply, x)


def test_missing_gradient(x):
    with raises(RuntimeError, "gradcheck"):
        gradcheck(lambda a: a.detach() * 2 + a * 0, x)
    with raises(RuntimeError, "require grad"):
        gradcheck(lambda a: a.detach() * 2, x)
    assert gradcheck(lambda a: pynn.ones(2, dtype=pynn.float64), x)


def test_gradient_that_changes_between_runs(x):
    calls = []

    def backward(g, x):
        calls.append(1)
        return g * 2 + len(calls) * 1e-9 * g

    with raises(RuntimeError, "two backward passes"):
        gradcheck(_op(lambda t: t * 2, backward), x)
    assert gradcheck(_op(lambda t: t * 2, backward), x, nondet_tol=1e-3)


def test_inputs_are_left_as_they_were(x):
    before = x.detach().clone()
    state = pynn.get_rng_state()
    for fast in (False, True):
        gradcheck(lambda a: a.exp(), x, fast_mode=fast)
        with pytest.raises(RuntimeError):
            gradcheck(WRONG["sign"], x, fast_mode=fast)
        with pytest.raises(ZeroDivisionError):
            gradcheck(lambda a: 1 / 0, x, fast_mode=fast)
    gradgradcheck(lambda a: a.exp(), x)
    assert pynn.equal(x, before) and x.grad is None
    assert pynn.equal(pynn.get_rng_state(), state)


def test_bad_inputs(x):
    with raises(ValueError, "requires_grad"):
        gradcheck(lambda a: a, pynn.ones(2))
    with raises(RuntimeError, "overlap"):
        gradcheck(lambda a: a * 2, pynn.ones(1, dtype=pynn.float64).expand(3).requires_grad_())
    with pytest.warns(UserWarning, match="float64"):
        gradcheck(lambda a: a * 2, pynn.ones(2, requires_grad=True), eps=1e-2, atol=1e-2)
    with raises(NotImplementedError, "check_forward_ad"):
        gradcheck(lambda a: a * 2, x, check_forward_ad=True)
    with pytest.raises(AssertionError):
        gradcheck(lambda a: a, x, check_backward_ad=False)
    with pytest.raises(AssertionError):
        gradgradcheck(lambda a: a, x, check_rev_over_rev=False)
    assert gradcheck(lambda a: a * 2, pynn.empty(0, 3, dtype=pynn.float64, requires_grad=True))


def test_grad_dtypes(x):
    def mixed(a):
        return a.float().double()

    assert gradcheck(mixed, x, eps=1e-2, atol=1e-3, check_grad_dtypes=True)
