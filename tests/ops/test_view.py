"""Ops that only change how memory is read: they share storage, and their gradients find their way back."""

import numpy as np
import pytest
from helpers import arr, check_op, raises, same_bits, tensor, to_numpy

import pynn

CUBE = arr(2, 3, 4)
X = pynn.from_numpy(np.arange(24.0).reshape(2, 3, 4))

# name: (op, NumPy's, arguments)
VIEWS = {
    "view": (lambda x: x.view(4, 6), lambda x: x.reshape(4, 6)),
    "view -1": (lambda x: x.view(-1, 2), lambda x: x.reshape(-1, 2)),
    "view list": (lambda x: x.view([3, 8]), lambda x: x.reshape(3, 8)),
    "view_as": (lambda x: x.view_as(pynn.empty(6, 4)), lambda x: x.reshape(6, 4)),
    "reshape": (lambda x: x.reshape(2, 12), lambda x: x.reshape(2, 12)),
    "permute": (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "permute negative": (lambda x: x.permute((-1, 0, -2)), lambda x: x.transpose(2, 0, 1)),
    "transpose": (lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, -1)),
    "swapaxes": (lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(0, 1)),
    "mT": (lambda x: x.mT, lambda x: x.swapaxes(1, 2)),
    "movedim": (lambda x: x.movedim(0, 2), lambda x: np.moveaxis(x, 0, 2)),
    "movedim several": (lambda x: pynn.movedim(x, (0, 1), (2, 0)), lambda x: np.moveaxis(x, (0, 1), (2, 0))),
    "unsqueeze": (lambda x: x.unsqueeze(1), lambda x: np.expand_dims(x, 1)),
    "unsqueeze last": (lambda x: x.unsqueeze(-1), lambda x: np.expand_dims(x, -1)),
    "squeeze": (lambda x: x[:1].squeeze(), lambda x: x[0]),
    "squeeze dim": (lambda x: x[:1].squeeze(0), lambda x: x[0]),
    "squeeze dims": (lambda x: x[:1, :1].squeeze((0, 1)), lambda x: x[0, 0]),
    "squeeze of a larger dim": (lambda x: x.squeeze(1), lambda x: x),
    "flatten": (lambda x: x.flatten(), lambda x: x.reshape(-1)),
    "flatten some": (lambda x: pynn.flatten(x, 1), lambda x: x.reshape(2, 12)),
    "flatten first": (lambda x: x.flatten(0, 1), lambda x: x.reshape(6, 4)),
    "unflatten": (lambda x: x.unflatten(2, (2, 2)), lambda x: x.reshape(2, 3, 2, 2)),
    "unflatten -1": (lambda x: x.unflatten(-1, (-1, 2)), lambda x: x.reshape(2, 3, 2, 2)),
    "expand": (lambda x: x[:1].expand(5, 3, 4), lambda x: np.broadcast_to(x[:1], (5, 3, 4))),
    "expand new dims": (lambda x: x.expand(2, -1, -1, 4), lambda x: np.broadcast_to(x, (2, 2, 3, 4))),
    "expand_as": (lambda x: x[0].expand_as(pynn.empty(5, 3, 4)), lambda x: np.broadcast_to(x[0], (5, 3, 4))),
    "broadcast_to": (
        lambda x: pynn.broadcast_to(x, (3, 2, 3, 4)),
        lambda x: np.broadcast_to(x, (3, 2, 3, 4)),
    ),
    "narrow": (lambda x: x.narrow(1, 1, 2), lambda x: x[:, 1:3]),
    "narrow negative": (lambda x: pynn.narrow(x, -1, -3, 2), lambda x: x[..., 1:3]),
    "select": (lambda x: x.select(2, -1), lambda x: x[:, :, -1]),
    "diagonal": (lambda x: x.diagonal(dim1=1, dim2=2), lambda x: x.diagonal(axis1=1, axis2=2)),
    "diagonal offset": (lambda x: pynn.diagonal(x, 1, 0, 2), lambda x: x.diagonal(1, 0, 2)),
    "diagonal below": (lambda x: x[0].diagonal(-1), lambda x: x[0].diagonal(-1)),
    "t": (lambda x: x[0].t(), lambda x: x[0].T),
    "T": (lambda x: x[0].T, lambda x: x[0].T),
    "split": (lambda x: x.split(2, dim=2), lambda x: np.split(x, [2], 2)),
    "split uneven": (lambda x: pynn.split(x, 3, -1), lambda x: np.split(x, [3], 2)),
    "split sizes": (lambda x: x.split([1, 3], 2), lambda x: np.split(x, [1], 2)),
    "chunk": (lambda x: x.chunk(2, dim=1), lambda x: np.split(x, [2], 1)),
    "chunk too many": (lambda x: pynn.chunk(x, 7, 1), lambda x: np.split(x, [1, 2], 1)),
    "unbind": (lambda x: x.unbind(1), lambda x: [x[:, i] for i in range(3)]),
    "unfold": (lambda x: x.unfold(2, 2, 1), lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 2)),
    "as_strided": (
        lambda x: x.contiguous().as_strided((2, 2), (5, 1), 3),
        lambda x: np.array([[x.reshape(-1)[3 + 5 * i + j] for j in range(2)] for i in range(2)]),
    ),
}
NEEDS_CONTIGUOUS = {"view", "view -1", "view list", "view_as", "as_strided"}


