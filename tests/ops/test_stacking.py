"""hstack and its kin, tensor_split and its kin, block_diag."""

import numpy as np
import pytest
from helpers import arr, arrs, check_op, raises, tensor, to_numpy

import pynn


@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack", "column_stack"])
def test_stack(name):
    op, ref = getattr(pynn, name), getattr(np, name)
    cases = [arrs((3,), (3,)), arrs((2, 3), (2, 3)), arrs((2, 1, 3), (2, 1, 3)), arrs((2, 0), (2, 0))]
    check_op(lambda *a: op(a), lambda *a: ref(a), cases, ints="same")
    with raises(RuntimeError, name, "non-empty"):
        op([])


@pytest.mark.parametrize("name, dim", [("hsplit", 1), ("vsplit", 0), ("dsplit", 2)])
def test_even_splits(name, dim):
    op, ref = getattr(pynn, name), getattr(np, name)
    cases = [(arr(4, 4, 4), 2), (arr(2, 4, 6), (1,)), (arr(4, 4, 4), (1, 3, 9))]
    check_op(op, ref, cases)
    x = pynn.zeros(4, 4, 4)
    parts = op(x, 2)
    parts[0].fill_(1)
    assert x.sum().item() == 32  # views
    with raises(RuntimeError, name, "not divisible"):
        op(x, 3)
    with raises(RuntimeError, name, "at least"):
        op(pynn.zeros(()), 2)


def test_tensor_split():
    cases = [(arr(7), 3), (arr(2, 7), 4, 1), (arr(7), (2, 2, 5)), (arr(3, 2), 5)]
    check_op(pynn.tensor_split, np.array_split, cases)
    x = tensor(arr(7))
    for parts in (x.tensor_split(pynn.tensor([2, 5])), x.tensor_split((2, 5))):
        assert [p.numel() for p in parts] == [2, 3, 2]
    with raises(RuntimeError, "tensor_split", "dtype long"):
        x.tensor_split(pynn.tensor([2.0]))


def test_block_diag():
    def ref(*blocks):
        blocks = [np.atleast_2d(b) for b in blocks]
        out = np.zeros([sum(b.shape[i] for b in blocks) for i in (0, 1)])
        r = c = 0
        for b in blocks:
            out[r : r + b.shape[0], c : c + b.shape[1]] = b
            r, c = r + b.shape[0], c + b.shape[1]
        return out

    check_op(pynn.block_diag, ref, [arrs((2, 3), (1, 1)), arrs((3,), (2, 2), ()), arrs((2, 2))])
    assert to_numpy(pynn.block_diag()).shape == (1, 0)


def test_gradients_of_parts():
    """Gradients of split, chunk and unbind; parts without one give zeros; writes to a part reach the whole."""
    x = pynn.arange(12.0, dtype=pynn.float64).view(3, 4).requires_grad_()
    for dim in (0, 1, -1):
        for parts in (x.split([1, 0, x.shape[dim] - 1], dim), x.chunk(2, dim), x.unbind(dim)):
            for used in (parts, parts[-1:], parts[::2]):
                want = np.zeros((3, 4))
                grad = pynn.autograd.grad(sum((p * p).sum() for p in used), x, retain_graph=True)[0]
                view = np.moveaxis(want, dim, 0)
                at = 0
                for p in parts:
                    n = p.shape[dim] if p.dim() == 2 else 1
                    if any(p is u for u in used):
                        view[at : at + n] = 2 * np.moveaxis(to_numpy(x), dim, 0)[at : at + n]
                    at += n
                np.testing.assert_array_equal(to_numpy(grad), want)
    y = x * 1
    rows = y.unbind(0)
    rows[1].mul_(3)
    (y.sum() + rows[0].sum()).backward()
    np.testing.assert_array_equal(to_numpy(x.grad)[:, 0], [2, 3, 1])
    z = x.detach().requires_grad_()
    assert pynn.autograd.gradgradcheck(lambda t: (t.unbind(1)[1].sin() * t.split(2)[0].sum()).sum(), z)
