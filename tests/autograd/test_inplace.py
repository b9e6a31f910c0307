"""In-place ops, views and version counters: the right gradient, or an error that names what happened."""

import numpy as np
import pytest
from helpers import arr, raises, tensor, to_numpy

import pynn
from pynn.autograd import gradcheck, gradgradcheck

MODIFIED = "modified by an inplace operation"


def leaf(*values):
    return pynn.tensor(values, dtype=pynn.float64, requires_grad=True)


def test_versions():
    x = pynn.zeros(4)
    assert x._version == 0
    x.add_(1)
    x[0] = 3
    assert x._version >= 2
    before = x._version
    v = x.view(2, 2)
    v.mul_(2)
    assert x._version == v._version == before + 1
    d = x.detach()
    d.add_(1)
    assert x._version == d._version == before + 2
    data = x.data
    data.add_(1)  # the one way around the counter
    assert x._version == before + 2
    assert x.clone()._version == 0
    _ = x + 1
    assert x._version == before + 2


SAVERS = {
    "exp": (pynn.exp, "result"),
    "sin": (pynn.sin, "input"),
    "mul": (lambda x: x * x, "input"),
    "pow": (lambda x: x**3, "input"),
    "sqrt": (pynn.sqrt, "result"),
    "tanh": (pynn.tanh, "result"),
    "sigmoid": (pynn.sigmoid, "result"),
    "softmax": (lambda x: pynn.softmax(x, 0), "result"),
    "log": (pynn.log, "input"),
    "div": (lambda x: x / x, "input"),
    "dot": (lambda x: pynn.dot(x, x), "input"),
    "prod": (lambda x: x.prod(), "input"),
    "norm": (lambda x: x.norm(), "input"),
}


@pytest.mark.parametrize("name", SAVERS)
def test_writing_to_a_saved_tensor_is_found_at_backward(name):
    op, saved = SAVERS[name]
    x = leaf(1.0, 2.0)
    h = x * 1
    y = op(h)
    (h if saved == "input" else y).add_(1)
    with raises(RuntimeError, MODIFIED):
        y.sum().backward()


def test_the_error_names_op_and_versions():
    x = leaf(1.0, 2.0)
    h = x * 2
    y = h.exp().sin()
    z = h.pow(2)
    h.add_(1)
    h.add_(1)
    with raises(RuntimeError, MODIFIED, "version 2", "version 0", r"(?i)mul|add|\[2\]"):
        (y + z).sum().backward()


def test_writing_to_what_is_not_saved_is_fine():
    x = leaf(1.0, 2.0)
    h = x * 3  # saves 3, not x
    y = h + 1  # saves nothing
    h.mul_(2)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_leaf_errors():
    x = leaf(1.0, 2.0)
    for write in (
        lambda: x.add_(1),
        lambda: x.zero_(),
        lambda: x.__setitem__(0, 1.0),
        lambda: x.copy_(pynn.ones(2)),
        lambda: x.normal_(),
        lambda: x.view(2, 1).mul_(2),
        lambda: x[0].fill_(1),
        lambda: x.exp_(),
    ):
        with raises(RuntimeError, "leaf", "in-?place"):
            write()
    assert x.tolist() == [1.0, 2.0] and x._version == 0
    x.detach().add_(1)
    assert x.tolist() == [2.0, 3.0]


def test_chain_of_inplace_ops():
    x = leaf(0.5, -1.0)
    y = x * 2
    y += 1
    y *= 3
    y.sub_(x)
    y.relu_()
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 0.0]


def test_inplace_with_its_own_input():
    x = leaf(2.0, 3.0)
    y = x.clone()
    y.mul_(y.clone())
    y.add_(y)
    y.sum().backward()
    assert x.grad.tolist() == [8.0, 12.0]


def test_rows_share_one_version_counter():
    y = leaf(1.0, 2.0) * 1
    z = y[1] * y[1]  # y[1] is saved, and a write to y[0] counts as one to y
    y[0].mul_(3)
    with raises(RuntimeError, MODIFIED):
        (z + y.sum()).backward()


def test_a_tensor_without_grad_joins_the_graph():
    x = leaf(1.0, 2.0)
    y = pynn.zeros(2, dtype=pynn.float64)
    y.add_(x)
    assert y.requires_grad and not y.is_leaf
    y.mul_(3)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_write_through_a_view_changes_the_base():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    base = x * 1
    view = base.view(2, 2)[0]
    view.mul_(10)
    assert base.tolist() == [10.0, 20.0, 3.0, 4.0]
    assert "CopySlices" in base.grad_fn.name()
    base.sum().backward()
    assert x.grad.tolist() == [10.0, 10.0, 1.0, 1.0]


def test_write_to_the_base_changes_its_views():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    base = x * 1
    view = base[1:3]
    old = view.grad_fn
    base.mul_(5)
    assert view.tolist() == [10.0, 15.0]
    assert view.grad_fn is not old  # made anew from the base's new history
    view.sum().backward()
    assert x.grad.tolist() == [0.0, 5.0, 5.0, 0.0]


def test_write_through_one_view_is_seen_by_another():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    base = x * 1
    a, b = base[:3], base[1:]
    a.mul_(2)
    b.add_(a[:1].expand(3) * 0 + 1)
    assert a.tolist() == [2.0, 5.0, 7.0] and base.tolist() == [2.0, 5.0, 7.0, 5.0]
    (a.sum() + b.pow(2).sum() + base.sum()).backward()
    v = np.array([2.0, 5.0, 7.0, 5.0])
    seed = np.array([1.0, 1, 1, 0]) + np.array([0.0, 1, 1, 1]) * 2 * v + 1
    np.testing.assert_allclose(to_numpy(x.grad), seed * np.array([2.0, 2, 2, 1]))


