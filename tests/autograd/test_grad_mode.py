"""no_grad, enable_grad, set_grad_enabled, inference_mode: as context, as decorator, per thread."""

import threading

import pytest
from helpers import raises

import pynn


@pytest.fixture
def x():
    return pynn.tensor([1.0, 2.0], requires_grad=True)


def test_contexts(x):
    assert pynn.is_grad_enabled()
    with pynn.no_grad():
        assert not pynn.is_grad_enabled()
        y = x * 2
        assert not y.requires_grad and y.is_leaf and y.grad_fn is None
        with pynn.enable_grad():
            assert pynn.is_grad_enabled() and (x * 2).requires_grad
        assert not pynn.is_grad_enabled()
        assert pynn.zeros(1, requires_grad=True).requires_grad
    assert pynn.is_grad_enabled() and (x * 2).requires_grad
    with pynn.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    assert pynn.is_grad_enabled()
    pynn.set_grad_enabled(False)
    assert not pynn.is_grad_enabled()
    pynn.set_grad_enabled(True)
    assert pynn.is_grad_enabled()


def test_left_by_exceptions(x):
    for mode in (pynn.no_grad, pynn.inference_mode, lambda: pynn.set_grad_enabled(False)):
        with pytest.raises(KeyError), mode():
            raise KeyError
        assert pynn.is_grad_enabled() and not pynn.is_inference_mode_enabled()


def test_decorators(x):
    @pynn.no_grad()
    def f(a, *, b=1):
        """Doc."""
        return a * b, pynn.is_grad_enabled()

    assert f.__name__ == "f" and f.__doc__ == "Doc."
    y, enabled = f(x, b=2)
    assert not y.requires_grad and not enabled and pynn.is_grad_enabled()

    @pynn.no_grad
    def bare(a):
        return a * 2

    assert not bare(x).requires_grad

    @pynn.enable_grad()
    def on(a):
        return a * 2

    with pynn.no_grad():
        assert on(x).requires_grad

    @pynn.set_grad_enabled(False)
    def off(a):
        return a * 2

    assert not off(x).requires_grad and pynn.is_grad_enabled()

    @pynn.inference_mode()
    def infer(a):
        return a * 2

    assert infer(x).is_inference()

    class Model:
        @pynn.no_grad()
        def step(self, a):
            return a * 2

    assert not Model().step(x).requires_grad


def test_generators_are_covered_between_yields(x):
    @pynn.no_grad()
    def walk():
        for _ in range(2):
            assert not pynn.is_grad_enabled()
            sent = yield x * 2
            assert sent is None or sent == "hello"

    g = walk()
    first = next(g)
    assert not first.requires_grad and pynn.is_grad_enabled()
    assert not g.send("hello").requires_grad and pynn.is_grad_enabled()
    assert list(g) == []


def test_one_object_may_be_entered_again(x):
    mode = pynn.no_grad()
    for _ in range(2):
        with mode:
            assert not pynn.is_grad_enabled()
        assert pynn.is_grad_enabled()


def test_inference_mode(x):
    with pynn.inference_mode():
        assert pynn.is_inference_mode_enabled() and not pynn.is_grad_enabled()
        y = x * 2
        assert y.is_inference() and not y.requires_grad
        y.add_(1)
    assert not x.is_inference()
    with raises(RuntimeError, "(?i)inference"):
        y * x  # would have to be saved for backward
    with raises(RuntimeError, "(?i)inference"):
        y.add_(1)
    with raises(RuntimeError, "(?i)inference"):
        y.requires_grad_()
    assert not (y + 1).requires_grad
    z = y.clone()
    assert not z.is_inference() and (z * x).requires_grad
    with pynn.inference_mode(False):
        assert (x * 2).requires_grad
    with pynn.inference_mode(), pynn.inference_mode(False):
        assert (x * 2).requires_grad and not pynn.is_inference_mode_enabled()


def test_inplace_under_no_grad(x):
    y = x * 2
    with pynn.no_grad():
        x.add_(1)  # how optimisers write
        x[0] = 5.0
        x.grad = None
    assert x.tolist() == [5.0, 3.0] and x.is_leaf and x.requires_grad
    assert y.tolist() == [2.0, 4.0]
    (x * x).sum().backward()
    assert x.grad.tolist() == [10.0, 6.0]


def test_views_made_under_no_grad(x):
    with pynn.no_grad():
        v = x[:1]
    assert v.grad_fn is None and v.data_ptr() == x.data_ptr()
    base = x * 2
    with pynn.no_grad():
        w = base[:1]
    with raises(RuntimeError, "no_grad|view"):
        w.mul_(x[:1])  # its history cannot be rebased
    with pynn.no_grad():
        w.mul_(2)
    assert base[0].item() == 4.0


def test_mode_is_per_thread(x):
    seen = []
    with pynn.no_grad():
        t = threading.Thread(target=lambda: seen.append((pynn.is_grad_enabled(), (x * 2).requires_grad)))
        t.start()
        t.join()
    assert seen == [(True, True)]


def test_backward_runs_in_the_mode_of_create_graph(x):
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(pynn.is_grad_enabled()))
    y.sum().backward(retain_graph=True)
    y.sum().backward(create_graph=True)
    assert seen == [False, True]
    x.grad = None


def test_backward_under_no_grad(x):
    y = (x * x).sum()
    with pynn.no_grad():
        y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_bad_arguments():
    with pytest.raises((TypeError, RuntimeError)):
        pynn.set_grad_enabled("yes")
