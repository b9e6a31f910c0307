"""utils.checkpoint: the same gradients, computed again."""

import gc

import pytest

import pynn
from pynn import nn
from pynn.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


@pytest.fixture
def net():
    pynn.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))


def grads(net):
    out = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    return out


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradients_and_random_numbers_are_the_same(net, reentrant):
    x = pynn.rand(5, 4, requires_grad=True)
    pynn.manual_seed(1)
    expected_y = net(x)
    expected_y.pow(2).sum().backward()
    expected, expected_x = grads(net), x.grad.clone()
    x.grad = None
    pynn.manual_seed(1)
    y = checkpoint(net, x, use_reentrant=reentrant)
    after = pynn.get_rng_state()
    y.pow(2).sum().backward()
    assert (y == expected_y).all() and (pynn.get_rng_state() == after).all()
    for a, b in zip(grads(net), expected, strict=True):
        assert (a == b).all()
    assert (x.grad == expected_x).all()


def test_without_reentry_inputs_need_no_gradient_and_graphs_can_stay(net):
    net.eval()
    x = pynn.rand(5, 4)
    y = checkpoint(net, x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    first = grads(net)
    y.backward()
    for a, b in zip(grads(net), first, strict=True):
        assert (a == b).all()
    z = pynn.rand(3, requires_grad=True)
    (g,) = pynn.autograd.grad(
        checkpoint(lambda a: (a**3).sum(), z, use_reentrant=False), z, create_graph=True
    )
    (h,) = pynn.autograd.grad(g.sum(), z)
    pynn.testing.assert_close(h, 6 * z.detach())


def test_keywords_structures_and_nesting(net):
    x = pynn.rand(3, requires_grad=True)

    def inner(a, scale=1.0):
        return {"y": [(a * scale).exp()]}

    def outer(a):
        return checkpoint(inner, a, scale=2.0, use_reentrant=False)["y"][0].sin()

    checkpoint(outer, x, use_reentrant=False).sum().backward()
    e = (2 * x.detach()).exp()
    pynn.testing.assert_close(x.grad, 2 * e * e.cos())


def test_memory_is_given_back(net):
    class Wide(nn.Module):
        def forward(self, x):
            for _ in range(8):
                x = (x + 1).tanh()
            return x

    x = pynn.rand(1000, 1000, requires_grad=True)
    gc.collect()
    base = pynn.memory_allocated()
    plain = Wide()(x)
    kept = pynn.memory_allocated() - base
    del plain
    y = checkpoint(Wide(), x, use_reentrant=False)
    assert pynn.memory_allocated() - base < kept / 3
    y.sum().backward()


def test_contexts_and_a_part_that_changes():
    entered = []

    class Note:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *exc):
            pass

    x = pynn.rand(3, requires_grad=True)
    y = checkpoint(
        lambda a: a.exp(), x, use_reentrant=False, context_fn=lambda: (Note("first"), Note("second"))
    )
    y.sum().backward()
    assert entered == ["first", "second"]

    calls = []

    def fickle(a):
        calls.append(1)
        return a.exp() if len(calls) == 1 else a.exp().exp()

    with pytest.raises(CheckpointError, match="different number"):
        checkpoint(fickle, x, use_reentrant=False).sum().backward()
    calls.clear()

    def shrinking(a):
        calls.append(1)
        return (a if len(calls) == 1 else a[:2]).exp()

    with pytest.raises(CheckpointError, match="different metadata"):
        checkpoint(shrinking, x, use_reentrant=False).sum().backward()


def test_autocast_is_as_it_was():
    net = nn.Linear(4, 4)
    x = pynn.rand(2, 4, requires_grad=True)
    seen = []

    def part(a):
        y = net(a)
        seen.append(y.dtype)
        return y

    for reentrant in (True, False):
        with pynn.autocast("cpu"):
            y = checkpoint(part, x, use_reentrant=reentrant)
        y.float().sum().backward()
    assert seen == [pynn.bfloat16] * 4 and not pynn.is_autocast_enabled("cpu")


def test_sequential(net):
    net.eval()
    x = pynn.rand(5, 4, requires_grad=True)
    net(x).sum().backward()
    expected = grads(net)
    for segments in (1, 2, 4):
        checkpoint_sequential(net, segments, x, use_reentrant=False).sum().backward()
        for a, b in zip(grads(net), expected, strict=True):
            pynn.testing.assert_close(a, b)


def test_warnings_and_errors(net):
    x = pynn.rand(5, 4, requires_grad=True)
    with pytest.warns(UserWarning, match="use_reentrant"):
        checkpoint(net, x)
    with pytest.warns(UserWarning, match="requires_grad=True"):
        checkpoint(net, x.detach(), use_reentrant=True)
    with pytest.raises(ValueError, match="Unexpected keyword"):
        checkpoint(net, x, use_reentrant=True, y=1)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(net, x, use_reentrant=False, determinism_check="x")
    with pynn.no_grad():
        assert not checkpoint(net, x, use_reentrant=False).requires_grad
    with pytest.raises(ZeroDivisionError):
        checkpoint(lambda a: 1 / 0, x, use_reentrant=False)