@pytest.mark.parametrize("name", VIEWS)
def test_values_and_gradients(name):
    op, ref = VIEWS[name]
    check_op(op, ref, [CUBE], ints="same", bools="same", layouts=name not in NEEDS_CONTIGUOUS)


@pytest.mark.parametrize("name", VIEWS)
def test_storage_is_shared(name):
    x = X.clone()
    results = VIEWS[name][0](x)
    for y in results if isinstance(results, (tuple, list)) else (results,):
        assert y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        assert y._version == x._version
        before = x._version
        if y.numel() and "expand" not in name and "broadcast" not in name and name != "unfold":
            y.fill_(-1)
            assert x.min() == -1 and x._version == y._version > before


def test_reshape_copies_only_when_it_must():
    x = X.clone()
    assert x.reshape(6, 4).data_ptr() == x.data_ptr()
    t = x.transpose(1, 2)
    assert t.reshape(2, 4, 3).data_ptr() == x.data_ptr()
    flat = t.reshape(-1)
    assert flat.data_ptr() != x.data_ptr()
    np.testing.assert_array_equal(flat.numpy(), x.numpy().swapaxes(1, 2).reshape(-1))
    # A view is possible where merged dims are contiguous with each other.
    assert x[:, :2].view(2, 8).shape == (2, 8)
    assert x.transpose(0, 1).view(3, 2, 2, 2).data_ptr() == x.data_ptr()
    assert x[..., ::2].view(2, 3, 2).stride() == x[..., ::2].stride()
    assert x[..., ::2].reshape(6, 2).data_ptr() == x.data_ptr()


