"""Custom autograd.Function: every feature of ctx, and what happens when a user's code is wrong."""

import gc
import weakref

import numpy as np
import pytest
from helpers import arr, raises, tensor, to_numpy

import pynn
from pynn.autograd import Function, gradcheck, gradgradcheck
from pynn.autograd.function import once_differentiable


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class MulAdd(Function):
    """a * b + scale, with an argument that is no tensor."""

    @staticmethod
    def forward(ctx, a, b, scale):
        ctx.save_for_backward(a, b)
        ctx.scale = scale
        ctx.needs = ctx.needs_input_grad
        return a * b + scale

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b if ctx.needs_input_grad[0] else None, g * a if ctx.needs_input_grad[1] else None, None


def test_basic():
    x = tensor(arr(5), requires_grad=True)
    y = Exp.apply(x)
    assert y.requires_grad and "ExpBackward" in y.grad_fn.name()
    np.testing.assert_array_equal(to_numpy(y), np.exp(to_numpy(x)))
    assert gradcheck(Exp.apply, (x,)) and gradgradcheck(Exp.apply, (x,))
    with pynn.no_grad():
        assert not Exp.apply(x).requires_grad
    assert not Exp.apply(x.detach()).requires_grad


def test_non_tensor_arguments_and_needs_input_grad():
    a, b = tensor(arr(3), requires_grad=True), tensor(arr(3, seed=1))
    y = MulAdd.apply(a, b, 2.0)
    assert y.grad_fn.needs_input_grad == (True, False, False) and y.grad_fn.scale == 2.0
    y.sum().backward()
    np.testing.assert_array_equal(to_numpy(a.grad), to_numpy(b))
    b.requires_grad_()
    assert gradcheck(lambda p, q: MulAdd.apply(p, q, 1.0), (a, b))


def test_forward_runs_without_recording():
    seen = []

    class F(Function):
        @staticmethod
        def forward(ctx, x):
            seen.append(pynn.is_grad_enabled())
            y = x * 2
            seen.append(y.requires_grad)
            return y

        @staticmethod
        def backward(ctx, g):
            seen.append(pynn.is_grad_enabled())
            return g * 2

    x = pynn.ones(1, requires_grad=True)
    y = F.apply(x)
    assert seen == [False, False] and y.requires_grad
    y.backward()
    assert seen == [False, False, False]
    F.apply(x).backward(create_graph=True)
    assert seen[-1] is True
    x.grad = None


def test_several_outputs_and_none_gradients():
    class Split(Function):
        @staticmethod
        def forward(ctx, x):
            return x[:1].clone(), "note", x[1:].clone()

        @staticmethod
        def backward(ctx, first, note, rest):
            assert note is None
            return pynn.cat([first, rest * 10])

    x = pynn.ones(3, requires_grad=True)
    a, note, b = Split.apply(x)
    assert note == "note" and a.requires_grad and b.requires_grad
    a.sum().backward()  # the gradient of b comes as zeros
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_set_materialize_grads():
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a is None, b is None))
            return b * 2

    x = pynn.ones(1, requires_grad=True)
    Two.apply(x)[1].backward()
    assert seen == [(True, False)] and x.grad.item() == 2.0


def test_mark_dirty():
    class Double_(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = pynn.ones(2, requires_grad=True)
    y = x * 3
    z = Double_.apply(y)
    assert z is y and y.tolist() == [6.0, 6.0] and "Double_" in y.grad_fn.name()
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]
    with raises(RuntimeError, "leaf"):
        Double_.apply(x)
    base = x * 1
    Double_.apply(base[:1])
    base.sum().backward()
    assert x.grad.tolist() == [8.0, 7.0]


