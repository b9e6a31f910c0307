"""autograd.graph: hooks on several tensors, hooks on saved tensors forbidden, writes to saved tensors allowed."""

import numpy as np
import pytest
from helpers import raises

import pynn
from pynn.autograd import graph


def leaves(n=3):
    return [pynn.full((2,), float(i + 1), requires_grad=True) for i in range(n)]


def test_all_gradients_at_once():
    a, b, c = leaves()
    seen = []
    with graph.register_multi_grad_hook((a, b, c), seen.append):
        (a * b).sum().backward()
        assert [None if g is None else g.tolist() for g in seen.pop()] == [[2, 2], [1, 1], None]
        (a * b * c).sum().backward()
        assert [g.tolist() for g in seen.pop()] == [[6, 6], [3, 3], [2, 2]]
        pynn.autograd.grad((b * c).sum(), [b, c])
        assert [None if g is None else g.tolist() for g in seen.pop()] == [None, [3, 3], [2, 2]]
        pynn.autograd.backward([a.sum(), c.sum()])
        assert [g is None for g in seen.pop()] == [False, True, False]
    (a * b * c).sum().backward()
    assert not seen


def test_the_first_gradient():
    a, b, _ = leaves()
    seen = []
    handle = graph.register_multi_grad_hook([a, b], seen.append, mode="any")
    for _ in range(2):
        (a * b).sum().backward()
    assert len(seen) == 2
    handle.remove()
    (a * b).sum().backward()
    assert len(seen) == 2


def test_failed_and_nested_passes():
    a, b, c = leaves()
    seen = []
    graph.register_multi_grad_hook((a, b), seen.append)

    class Fails(pynn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            raise ValueError("no")

    class Nests(Fails):
        @staticmethod
        def backward(ctx, g):
            with pynn.enable_grad():
                (c * 2).sum().backward()
            return g

    # a's gradient is there when b's fails.
    with pytest.raises(ValueError, match="no"):
        (Fails.apply(b).sum() + (a * 1).sum()).backward()
    assert not seen
    (Nests.apply(b).sum() + (a * 1).sum()).backward()
    assert len(seen) == 1 and all(g is not None for g in seen[0])


def test_multi_hook_errors():
    with raises(ValueError, "mode", "'x'|x"):
        graph.register_multi_grad_hook(leaves(), print, mode="x")
    with pytest.raises(AssertionError):
        graph.register_multi_grad_hook([pynn.ones(1)], print)


def test_disable_saved_tensors_hooks():
    def hooks():
        return graph.saved_tensors_hooks(lambda t: t, lambda t: t)

    with graph.disable_saved_tensors_hooks("outer"):
        with graph.disable_saved_tensors_hooks("inner"), raises(RuntimeError, "inner"):
            hooks().__enter__()
        with raises(RuntimeError, "outer"):
            hooks().__enter__()
    with hooks(), raises(RuntimeError, "active"), graph.disable_saved_tensors_hooks("active"):
        pass
    with hooks():
        pass


def test_allow_mutation_on_saved_tensors():
    x = pynn.tensor([1.0, 2.0], requires_grad=True)
    with graph.allow_mutation_on_saved_tensors():
        y = x.clone()
        z = (y**2).sum()
        y.sin_()
        z.backward()
        np.testing.assert_allclose(x.grad.numpy(), [2, 4])
        (slope,) = pynn.autograd.grad((x**3).sum(), x, create_graph=True)
        (curvature,) = pynn.autograd.grad(slope.sum(), x)
        np.testing.assert_allclose(curvature.numpy(), [6, 12])
        with raises(RuntimeError, "nested"), graph.allow_mutation_on_saved_tensors():
            pass
        z = (x**2).sum()
    with pytest.raises(AssertionError, match="outside"):
        z.backward()
    with graph.allow_mutation_on_saved_tensors() as context:
        z = (x**2).sum()
        context.clear()
        with pytest.raises(AssertionError, match="outside"):
            z.backward()


def test_increment_version():
    for t in (pynn.ones(3), pynn.tensor(True), pynn.ones(2, 3).T, pynn.ones(2, requires_grad=True)):
        before = t._version
        graph.increment_version(t)
        assert t._version == before + 1
        graph.increment_version([t, t])
        assert t._version == before + 3
    with raises(RuntimeError, "Iterable"):
        graph.increment_version(3)
    x = pynn.ones(2, requires_grad=True)
    y = x * 2
    z = (y**2).sum()
    graph.increment_version(y)
    with raises(RuntimeError, "version"):
        z.backward()