def test_base_without_grad_becomes_part_of_the_graph():
    base = pynn.zeros(3, dtype=pynn.float64)
    row = base[1]
    x = pynn.tensor(2.0, dtype=pynn.float64, requires_grad=True)
    base[0] = x
    assert base.requires_grad and row.requires_grad and not row.is_leaf
    row.add_(x * x)
    (base * pynn.tensor([1.0, 10.0, 100.0], dtype=pynn.float64)).sum().backward()
    assert x.grad.item() == 1 + 10 * 4


def test_views_of_views():
    x = tensor(arr(4, 6), requires_grad=True)
    base = x * 1
    inner = base.t()[1:5].t()[::2]
    inner.mul_(3)
    inner[:, 0] = 7.0
    base.sum().backward()
    expected = np.ones((4, 6))
    expected[::2, 1:5] = 3
    expected[::2, 1] = 0
    np.testing.assert_array_equal(to_numpy(x.grad), expected)


def _write(f):
    """Turn a function that writes into its first argument into one that can be checked."""

    def call(x, *rest):
        y = x * 1
        f(y, *rest)
        return y

    return call


WRITES = {
    "view": lambda y, s: y.view(6).mul_(2.5),
    "slice": lambda y, s: y[:, 1:].mul_(s[:2]),
    "select": lambda y, s: y[1].copy_(s),
    "transpose": lambda y, s: y.t()[0].add_(s[:2]),
    "overlapping slices": lambda y, s: (y[:, :2].mul_(2), y[:, 1:].exp_()),
    "diagonal": lambda y, s: y.diagonal().mul_(s[:2]),
    "setitem": lambda y, s: y.__setitem__((0, slice(None)), s),
    "setitem mask": lambda y, s: y.__setitem__(y > 0, 0.5),
    "setitem index": lambda y, s: y.__setitem__(pynn.tensor([1]), s * 2),
    "view of view": lambda y, s: y.view(3, 2)[1:].view(-1)[::2].mul_(3),
    "self": lambda y, s: y[0].mul_(y[1].clone()),
    "unbind-like": lambda y, s: y.select(0, 0).add_(s),
    "unsqueeze": lambda y, s: y.unsqueeze(0).mul_(s),
    "masked_fill": lambda y, s: y.masked_fill_(y > 0.5, 0.0),
    "index_add": lambda y, s: y.index_add_(0, pynn.tensor([1]), s[None]),
    "scatter_add": lambda y, s: y.scatter_add_(1, pynn.tensor([[0], [1]]), s[:2, None]),
    "addcmul": lambda y, s: y.addcmul_(s, s, value=2.0),
    "clamp": lambda y, s: y.clamp_(-0.5, 0.5),
    "zero": lambda y, s: y[0].zero_(),
    "lerp": lambda y, s: y.lerp_(s.expand(2, 3), 0.3),
    "tril": lambda y, s: y.tril_(),
    "addmm": lambda y, s: y.addmm_(s[:2, None], s[None]),
}


@pytest.mark.parametrize("name", WRITES)
def test_gradients_of_writes(name):
    x, s = (tensor(a, requires_grad=True) for a in (arr(2, 3), arr(3, seed=1)))
    f = _write(WRITES[name])
    inputs = (x, s) if f(x, s).grad_fn is not None else (x,)
    assert gradcheck(f, inputs) and gradgradcheck(f, inputs)


def test_multi_output_views_may_be_written_to():  # unlike PyTorch, which refuses
    for take in (lambda t: t.unbind(0), lambda t: t.split(1), lambda t: t.chunk(2)):
        x = tensor(arr(2, 3), requires_grad=True)
        base = x * 1
        take(base)[0].mul_(2)
        base.sum().backward()
        assert x.grad.tolist() == [[2.0] * 3, [1.0] * 3]


def test_expanded_memory_refuses_writes():
    x = leaf(1.0)
    with raises(RuntimeError, "(?i)single memory location|overlap|expand"):
        (x * 1).expand(3).mul_(2)


def test_modified_view_saved_elsewhere():
    x = leaf(1.0, 2.0, 3.0)
    base = x * 1
    y = base.sin()  # saves base
    base[0] = 0.0
    with raises(RuntimeError, MODIFIED):
        y.sum().backward()


def test_detached_write_is_found_too():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.detach().zero_()
    with raises(RuntimeError, MODIFIED):
        y.sum().backward()


def test_inplace_on_a_retained_tensor():
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.add_(1)
    (y * 3).sum().backward()
    assert y.grad.tolist() == [3.0, 3.0] and x.grad.tolist() == [6.0, 6.0]


def test_base_and_is_view():
    x = pynn.zeros(4)
    v = x.view(2, 2)
    w = v[0]
    assert x._base is None and not x._is_view() and v._is_view()
    assert v._base is x and w._base is x  # the base of a view of a view is the base


def test_set_data():
    x = leaf(1.0, 2.0)
    x.data = pynn.tensor([5.0, 6.0], dtype=pynn.float64)
    (x * x).sum().backward()
    assert x.grad.tolist() == [10.0, 12.0] and x.is_leaf
    with raises(RuntimeError, "data|type|dtype"):
        x.data = pynn.ones(2, dtype=pynn.int64)
    with pytest.raises((TypeError, RuntimeError)):
        x.data = [1.0]
