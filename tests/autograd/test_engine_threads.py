"""Several threads in the engine at once: on one graph, on graphs that share leaves, and while hooks come and go.

`y` has more elements than ops need to give up the GIL, so that the threads really run side by side.
"""

import threading

import pytest

import pynn

N = 200


def at_once(*functions):
    """Runs each in a thread of its own, all started together; returns what they raised."""
    errors, gate = [], threading.Barrier(len(functions))

    def run(f):
        gate.wait()
        try:
            f()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return errors


@pytest.fixture(autouse=True)
def _two_threads(threads):
    threads(2)


def test_no_gradient_is_lost_on_a_shared_leaf():
    w, ones = pynn.ones(N, N, requires_grad=True), pynn.ones(N, N)

    def work():
        for _ in range(20):
            (w * ones).sum().backward()

    assert not at_once(*[work] * 4)
    assert (w.grad == 80).all()


def test_one_graph_kept():
    w = pynn.ones(N, N, requires_grad=True)
    y = w
    for _ in range(10):
        y = y * 1.0
    y = (y * w).sum()
    assert not at_once(*[lambda: y.backward(retain_graph=True)] * 4)
    assert (w.grad == 8).all()


def test_one_graph_freed():
    """Each node runs for one thread at least; the others are told that it is too late."""
    for _ in range(10):
        w = pynn.ones(N, N, requires_grad=True)
        y = w
        for _ in range(20):
            y = y.sin() * w
        root = y.sum()
        errors = at_once(*[root.backward] * 3)
        assert len(errors) <= 2
        assert all(isinstance(e, RuntimeError) and "second time" in str(e) for e in errors)


def test_grad_on_graphs_that_share_a_trunk():
    w = pynn.ones(N, N, requires_grad=True)
    trunk = (w * 2).exp()
    heads = [(trunk * k).sum() for k in range(1, 5)]
    expected = [pynn.autograd.grad(h, w, retain_graph=True)[0] for h in heads]
    found = [None] * len(heads)

    def work(i):
        for _ in range(10):
            found[i] = pynn.autograd.grad(heads[i], w, retain_graph=True)[0]

    assert not at_once(*[lambda i=i: work(i) for i in range(len(heads))])
    assert all(pynn.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_hooks_come_and_go():
    w = pynn.ones(N, N, requires_grad=True)
    y = w.exp() * w
    root = y.sum()

    def run():
        for _ in range(20):
            root.backward(retain_graph=True)

    def hang():
        for _ in range(100):
            handles = [
                w.register_hook(lambda g: None),
                y.register_hook(lambda g: g * 1),
                y.grad_fn.register_hook(lambda a, b: None),
                y.grad_fn.register_prehook(lambda a: None),
                w.register_post_accumulate_grad_hook(lambda p: None),
            ]
            y.retain_grad()
            for h in handles:
                h.remove()
            assert w.grad is None or w.grad.shape == w.shape

    assert not at_once(run, hang, run, hang)


def test_a_hook_may_run_backward_on_the_same_leaf():
    w = pynn.ones(3, requires_grad=True)
    inner = []

    def once(p):
        if not inner:
            inner.append(True)
            with pynn.enable_grad():
                (p * 10).sum().backward()

    w.register_post_accumulate_grad_hook(once)
    (w * 1).sum().backward()
    assert w.grad.tolist() == [11.0] * 3


def test_views_of_a_base_that_was_written_to():
    w = pynn.ones(N, N, requires_grad=True)
    base = w * 1
    views = [base[1:], base[:-1], base.t()]
    base.mul_(2)

    def work():
        for _ in range(20):
            for v in views:
                (v * v).sum().backward(retain_graph=True)

    assert not at_once(*[work] * 3)
    assert w.grad.isfinite().all()


def test_custom_functions():
    class Double(pynn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2 + 0 * ctx.saved_tensors[0]

    w = pynn.ones(N, N, requires_grad=True)
    y = Double.apply(w)
    root = (y * y).sum()
    assert not at_once(*[lambda: root.backward(retain_graph=True)] * 3)
    assert (w.grad == 24).all()
    errors = at_once(*[root.backward] * 3)
    assert len(errors) <= 2 and all("second time" in str(e) for e in errors)