def test_strides_of_views():
    x = X
    assert x.stride() == (12, 4, 1) and x.stride(1) == 4 and x.storage_offset() == 0
    assert x.permute(2, 0, 1).stride() == (1, 12, 4)
    assert x[1].storage_offset() == 12 and x[:, 1:, ::2].storage_offset() == 4
    assert x[:, 1:, ::2].stride() == (12, 4, 2)
    assert x[:1].expand(5, 3, 4).stride() == (0, 4, 1)
    assert x.unsqueeze(1).stride() == (12, 12, 4, 1)
    assert x.view(4, 6).stride() == (6, 1)
    assert x.diagonal(0, 1, 2).stride() == (12, 5)
    assert not x.transpose(0, 1).is_contiguous() and x.transpose(0, 1).contiguous().is_contiguous()
    assert x.contiguous() is x


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: x.view(5, 5), RuntimeError, "view.*5.*24"),
        (lambda x: x.view(-1, 5), RuntimeError, "view.*24|view.*5"),
        (lambda x: x.view(-1, -1), RuntimeError, "view.*-1"),
        (lambda x: x.view(-2, -12), RuntimeError, "view.*-2"),
        (lambda x: x.transpose(0, 2).view(24), RuntimeError, "view.*reshape"),
        (lambda x: x.reshape(7), RuntimeError, "reshape.*7.*24"),
        (lambda x: pynn.empty(0).view(-1, 0), RuntimeError, "view|reshape"),
        (lambda x: x.permute(0, 1), RuntimeError, "permute.*2.*3|permute.*3"),
        (lambda x: x.permute(0, 0, 1), RuntimeError, "permute"),
        (lambda x: x.permute(0, 1, 3), IndexError, "permute.*3"),
        (lambda x: x.transpose(0, 3), IndexError, "transpose.*3"),
        (lambda x: x.t(), RuntimeError, r"\bt\b.*3"),
        (lambda x: x.unsqueeze(5), IndexError, "unsqueeze.*5"),
        (lambda x: x.squeeze(3), IndexError, "squeeze.*3"),
        (lambda x: x.expand(2, 3, 5), RuntimeError, "expand.*4.*5|expand.*5.*4"),
        (lambda x: x.expand(3, 4), RuntimeError, "expand"),
        (lambda x: x.expand(-1, 2, 3, 4), RuntimeError, "expand.*-1"),
        (lambda x: x.expand(2, 3, -2), RuntimeError, "expand.*-2"),
        (lambda x: x.flatten(2, 1), RuntimeError, "flatten"),
        (lambda x: x.flatten(0, 3), IndexError, "flatten.*3"),
        (lambda x: x.unflatten(1, (2, 2)), RuntimeError, "unflatten"),
        (lambda x: x.unflatten(1, ()), RuntimeError, "unflatten"),
        (lambda x: x.narrow(0, 1, 2), RuntimeError, "narrow"),
        (lambda x: x.narrow(0, 0, -1), RuntimeError, "narrow.*-1"),
        (lambda x: x.narrow(0, 5, 1), IndexError, "narrow.*5"),
        (lambda x: x.select(0, 2), IndexError, "select.*2"),
        (lambda x: x.select(3, 0), IndexError, "select.*3"),
        (lambda x: x.split(0), RuntimeError, "split.*0"),
        (lambda x: x.split(-1), RuntimeError, "split.*-1"),
        (lambda x: x.split([1, 1, 1]), RuntimeError, "split"),
        (lambda x: x.chunk(0), RuntimeError, "chunk.*0"),
        (lambda x: x.unbind(3), IndexError, "unbind.*3"),
        (lambda x: x.diagonal(0, 1, 1), RuntimeError, "diagonal"),
        (lambda x: x.movedim((0, 1), (0,)), RuntimeError, "movedim"),
        (lambda x: x.movedim((0, 0), (1, 2)), RuntimeError, "movedim"),
        (lambda x: x.as_strided((5, 5), (5, 1)), RuntimeError, "as_strided.*"),
        (lambda x: x.as_strided((2,), (1, 1)), RuntimeError, "as_strided"),
        (lambda x: x.as_strided((2,), (-1,)), RuntimeError, "as_strided|stride"),
        (lambda x: x.as_strided((2,), (1,), -1), RuntimeError, "as_strided|offset"),
        (lambda x: x.as_strided((2,), (2**62,)), RuntimeError, "as_strided|storage"),
        (lambda x: x.unfold(1, 4, 1), RuntimeError, "unfold"),
        (lambda x: x.unfold(1, 2, 0), RuntimeError, "unfold"),
        (lambda x: x.view("a"), TypeError, "view"),
        (lambda x: x.view(1.5), TypeError, "view"),
        (lambda x: x.permute("abc"), TypeError, "permute"),
    ],
)
def test_errors(call, kind, words):
    with raises(kind, words):
        call(X.clone())


def test_zero_dim_and_zero_size():
    s = pynn.tensor(3.0)
    assert s.view(1, 1).tolist() == [[3.0]] and s.reshape(-1).shape == (1,) and s.flatten().shape == (1,)
    assert s.t().shape == () and s.squeeze().shape == () and s.unsqueeze(0).shape == (1,)
    assert s.expand(2, 2).tolist() == [[3.0, 3.0], [3.0, 3.0]] and s.permute(()).shape == ()
    assert s.transpose(0, -1).item() == 3.0
    e = pynn.empty(2, 0, 3)
    assert (
        e.view(0).shape == (0,) and e.reshape(0, 5).shape == (0, 5) and e.permute(1, 2, 0).shape == (0, 3, 2)
    )
    assert e.flatten().shape == (0,) and e.flatten(1).shape == (2, 0)
    assert [p.shape for p in e.split(1, 0)] == [(1, 0, 3), (1, 0, 3)]
    assert [p.shape for p in e.split(2, 1)] == [(2, 0, 3)]
    assert len(e.unbind(1)) == 0 and len(e.chunk(3, 1)) == 3
    assert e.expand(4, 2, 0, 3).shape == (4, 2, 0, 3)
    with raises(RuntimeError, "chunk|unbind|0-d|split"):
        s.split(1)