def test_mark_non_differentiable():
    class SortLike(Function):
        @staticmethod
        def forward(ctx, x):
            values, index = x.sort()
            rank = index * 1.0
            ctx.mark_non_differentiable(index, rank)
            ctx.save_for_backward(index)
            return values, index, rank

        @staticmethod
        def backward(ctx, g, _, __):
            (index,) = ctx.saved_tensors
            return pynn.zeros_like(g).index_add(0, index, g)

    x = pynn.tensor([3.0, 1.0], requires_grad=True)
    values, index, rank = SortLike.apply(x)
    assert values.requires_grad and not index.requires_grad and not rank.requires_grad
    (values * pynn.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [10.0, 1.0]


def test_once_differentiable():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            assert not pynn.is_grad_enabled()
            return g * 3 * x * x

    x = pynn.tensor(2.0, requires_grad=True)
    assert pynn.autograd.grad(Cube.apply(x), x)[0].item() == 12.0
    (g,) = pynn.autograd.grad(Cube.apply(x), x, create_graph=True)
    assert not g.requires_grad  # nothing that came in did
    one = pynn.tensor(1.0, requires_grad=True)
    (g,) = pynn.autograd.grad(Cube.apply(x), x, one, create_graph=True)
    with raises(RuntimeError, "once_differentiable"):
        g.backward()


def test_input_returned_as_is():
    class Identity(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = pynn.ones(2, requires_grad=True)
    y = Identity.apply(x)
    assert y is not x and y.data_ptr() == x.data_ptr()
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


def test_view_returned():
    class Head(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.shape = x.shape
            return x[:1]

        @staticmethod
        def backward(ctx, g):
            out = pynn.zeros(ctx.shape)
            out[:1] = g
            return out

    x = pynn.ones(3, requires_grad=True)
    Head.apply(x * 1).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0]


def test_setup_context():
    class Square(Function):
        @staticmethod
        def forward(x, power):
            return x**power

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, power = inputs
            ctx.save_for_backward(x)
            ctx.power = power

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * ctx.power * x ** (ctx.power - 1), None

    x = tensor(arr(3, low=0.5), requires_grad=True)
    assert gradcheck(lambda t: Square.apply(t, 2), (x,)) and gradgradcheck(lambda t: Square.apply(t, 2), (x,))


def test_saved_tensors_are_checked_and_freed():
    x = pynn.ones(2, requires_grad=True)
    y = Exp.apply(x)
    y.add_(1)
    with raises(RuntimeError, "modified by an inplace operation"):
        y.sum().backward()
    y = Exp.apply(x).sum()
    y.backward()
    with raises(RuntimeError, "a second time"):
        y.backward()


def test_saved_output_makes_no_cycle():
    x = pynn.ones(2, requires_grad=True)
    y = Exp.apply(x)
    ref = weakref.ref(y)
    gc.disable()
    try:
        del y
        assert ref() is None
    finally:
        gc.enable()


def _function(forward=None, backward=None):
    body = {
        "forward": staticmethod(forward or (lambda ctx, x: x * 2)),
        "backward": staticmethod(backward or (lambda ctx, g: g * 2)),
    }
    return type("F", (Function,), body)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: _function(backward=lambda ctx, g: (g, g)), RuntimeError, "FBackward.*2.*1|gradients"),
        (lambda: _function(backward=lambda ctx, g: ()), RuntimeError, "FBackward|gradients"),
        (lambda: _function(backward=lambda ctx, g: pynn.ones(7)), RuntimeError, "FBackward.*shape|7"),
        (lambda: _function(backward=lambda ctx, g: "text"), (TypeError, RuntimeError), "FBackward|Tensor"),
        (lambda: _function(backward=lambda ctx, g: 1 / 0), ZeroDivisionError, ""),
        (lambda: _function(forward=lambda ctx, x: 1 / 0), ZeroDivisionError, ""),
        (lambda: _function(backward=lambda ctx, g: ctx.missing), AttributeError, "missing"),
    ],
)
def test_wrong_user_code(make, kind, words):
    x = pynn.ones(2, requires_grad=True)
    with raises(kind, words):
        make().apply(x).sum().backward()
    assert x.grad is None
    (x * 2).sum().backward()  # the engine still works
    assert x.grad.tolist() == [2.0, 2.0]


def test_missing_methods():
    class Nothing(Function):
        pass

    class NoBackward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = pynn.ones(1, requires_grad=True)
    with pytest.raises(NotImplementedError):
        Nothing.apply(x)
    with pytest.raises(NotImplementedError):
        NoBackward.apply(x).backward()
    with pytest.raises((RuntimeError, TypeError)):
        Exp()(x)
    with pytest.raises(TypeError):
        Exp.apply(x, x)


def test_vjp_is_another_name_of_backward():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def vjp(ctx, g):
            return g * 3

    x = pynn.ones(1, requires_grad=True)
    F.apply(x).backward()
    assert x.grad.item() == 3.0


def test_gradient_of_an_integer_input_is_ignored():
    class Pick(Function):
        @staticmethod
        def forward(ctx, x, index):
            ctx.save_for_backward(index)
            ctx.n = x.shape[0]
            return x[index]

        @staticmethod
        def backward(ctx, g):
            (index,) = ctx.saved_tensors
            return pynn.zeros(ctx.n, dtype=g.dtype).index_add(0, index, g), None

    x = tensor(arr(4), requires_grad=True)
    assert gradcheck(lambda t: Pick.apply(t, pynn.tensor([0, 2, 2])), (x,))


def test_extra_trailing_nones_are_fine():
    x = pynn.ones(2, requires_grad=True)
    _function(backward=lambda ctx, g: (g, None, None)).apply(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
