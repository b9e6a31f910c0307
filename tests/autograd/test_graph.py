"""The graph: leaves and nodes, backward and grad, accumulation, freeing, higher derivatives, error texts."""

import warnings

import numpy as np
import pytest
from helpers import arr, raises, same_bits, tensor, to_numpy

import pynn


def leaf(*values):
    return pynn.tensor(values, requires_grad=True)


def test_leaves_and_nodes():
    x = leaf(1.0, 2.0)
    assert x.is_leaf and x.requires_grad and x.grad_fn is None and x.grad is None and x.output_nr == 0
    y = x * 2
    assert not y.is_leaf and y.requires_grad and y.grad_fn is not None
    assert "Mul" in y.grad_fn.name() and "Mul" in type(y.grad_fn).__name__
    assert (y.grad_fn, 0) != (None, 0) and y.grad_fn == y.grad_fn
    (accumulate, number), *_ = y.grad_fn.next_functions
    assert "AccumulateGrad" in accumulate.name() and number == 0 and accumulate.variable is x
    z = pynn.ones(2) * 3
    assert z.is_leaf and not z.requires_grad and z.grad_fn is None
    assert (y + z).grad_fn.next_functions[1] == (None, 0)
    assert x.detach().is_leaf and not x.detach().requires_grad


def test_backward_accumulates():
    x = leaf(1.0, 2.0, 3.0)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]
    before = x.grad
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0, 9.0]
    assert x.grad is before  # in place
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]
    x.grad.zero_()
    (x * x).backward(pynn.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [2.0, 40.0, 600.0]


def test_a_tensor_used_many_times():
    x = leaf(2.0)
    y = x
    for _ in range(10):
        y = y * x + y
    y.backward()
    assert x.grad.item() == pytest.approx(3**10 + 2 * 10 * 3**9)  # y = x (x + 1)^10
    a = leaf(1.0)
    b = a + a + a
    (b * b + b).backward()
    assert a.grad.item() == 2 * 3 * 3 + 3


def test_leaf_itself():
    x = leaf(5.0)
    x.backward()
    assert x.grad.tolist() == [1.0]


def test_gradient_argument():
    x = leaf(1.0, 2.0)
    with raises(RuntimeError, "grad can be implicitly created only for scalar outputs"):
        (x * 2).backward()
    with raises(RuntimeError, "shape|size"):
        (x * 2).backward(pynn.ones(3))
    with pytest.raises((TypeError, RuntimeError)):
        (x * 2).backward([1.0, 1.0])
    (x * 2).backward(gradient=pynn.ones(2))
    assert x.grad.tolist() == [2.0, 2.0]
    (x * 2)[:1].backward()  # one element is enough
    assert x.grad.tolist() == [4.0, 2.0]
    with raises(RuntimeError, "does not require grad"):
        pynn.ones(1).backward()


def test_backward_of_several_roots():
    x = leaf(1.0, 2.0)
    pynn.autograd.backward([x.sum(), (x * x).sum()])
    assert x.grad.tolist() == [3.0, 5.0]
    pynn.autograd.backward((x * 2, x.sum()), (pynn.ones(2), None))
    assert x.grad.tolist() == [6.0, 8.0]
    pynn.autograd.backward(x.sum(), inputs=[x])
    assert x.grad.tolist() == [7.0, 9.0]


def test_backward_inputs():
    x, y = leaf(1.0), leaf(2.0)
    h = x * y
    (h * h).backward(inputs=[y])
    assert x.grad is None and y.grad.item() == 4.0
    (x * y * 3).backward(inputs=x)
    assert x.grad.item() == 6.0 and y.grad.item() == 4.0
    with raises(RuntimeError, "inputs"):
        (x * y).backward(inputs=[])
    h = x * y
    (h * 2).backward(inputs=[h])  # not a leaf: still receives its gradient
    assert h.grad.item() == 2.0
    with raises(RuntimeError, "(?i)does not require|leaf|unreachable|not have been used|grad"):
        (x * y).backward(inputs=[pynn.ones(1)])


def test_second_backward_needs_retain_graph():
    for op in (lambda x: x * x, pynn.exp, lambda x: pynn.matmul(x, x), lambda x: pynn.softmax(x, 0)):
        x = leaf(1.0, 2.0)
        y = op(x).sum()
        y.backward()
        with raises(RuntimeError, "Trying to backward through the graph a second time"):
            y.backward()
        y = op(x).sum()
        y.backward(retain_graph=True)
        first = x.grad.clone()
        y.backward(retain_graph=True)
        y.backward()
        with raises(RuntimeError, "Trying to backward through the graph a second time"):
            y.backward()
        assert first.isfinite().all()
    x = leaf(1.0)
    y = x + 1  # saves nothing: may run again
    y.backward()
    y.backward()
    assert x.grad.item() == 2.0


def test_shared_part_of_two_graphs():
    x = leaf(1.0, 2.0)
    h = x.exp()
    h.sum().backward(retain_graph=True)
    (h * 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 3 * np.exp([1.0, 2.0]), rtol=1e-6)
    with raises(RuntimeError, "a second time"):
        h.sum().backward()


def test_grad_function():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = (x * y).sum()
    gx, gy = pynn.autograd.grad(z, (x, y))
    assert gx.tolist() == [3.0, 4.0] and gy.tolist() == [1.0, 2.0]
    assert x.grad is None and y.grad is None
    (g,) = pynn.autograd.grad([x * 2, x * 3], x, [pynn.ones(2), pynn.ones(2)])
    assert g.tolist() == [5.0, 5.0]
    h = x * 2
    (g,) = pynn.autograd.grad((h * h).sum(), h)  # a non-leaf
    assert g.tolist() == [4.0, 8.0]
    (g,) = pynn.autograd.grad(x.sum(), [x])
    assert not g.requires_grad
    (g,) = pynn.autograd.grad(x, x, pynn.ones(2))
    assert g.tolist() == [1.0, 1.0]


def test_unused_inputs():
    x, y = leaf(1.0), leaf(2.0)
    z = x * 2
    with raises(RuntimeError, "allow_unused"):
        pynn.autograd.grad(z, (x, y))
    z = x * 2
    assert pynn.autograd.grad(z, (x, y), allow_unused=True)[1] is None
    z = x * 2
    assert pynn.autograd.grad(z, (x, y), materialize_grads=True)[1].tolist() == [0.0]
    with raises(RuntimeError, "does not require grad|requires_grad"):
        pynn.autograd.grad(x * 2, pynn.ones(1))


def test_higher_derivatives():
    x = leaf(2.0)
    y = x**4
    expected = [4 * 2**3, 12 * 2**2, 24 * 2, 24, 0]
    for e in expected:
        (y,) = pynn.autograd.grad(y, x, create_graph=True)
        assert y.item() == e
    x = leaf(1.0, 2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    g = x.grad
    x.grad = None
    g.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_create_graph_keeps_the_graph():
    x = leaf(2.0)
    y = x * x
    (g,) = pynn.autograd.grad(y, x, create_graph=True)
    (h,) = pynn.autograd.grad(y, x)  # retain_graph follows create_graph
    assert g.item() == h.item() == 4.0


def test_gradient_of_gradient_norm():
    x = tensor(arr(5), requires_grad=True)
    y = (x.sin() * x).sum()
    (g,) = pynn.autograd.grad(y, x, create_graph=True)
    penalty = g.pow(2).sum()
    penalty.backward()
    v = to_numpy(x)
    first = np.sin(v) + v * np.cos(v)
    second = 2 * np.cos(v) - v * np.sin(v)
    np.testing.assert_allclose(to_numpy(x.grad), 2 * first * second, rtol=1e-10)


def test_requires_grad_rules():
    x = pynn.ones(2)
    assert x.requires_grad_() is x and x.requires_grad
    x.requires_grad = False
    assert not x.requires_grad
    for whole in (pynn.tensor([1]), pynn.tensor([True])):
        with raises(RuntimeError, "(?i)float"):
            whole.requires_grad_()
        with raises(RuntimeError, "(?i)float"):
            whole.requires_grad = True
    y = leaf(1.0) * 2
    with raises(RuntimeError, "leaf"):
        y.requires_grad_(False)
    assert not (leaf(1.0) > 0).requires_grad and not leaf(1.0).argmax().requires_grad
    assert not pynn.ones_like(leaf(1.0)).requires_grad
    assert (pynn.tensor([1]) * leaf(1.5)).requires_grad


def test_setting_grad():
    x = leaf(1.0, 2.0)
    x.grad = pynn.ones(2)
    x.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with raises((RuntimeError, ValueError), "size|shape|grad"):
        x.grad = pynn.ones(3)
    with raises((RuntimeError, ValueError), "dtype|type|grad"):
        x.grad = pynn.ones(2, dtype=pynn.float64)
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = "text"
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = x
    del x.grad
    assert x.grad is None


def test_retain_grad():
    x = leaf(1.0, 2.0)
    y = x * 2
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    y.retain_grad()  # again changes nothing
    (y * y).sum().backward()
    assert y.grad.tolist() == [4.0, 8.0]
    x.retain_grad()
    assert not x.retains_grad
    with raises(RuntimeError, "retain_grad|require"):
        pynn.ones(1).retain_grad()
    z = x * 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert z.grad is None
    assert caught and "leaf" in str(caught[0].message)


def test_detach():
    x = leaf(1.0, 2.0)
    d = x.detach()
    assert d.data_ptr() == x.data_ptr() and not d.requires_grad
    ((x * d).sum()).backward()
    assert x.grad.tolist() == [1.0, 2.0]
    y = x * 2
    assert y.detach_() is y and y.is_leaf and not y.requires_grad
    with raises(RuntimeError, "(?i)view"):
        (x * 2).view(2, 1).detach_()
    assert same_bits(x.data, x.detach()) and not x.data.requires_grad
    x.data = pynn.tensor([5.0, 6.0])
    assert x.tolist() == [5.0, 6.0] and x.requires_grad


def test_gradient_shapes_and_layouts():
    x = tensor(arr(3, 1), requires_grad=True)
    (x + tensor(arr(2, 3, 4))).sum().backward()
    assert x.grad.shape == (3, 1) and x.grad.flatten().tolist() == [8.0] * 3
    s = pynn.tensor(2.0, requires_grad=True)
    (s * pynn.ones(3, 3)).sum().backward()
    assert s.grad.shape == () and s.grad.item() == 9.0
    t = tensor(arr(3, 4)).t().requires_grad_()
    (t * 2).sum().backward()
    assert t.grad.stride() == t.stride()  # a gradient has its tensor's layout
    e = pynn.ones(1, 3, requires_grad=True)
    e.expand(5, 3).sum().backward()
    assert e.grad.is_contiguous() and e.grad.tolist() == [[5.0] * 3]


def test_dtype_of_gradients():
    x = pynn.ones(2, dtype=pynn.float16, requires_grad=True)
    (x * pynn.ones(2, dtype=pynn.float64)).sum().backward()
    assert x.grad.dtype == pynn.float16
    y = pynn.ones(2, dtype=pynn.float64, requires_grad=True)
    (y.float() * 3).sum().backward()
    assert y.grad.dtype == pynn.float64


def test_unreachable_and_partial_graphs():
    x, y = leaf(1.0), leaf(2.0)
    a, b = (x * y).split(1)[0], x.detach() * 3
    (a.sum() + b.sum()).backward()
    assert x.grad.item() == 2.0
    parts = pynn.stack([x, y]).unbind()
    parts[0].sum().backward()
    assert y.grad.item() == 1.0


def test_gradient_does_not_alias():
    """Two leaves that get the same gradient must not share its memory, nor share the caller's."""
    x, y = leaf(1.0, 1.0), leaf(2.0, 2.0)
    seed = pynn.ones(2)
    (x + y).backward(seed)
    x.grad.mul_(10)
    assert y.grad.tolist() == [1.0, 1.0] and seed.tolist() == [1.0, 1.0]


def test_float_and_copy_of_graph_tensors():
    y = leaf(1.5) * 2
    assert float(y) == 3.0 and y.item() == 3.0
    with raises(RuntimeError, "detach"):
        y.numpy()
    import copy

    with raises(RuntimeError, "deepcopy|leaf|graph"):
        copy.deepcopy(y)
    x = leaf(1.0)
    twin = copy.deepcopy(x)
    assert twin.requires_grad and twin.is_leaf and twin is not x