def test_view_as_another_dtype():
    x = pynn.tensor([1.0, -2.0])
    assert x.view(pynn.int32).tolist() == [0x3F800000, -0x40000000]
    assert x.view(pynn.uint8).shape == (8,)
    assert x.view(pynn.float64).shape == (1,)
    assert same_bits(x.view(pynn.int32).view(pynn.float32), x)
    with raises(RuntimeError, "view"):
        pynn.ones(3).view(pynn.float64)


def test_inplace_shape_ops():
    x = X[0].clone()
    assert x.t_() is x and x.shape == (4, 3)
    assert x.unsqueeze_(0).shape == (1, 4, 3) and x.squeeze_().shape == (4, 3)
    assert x.transpose_(0, 1).shape == (3, 4)
    np.testing.assert_array_equal(x.numpy(), X[0].numpy())


def test_chains_of_views_keep_gradients():
    x = tensor(CUBE, requires_grad=True)
    y = x.transpose(0, 2)[1:].reshape(3, 6).unsqueeze(1).expand(3, 2, 6)[:, 0].t().narrow(0, 2, 3).flatten()
    weights = pynn.arange(9.0, dtype=pynn.float64)
    (y * weights).sum().backward()
    expected = np.zeros((3, 6))
    expected[:, 2:5] = np.arange(9.0).reshape(3, 3).T
    full = np.zeros((4, 3, 2))
    full[1:] = expected.reshape(3, 3, 2)
    np.testing.assert_array_equal(to_numpy(x.grad), full.swapaxes(0, 2))


INPLACE_VIEWS = {
    "t_": (lambda x: x.t_(), lambda a: a.T),
    "transpose_": (lambda x: x.transpose_(0, -1), lambda a: a.T),
    "swapaxes_": (lambda x: x.swapaxes_(0, 1), lambda a: a.T),
    "swapdims_": (lambda x: x.swapdims_(0, 1), lambda a: a.T),
    "unsqueeze_": (lambda x: x.unsqueeze_(1), lambda a: a[:, None]),
    "squeeze_": (lambda x: x.unsqueeze_(0).squeeze_(), lambda a: a),
    "squeeze_ dim": (lambda x: x.unsqueeze_(-1).squeeze_(-1), lambda a: a),
    "squeeze_ dims": (lambda x: x.unsqueeze_(0).unsqueeze_(0).squeeze_((0, 1)), lambda a: a),
    "as_strided_": (lambda x: x.as_strided_((2, 2), (4, 2), 1), lambda a: a[:2, 1::2]),
}


@pytest.mark.parametrize("name", INPLACE_VIEWS)
@pytest.mark.parametrize("view", [False, True])
def test_inplace_views(name, view):
    """The tensor itself takes the geometry; values, memory and gradients are those of the view."""
    change, ref = INPLACE_VIEWS[name]
    array = arr(3, 4)

    def op(x):
        y = x * 2
        y = y.view(3, 4)[:] if view else y
        version = y._version
        assert change(y) is y and y._version > version
        return y * y

    check_op(op, lambda a: (2 * ref(a)) ** 2, [(array,)], layouts=False)
    plain = tensor(array)
    whole = plain.view(12)
    target = plain[:] if view else plain
    change(target)
    target.fill_(0)
    assert (whole == 0).sum().item() == target.numel()


