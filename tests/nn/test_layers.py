"""Linear, Bilinear, Embedding, LayerNorm, Dropout, Flatten and functions without a module, against NumPy."""

import numpy as np
import pytest

import pynn
from pynn import nn
from pynn.autograd import gradcheck
from pynn.nn import functional as F

rng = np.random.default_rng(1)


def array(*shape):
    return rng.standard_normal(shape)


def tensor(values):
    return pynn.from_numpy(np.array(values))


def same(t, values, tolerance=1e-10):
    np.testing.assert_allclose(t.detach().numpy(), values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (0, 3)])
def test_linear(shape, bias):
    layer = nn.Linear(3, 5, bias=bias, dtype=pynn.float64)
    x = array(*shape)
    expected = x @ layer.weight.detach().numpy().T
    same(layer(tensor(x)), expected + layer.bias.detach().numpy() if bias else expected)
    assert (layer.bias is not None) is bias
    assert layer.weight.shape == (5, 3)


def test_linear_starts_within_its_bounds():
    layer = nn.Linear(16, 1000)
    for param in layer.parameters():
        assert 0.2 < float(param.detach().abs().max()) <= 0.25  # 1 / sqrt(16)
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        assert not nn.Linear(0, 2).bias.any()


def test_bilinear():
    layer = nn.Bilinear(3, 4, 5, dtype=pynn.float64)
    a, b = array(2, 6, 3), array(2, 6, 4)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    same(layer(tensor(a), tensor(b)), np.einsum("xyi,oij,xyj->xyo", a, weight, b) + bias)
    assert nn.Bilinear(1, 1, 2, bias=False).bias is None
    with pytest.raises(ValueError, match="in1_features must be > 0"):
        nn.Bilinear(0, 1, 1)


def test_identity_takes_anything():
    layer = nn.Identity(54, unused=True)
    x = pynn.ones(1)
    assert layer(x) is x


def test_embedding():
    table = nn.Embedding(5, 3, padding_idx=-2, dtype=pynn.float64)
    assert table.padding_idx == 3
    assert not table.weight[3].any()
    index = np.array([[0, 3], [4, 0]])
    out = table(tensor(index))
    same(out, table.weight.detach().numpy()[index])
    out.sum().backward()
    assert table.weight.grad[:, 0].tolist() == [2, 0, 0, 0, 1]


def test_embedding_gradient_by_frequency():
    weight = pynn.zeros(4, 2, requires_grad=True)
    index = tensor([1, 1, 1, 3])
    F.embedding(index, weight, scale_grad_by_freq=True).sum().backward()
    assert weight.grad[:, 0].tolist() == [0, 1, 0, 1]


def test_embedding_limits_the_rows_it_uses():
    values = array(4, 3) * 5
    table = nn.Embedding.from_pretrained(tensor(values), freeze=False, max_norm=1.0)
    out = table(tensor([[0, 2], [2, 0]]))
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    expected = values.copy()
    expected[[0, 2]] = (values / (norms + 1e-7))[[0, 2]]
    same(table.weight, expected)
    same(out, expected[[[0, 2], [2, 0]]])
    out.sum().backward()
    assert table.weight.grad[1].tolist() == [0, 0, 0]


def test_embedding_from_pretrained_shares_and_freezes():
    values = pynn.ones(2, 3)
    table = nn.Embedding.from_pretrained(values)
    assert not table.weight.requires_grad
    values.fill_(7)
    assert table(tensor([1])).tolist() == [[7, 7, 7]]
    with pytest.raises(AssertionError, match="expected to be 2-dimensional"):
        nn.Embedding.from_pretrained(pynn.ones(3))
    for index in (5, -6):
        with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
            nn.Embedding(5, 2, padding_idx=index)
        with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
            F.embedding(tensor([0]), pynn.ones(5, 2), padding_idx=index)


@pytest.mark.parametrize("shape", [(6,), (3, 6)])
def test_layer_norm(shape):
    layer = nn.LayerNorm(shape, eps=1e-3, dtype=pynn.float64)
    assert layer.weight.tolist() == np.ones(shape).tolist()
    with pynn.no_grad():
        layer.weight.copy_(tensor(array(*shape)))
        layer.bias.copy_(tensor(array(*shape)))
    x = array(2, 3, 6)
    axes = tuple(range(-len(shape), 0))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    expected = (x - mean) / np.sqrt(var + 1e-3)
    same(layer(tensor(x)), expected * layer.weight.detach().numpy() + layer.bias.detach().numpy())
    same(nn.LayerNorm(shape, 1e-3, elementwise_affine=False)(tensor(x)), expected)


def test_layer_norm_without_parts():
    assert nn.LayerNorm(3).normalized_shape == (3,)
    assert list(nn.LayerNorm([2, 3], bias=False).state_dict()) == ["weight"]
    assert list(nn.LayerNorm(3, elementwise_affine=False).state_dict()) == []


