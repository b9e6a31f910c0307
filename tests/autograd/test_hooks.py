"""Hooks on tensors, on nodes, and after accumulation; saved-tensor hooks; handles that remove them."""

import gc
import weakref

import pytest
from helpers import raises

import pynn


def leaf(*values):
    return pynn.tensor(values, requires_grad=True)


def test_tensor_hook_sees_and_changes_the_gradient():
    x = leaf(1.0, 2.0)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.sum().backward()
    assert seen == [[1.0, 1.0], [10.0, 10.0]] and x.grad.tolist() == [20.0, 20.0]


def test_leaf_hook_runs_before_accumulation():
    x = leaf(1.0)
    x.register_hook(lambda g: g + 1)
    (x * 2).backward()
    assert x.grad.item() == 3.0
    (x * 2 + x).backward()  # one call, with the sum of both ways
    assert x.grad.item() == 7.0


def test_handles():
    x = leaf(1.0)
    seen = []
    handle = x.register_hook(lambda g: seen.append(1))
    other = x.register_hook(lambda g: seen.append(2))
    (x * 2).backward()
    handle.remove()
    handle.remove()  # again changes nothing
    (x * 2).backward()
    assert seen == [1, 2, 2]
    with other:
        pass
    (x * 2).backward()
    assert seen == [1, 2, 2]


def test_hooks_run_for_grad_too():
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * 3)
    assert pynn.autograd.grad(y, x, retain_graph=True)[0].item() == 6.0
    x.register_hook(lambda g: g * 5)
    assert pynn.autograd.grad(y, x)[0].item() == 30.0


def test_retain_grad_sees_the_gradient_after_hooks():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 2)
    y.backward()
    assert y.grad.item() == 2.0 and x.grad.item() == 4.0


def test_hook_and_inplace():
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(("before", g.item())))
    y.mul_(5)
    y.register_hook(lambda g: seen.append(("after", g.item())))
    y.backward()
    assert seen == [("after", 1.0), ("before", 5.0)]


@pytest.mark.parametrize("result", ["text", 3, [1.0]])
def test_hook_of_wrong_type(result):
    x = leaf(1.0)
    x.register_hook(lambda g: result)
    with pytest.raises((TypeError, RuntimeError)):
        (x * 2).backward()


def test_hook_of_wrong_shape():
    x = leaf(1.0)
    x.register_hook(lambda g: pynn.ones(3))
    with raises(RuntimeError, "hook|shape|size"):
        (x * 2).backward()


def test_hook_that_raises():
    x = leaf(1.0)
    y = x * 2
    handle = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.backward(retain_graph=True)
    handle.remove()
    y.backward()
    assert x.grad.item() == 2.0


def test_hook_registration_errors():
    with raises(RuntimeError, "hook|require"):
        pynn.ones(1).register_hook(lambda g: None)
    with raises(RuntimeError, "leaf"):
        (leaf(1.0) * 2).register_post_accumulate_grad_hook(lambda t: None)


def test_node_hooks():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []

    def before(grad_outputs):
        seen.append(("pre", grad_outputs[0].tolist()))
        return (grad_outputs[0] * 2,)

    def after(grad_inputs, grad_outputs):
        seen.append(("post", grad_inputs[0].tolist(), grad_outputs[0].tolist()))
        return (grad_inputs[0] * 10, *grad_inputs[1:])

    pre, post = y.grad_fn.register_prehook(before), y.grad_fn.register_hook(after)
    y.sum().backward(retain_graph=True)
    assert seen == [("pre", [1.0, 1.0]), ("post", [6.0, 6.0], [2.0, 2.0])]
    assert x.grad.tolist() == [60.0, 60.0]
    pre.remove()
    post.remove()
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0] and len(seen) == 2


def test_post_accumulate_hook():
    x = leaf(1.0, 2.0)
    seen = []

    def step(t):
        seen.append((t is x, t.grad.tolist()))
        with pynn.no_grad():
            t -= 0.1 * t.grad
        t.grad = None

    handle = x.register_post_accumulate_grad_hook(step)
    (x * 5).sum().backward()
    assert seen == [(True, [5.0, 5.0])] and x.grad is None
    assert x.tolist() == pytest.approx([0.5, 1.5])
    handle.remove()
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_hooks_do_not_keep_tensors_alive():
    class Watched:
        def __call__(self, g):
            return g

    hook = Watched()
    ref = weakref.ref(hook)
    x = leaf(1.0)
    y = x * 2
    y.register_hook(hook)
    del hook
    assert ref() is not None
    del y
    gc.collect()
    assert ref() is None


def test_order_with_several_paths():
    x = leaf(2.0)
    order = []
    a, b = x * 3, x * 5
    a.register_hook(lambda g: order.append("a"))
    b.register_hook(lambda g: order.append("b"))
    c = a * b
    c.register_hook(lambda g: order.append("c"))
    c.backward()
    assert order[0] == "c" and sorted(order[1:]) == ["a", "b"]
    assert x.grad.item() == 2 * 15 * 2


# -- saved-tensor hooks -------------------------------------------------------------------------------------------


def test_saved_tensors_hooks_pack_and_unpack():
    x = leaf(1.0, 2.0)
    packed = []

    def pack(t):
        packed.append(t.tolist())
        return ("box", t.detach().clone())

    with pynn.autograd.graph.saved_tensors_hooks(pack, lambda box: box[1] * 10):
        y = x * x
        z = y.exp().detach()
    outside = (x * x).sum()
    assert packed[:2] == [[1.0, 2.0], [1.0, 2.0]] and z.shape == (2,)
    y.sum().backward()
    assert x.grad.tolist() == [20.0, 40.0]
    x.grad = None
    outside.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_saved_tensors_hooks_nest_and_cover_functions():
    x = leaf(3.0)
    calls = []
    hooks = pynn.autograd.graph.saved_tensors_hooks
    with hooks(lambda t: calls.append("outer") or t, lambda t: t):
        with hooks(lambda t: calls.append("inner") or t, lambda t: t):
            y = x.exp()
        z = x.sin()
    assert calls == ["inner", "outer"]
    (y + z).backward()


def test_saved_tensors_hooks_errors():
    x = leaf(1.0)
    hooks = pynn.autograd.graph.saved_tensors_hooks
    with pytest.raises(ZeroDivisionError), hooks(lambda t: 1 / 0, lambda t: t):
        x.exp()
    with hooks(lambda t: t, lambda t: "text"):
        y = x.exp()
    with pytest.raises((TypeError, RuntimeError)):
        y.backward()
    assert (x * x).requires_grad  # left in order


def test_save_on_cpu():
    x = leaf(1.0, 2.0)
    with pynn.autograd.graph.save_on_cpu():
        y = (x * x).sum()
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]