def test_inplace_views_and_the_graph():
    x = tensor(arr(3, 4), requires_grad=True)
    for refused in (x, x[:2], x.view(12)):
        with raises(RuntimeError, "leaf Variable that requires grad"):
            refused.unsqueeze_(0)
    with pynn.no_grad():
        x.t_()
    x.sum().backward()
    assert x.shape == x.grad.shape == (4, 3) and x.is_leaf
    # The base of a view keeps its shape and history; views of a base that changed find their place again.
    y = x * 2
    part, whole = y[:2], y[:]
    part.t_()
    assert y.shape == (4, 3) and part.shape == (3, 2) and part._base is y
    y.t_()
    (part * tensor(arr(3, 2))).sum().backward()
    expected = np.zeros((4, 3))
    expected[:2] = 2 * arr(3, 2).T
    np.testing.assert_allclose(x.grad.numpy(), expected + 1)
    assert whole.grad_fn is not None and whole.shape == (4, 3)
    # What backward needs may not change under it.
    y = x * 2
    z = y.sin()
    y.t_()
    with raises(RuntimeError, "modified by an inplace operation"):
        z.sum().backward()
    # Writing after the change reaches the base.
    y = x * 1
    v = y[:2]
    v.t_()
    v.mul_(3)
    (g,) = pynn.autograd.grad(y.sum(), x)
    np.testing.assert_array_equal(g.numpy(), [[3.0] * 3] * 2 + [[1.0] * 3] * 2)


def test_a_numpy_array_does_not_follow_inplace_views():
    x = X[0].clone()
    array = x.numpy()
    x.t_()
    assert array.shape == (3, 4) and x.numpy().shape == (4, 3)


def test_resize():
    x = pynn.arange(6.0)
    assert x.resize_(2, 2) is x and x.tolist() == [[0, 1], [2, 3]]
    assert x.resize_((3, 2)).tolist() == [[0, 1], [2, 3], [4, 5]]  # nothing was lost
    assert x.resize_(100, 100).shape == (100, 100) and x.view(-1)[:6].tolist() == list(range(6))
    part = pynn.arange(6.0)[4:]
    part.resize_(8)
    assert part[:2].tolist() == [4, 5] and part.storage_offset() == 4
    turned = pynn.zeros(2, 3).t()
    assert turned.resize_(3, 2).stride() == (1, 3) and turned.resize_(2, 3).stride() == (3, 1)
    assert pynn.zeros(0).resize_(2, 3, 4, 5, memory_format=pynn.channels_last).stride() == (60, 1, 15, 3)
    assert pynn.zeros(0).resize_as_(pynn.zeros(2, 3)).shape == (2, 3)
    leaf = pynn.zeros(3, requires_grad=True)
    for call, words in [
        (lambda: leaf.resize_(2), "requires? grad"),
        (lambda: (leaf * 1).resize_(2), "requires? grad"),
        (lambda: pynn.zeros(2).resize_(-1), "negative|overflow"),
        (lambda: pynn.zeros(2).resize_(2**40, 2**40), "more elements"),
        (lambda: pynn.from_numpy(np.zeros(3)).resize_(5), "another object|resiz"),
    ]:
        with raises(RuntimeError, words):
            call()


def test_set():
    source = pynn.arange(6.0)
    x = pynn.zeros(2)
    assert x.set_(source.view(2, 3)) is x and x.shape == (2, 3) and x.data_ptr() == source.data_ptr()
    assert x.set_(source, 1, (2, 2), (2, 1)).tolist() == [[1, 2], [3, 4]]
    assert x.set_(source, 2, (3,)).tolist() == [2, 3, 4]
    assert x.set_().shape == (0,)
    leaf = pynn.zeros(2, requires_grad=True)
    for call, words in [
        (lambda: leaf.set_(source), "leaf Variable that requires grad"),
        (lambda: (leaf * 1).set_(source), "set_: "),
        (lambda: x.set_(pynn.zeros(2, dtype=pynn.int64)), "type"),
        (lambda: x.set_(source, 5, (2,), (1,)), "out of bounds"),
        (lambda: x.set_(source, -1, (2,), (1,)), "offset"),
        (lambda: x.set_(source, 0, (2,), (-1,)), "strides"),
        (lambda: x.set_(source, 0, (2,), (1, 1)), "stride"),
        (lambda: x.set_(source, 0, (2,), (2**62,)), "out of bounds|within memory"),
    ]:
        with raises(RuntimeError, words):
            call()
    with pynn.no_grad():
        leaf.set_(source[:2])
    leaf.sum().backward()
    assert leaf.grad.tolist() == [1, 1]