def test_flatten_and_unflatten():
    x = pynn.zeros(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 2)(x).shape == (24, 5)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4, 5)
    with pytest.raises(TypeError, match="must be a tuple of ints, but found type int"):
        nn.Unflatten(1, 3)
    with pytest.raises(TypeError, match="found element of type str at pos 1"):
        nn.Unflatten(1, (1, "a"))


# -- dropout -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_keeps_the_mean(inplace):
    layer = nn.Dropout(0.3, inplace=inplace)
    x = pynn.ones(100_000)
    out = layer(x)
    assert (out is x) is inplace
    zeros = float((out == 0).float().mean())
    assert abs(zeros - 0.3) < 0.01
    kept = out[out != 0]
    np.testing.assert_allclose(kept.numpy(), 1 / 0.7, rtol=1e-6)


def test_dropout_depends_on_the_seed_and_the_mode():
    x = pynn.ones(1000)
    pynn.manual_seed(0)
    first, second = F.dropout(x), F.dropout(x)
    pynn.manual_seed(0)
    assert F.dropout(x).tolist() == first.tolist() != second.tolist()
    assert nn.Dropout(0.9).eval()(x).tolist() == x.tolist()
    assert F.dropout(x, 0.0).tolist() == x.tolist()
    assert not F.dropout(x, 1.0).any()
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
            nn.Dropout(p)
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
            F.dropout(x, p)


def test_dropout_gradient_follows_the_mask():
    for inplace in (False, True):
        x = pynn.ones(1000, requires_grad=True)
        out = F.dropout(x * 1, 0.5, inplace=inplace)
        out.sum().backward()
        assert x.grad.tolist() == out.tolist()


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    "layer,shape,channels",
    [
        (nn.Dropout1d, (8, 50, 7), 2),
        (nn.Dropout1d, (400, 7), 1),
        (nn.Dropout2d, (8, 50, 3, 4), 2),
        (nn.Dropout3d, (8, 50, 2, 3, 4), 2),
        (nn.Dropout3d, (400, 2, 3, 4), 1),
    ],
)
def test_dropout_of_channels(layer, shape, channels, inplace):
    x = pynn.ones(shape)
    out = layer(0.5, inplace)(x)
    assert (out is x) is inplace
    flat = out.numpy().reshape(*shape[:channels], -1)
    assert (flat == flat[..., :1]).all()
    assert set(np.unique(flat)) == {0.0, 2.0}
    assert 0.3 < (flat[..., 0] == 0).mean() < 0.7
    assert layer(0.5).eval()(x) is x


def test_dropout_of_channels_checks_dimensions():
    with pytest.raises(RuntimeError, match="dropout1d: input must have 2 or 3 dimensions, got 1"):
        F.dropout1d(pynn.ones(3))
    with pytest.warns(UserWarning, match="dropout2d: input should have 4 dimensions, got 3"):
        assert F.dropout2d(pynn.ones(2, 3, 4), 1.0).shape == (2, 3, 4)
    with pytest.warns(UserWarning, match="dropout3d: input should have 4 or 5 dimensions, got 3"):
        F.dropout3d(pynn.ones(2, 3, 4))


# -- functions ---------------------------------------------------------------------------------------------


def test_one_hot():
    out = F.one_hot(tensor([[1, 0], [3, 2]]))
    assert out.dtype == pynn.int64
    assert out.tolist() == np.eye(4, dtype=int)[[[1, 0], [3, 2]]].tolist()
    assert F.one_hot(tensor(2), 5).tolist() == [0, 0, 1, 0, 0]
    assert F.one_hot(pynn.zeros(0, 2, dtype=pynn.int64), 3).shape == (0, 2, 3)
    for wrong, words in [
        ((pynn.ones(2),), "classes must be int64"),
        ((tensor([-1]),), "must be non-negative"),
        ((tensor([3]), 3), "must be smaller than num_classes"),
        ((tensor([3]), 0), "num_classes should be positive"),
        ((pynn.zeros(0, dtype=pynn.int64),), "from empty tensor"),
    ]:
        with pytest.raises(RuntimeError, match=words):
            F.one_hot(*wrong)


def test_distances():
    a, b = array(4, 5), array(4, 5)
    for p in (1, 2, 3):
        same(F.normalize(tensor(a), p, 0), a / np.linalg.norm(a, p, 0, keepdims=True))
        same(F.pairwise_distance(tensor(a), tensor(b), p, 0.0), np.linalg.norm(a - b, p, 1))
    same(F.normalize(pynn.zeros(1, 2)), np.zeros((1, 2)))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    same(F.cosine_similarity(tensor(a), tensor(b)), (a * b).sum(1) / lengths)
    leaves = tensor(a).requires_grad_(), tensor(b).requires_grad_()
    assert gradcheck(F.cosine_similarity, leaves)
    assert gradcheck(F.pairwise_distance, leaves)
    assert gradcheck(F.normalize, leaves[:1])
    out = pynn.empty(4, 5, dtype=pynn.float64)
    assert F.normalize(tensor(a), out=out) is out
