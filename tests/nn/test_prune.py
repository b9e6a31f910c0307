"""nn.utils.prune: masks against NumPy, what becomes of the module, what a failed call leaves."""

import copy
import pickle

import numpy as np
import pytest

import pynn
from pynn import nn
from pynn.nn.utils import prune

INF = float("inf")
rng = np.random.default_rng(0)


def layer(weight, bias=True):
    weight = np.asarray(weight, np.float32)
    m = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    m.weight = nn.Parameter(pynn.tensor(weight))
    return m


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def zeros(mask):
    return int((mask == 0).sum())


@pytest.mark.parametrize(
    "amount,count", [(0, 0), (1, 1), (20, 20), (0.0, 0), (0.3, 6), (0.125, 2), (1.0, 20)]
)
def test_l1_unstructured(amount, count):
    w = floats(4, 5)
    m = layer(w)
    assert prune.l1_unstructured(m, "weight", amount) is m
    expected = np.ones(20)
    expected[np.argsort(np.abs(w).ravel())[:count]] = 0
    assert m.weight_mask.numpy().ravel().tolist() == expected.tolist()
    np.testing.assert_array_equal(m.weight.detach().numpy(), w * expected.reshape(4, 5))
    np.testing.assert_array_equal(m.weight_orig.detach().numpy(), w)


@pytest.mark.parametrize("amount,count", [(0, 0), (7, 7), (0.25, 5), (1.0, 20)])
def test_random_unstructured(amount, count):
    masks = []
    for seed in (1, 1, 2):
        m = layer(np.ones((4, 5)))
        pynn.manual_seed(seed)
        masks.append(prune.random_unstructured(m, "weight", amount).weight_mask)
    assert [zeros(mask) for mask in masks] == [count] * 3
    assert masks[0].equal(masks[1])
    assert masks[0].equal(masks[2]) == (count in (0, 20))
    pynn.manual_seed(1)
    draws = pynn.rand(4, 5).numpy().ravel()
    if count:
        assert masks[0].numpy().ravel().tolist() == (draws < np.sort(draws)[-count]).tolist()


@pytest.mark.parametrize("n", [1, 2, INF, -INF, 3])
@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("amount", [0, 1, 0.5, 1.0])
def test_ln_structured(n, dim, amount):
    w = floats(4, 6, 5)
    m = nn.Conv1d(6, 4, 5)
    m.weight = nn.Parameter(pynn.tensor(w))
    prune.ln_structured(m, "weight", amount, n=n, dim=dim)
    slices = np.moveaxis(w, dim, 0).reshape(w.shape[dim], -1)
    norms = np.linalg.norm(slices, ord=n, axis=1)
    count = amount if isinstance(amount, int) else round(amount * len(norms))
    keep = np.ones(len(norms), np.float32)
    keep[np.argsort(norms)[:count]] = 0
    shape = [1, 1, 1]
    shape[dim] = -1
    np.testing.assert_array_equal(m.weight_mask.numpy(), np.broadcast_to(keep.reshape(shape), w.shape))


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("amount,count", [(0, 0), (1, 1), (0.5, 2), (1.0, 4)])
def test_random_structured(dim, amount, count):
    m = layer(np.ones((4, 4)))
    pynn.manual_seed(0)
    prune.random_structured(m, "weight", amount, dim)
    mask = np.moveaxis(m.weight_mask.numpy(), dim, 0)
    assert mask.min(1).tolist() == mask.max(1).tolist() and zeros(mask.max(1)) == count
    pynn.manual_seed(0)
    draws = pynn.rand(4).numpy()
    assert set(np.flatnonzero(mask.max(1) == 0)) == set(np.argsort(draws)[:count])


def test_ties_drop_the_first_of_l1_and_keep_the_first_of_ln():
    m = prune.l1_unstructured(layer(np.ones((2, 3))), "weight", 4)
    assert m.weight_mask.tolist() == [[0, 0, 0], [0, 1, 1]]
    m = prune.ln_structured(layer(np.ones((4, 2))), "weight", 1, 2, 0)
    assert m.weight_mask.tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
    m = prune.ln_structured(layer(np.ones((2, 3))), "weight", 2, 0, 1)  # norm 0 counts the elements
    assert m.weight_mask.tolist() == [[1, 0, 0]] * 2


def test_importance_scores():
    w, scores = np.ones((2, 3)), pynn.tensor([[3.0, 1, 5], [-2, 9, 4]])
    m = prune.l1_unstructured(layer(w), "weight", 2, importance_scores=scores)
    assert m.weight_mask.tolist() == [[1, 0, 1], [0, 1, 1]]
    m = prune.ln_structured(layer(w), "weight", 1, 1, 1, importance_scores=scores)
    assert m.weight_mask.tolist() == [[0, 1, 1]] * 2
    with pytest.raises(AssertionError, match="importance_scores should have the same shape"):
        prune.l1_unstructured(layer(w), "weight", 2, importance_scores=scores.t())
    given = pynn.tensor([1.0, -2, 3])
    method = prune.L1Unstructured(1)
    assert method.prune(given).tolist() == [0, -2, 3]
    assert method.prune(given, importance_scores=pynn.tensor([3.0, 2, 1])).tolist() == [1, -2, 0]
    assert method.prune(given, default_mask=pynn.tensor([1.0, 1, 0])).tolist() == [0, -2, 0]


@pytest.mark.parametrize("amount", [-1, -0.5, 1.5, INF, float("nan")])
def test_amounts_out_of_range(amount):
    for make in (prune.RandomUnstructured, prune.L1Unstructured, prune.RandomStructured):
        with pytest.raises(ValueError, match="float in the range"):
            make(amount)
    with pytest.raises(ValueError, match="non-negative integer"):
        prune.LnStructured(amount, 2)


def test_bad_arguments():
    m = layer(np.ones((2, 3)))
    for wrong in ("1", None, [1], 1j, pynn.tensor(1)):
        with pytest.raises(TypeError, match="Invalid type for amount"):
            prune.l1_unstructured(m, "weight", wrong)
    for call in (
        lambda: prune.l1_unstructured(m, "weight", 7),
        lambda: prune.random_unstructured(m, "weight", 7),
        lambda: prune.ln_structured(m, "weight", 4, 2, 1),
        lambda: prune.random_structured(m, "weight", 3, 0),
    ):
        with pytest.raises(ValueError, match="smaller than the number of parameters to prune"):
            call()
    for call in (
        lambda: prune.ln_structured(m, "bias", 1, 2, 0),
        lambda: prune.random_structured(m, "bias", 1, 0),
    ):
        with pytest.raises(ValueError, match="multidimensional tensors.* 1 dims"):
            call()
    for dim in (2, -3):
        with pytest.raises(IndexError):
            prune.ln_structured(m, "weight", 1, 2, dim)
        with pytest.raises(IndexError):
            prune.random_structured(m, "weight", 1, dim)
    with pytest.raises(AssertionError, match="shape"):
        prune.custom_from_mask(m, "weight", pynn.ones(3, 2))
    with pytest.raises(AttributeError):
        prune.identity(m, "nothing")
    with pytest.raises(ValueError, match="has to be pruned before pruning can be removed"):
        prune.remove(m, "weight")
    assert not prune.is_pruned(m) and list(m.state_dict()) == ["weight", "bias"]


def test_state_and_gradients():
    w, x = floats(2, 3), floats(4, 3)
    m = layer(w)
    parameter = m.weight
    mask = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    prune.custom_from_mask(m, "weight", pynn.tensor(mask))
    assert m.weight_orig is parameter and not isinstance(m.weight, nn.Parameter) and not m.weight.is_leaf
    assert [n for n, _ in m.named_parameters()] == ["bias", "weight_orig"]
    assert list(m.state_dict()) == ["bias", "weight_orig", "weight_mask"]
    out = m(pynn.tensor(x))
    np.testing.assert_allclose(
        out.detach().numpy(), x @ (w * mask).T + m.bias.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    out.sum().backward()
    np.testing.assert_allclose(parameter.grad.numpy(), mask * x.sum(0), rtol=1e-5)
    with pynn.no_grad():
        parameter.add_(1)
    m(pynn.tensor(x))  # the hook multiplies anew
    np.testing.assert_allclose(m.weight.detach().numpy(), (w + 1) * mask, rtol=1e-6)


def test_training_keeps_zeros_and_remove_keeps_the_parameter():
    m = layer(floats(6, 5))
    opt = pynn.optim.Adam(m.parameters(), lr=0.1)
    prune.l1_unstructured(m, "weight", 0.5)
    mask = m.weight_mask.numpy().copy()
    for _ in range(3):
        opt.zero_grad()
        m(pynn.tensor(floats(8, 5))).pow(2).sum().backward()
        opt.step()
    trained = m.weight_orig.detach().numpy() * mask
    parameter = m.weight_orig
    assert prune.remove(m, "weight") is m and m.weight is parameter and parameter.is_leaf
    np.testing.assert_array_equal(m.weight.detach().numpy(), trained)
    assert not hasattr(m, "weight_orig") and not hasattr(m, "weight_mask")
    assert len(m._forward_pre_hooks) == 0 and not prune.is_pruned(m)
    m(pynn.ones(1, 5)).sum().backward()
    opt.step()
    assert not np.array_equal(m.weight.detach().numpy(), trained)


def test_two_methods_share_a_container():
    w = np.array([[1, 2, 3], [4, 5, 6], [9, 8, 7]])
    m = prune.l1_unstructured(layer(w), "weight", 3)
    (first,) = m._forward_pre_hooks.values()
    prune.l1_unstructured(m, "weight", 0.5)  # of 6 that are left
    assert m.weight_mask.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]
    (container,) = m._forward_pre_hooks.values()
    assert isinstance(container, prune.PruningContainer) and len(container) == 2 and container[0] is first
    with pytest.raises(ValueError, match="amount=2 .*to prune=1"):
        prune.ln_structured(m, "weight", 2, 1, 0)  # one row is left
    prune.ln_structured(m, "weight", 1, 1, -1)
    assert m.weight_mask.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert [type(method).__name__ for method in container] == ["L1Unstructured"] * 2 + ["LnStructured"]
    prune.custom_from_mask(m, "weight", pynn.tensor([[1, 1, 1], [1, 1, 1], [0, 1, 1]]))
    prune.identity(m, "weight")
    prune.random_unstructured(m, "weight", 1.0)
    assert zeros(m.weight_mask) == 9 and len(container) == 6
    assert list(m._forward_pre_hooks.values()) == [container]


def test_masks_of_other_numbers_stay():
    m = prune.custom_from_mask(layer([[1, 2, 3, 4]]), "weight", pynn.tensor([[0.5, 1, 1, 0]]))
    assert m.weight.tolist() == [[0.5, 2, 3, 0]]
    prune.l1_unstructured(m, "weight", 1)
    assert m.weight_mask.tolist() == [[0.5, 0, 1, 0]]


class Failing(prune.BasePruningMethod):
    PRUNING_TYPE = "global"

    def __init__(self, result):
        self.result = result

    def compute_mask(self, t, default_mask):
        default_mask.zero_()
        if self.result is None:
            raise ZeroDivisionError
        return self.result


@pytest.mark.parametrize("result", [None, pynn.ones(7, 7), 3])
@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_a_call_that_fails_changes_nothing(rounds, result):
    m = layer(floats(4, 5))
    for _ in range(rounds):
        prune.l1_unstructured(m, "weight", 5)
    hooks, names = list(m._forward_pre_hooks.values()), list(m.state_dict())
    state = copy.deepcopy(m.state_dict())
    methods = [len(h) for h in hooks if isinstance(h, prune.PruningContainer)]
    out = m(pynn.ones(1, 5))
    with pytest.raises((ZeroDivisionError, RuntimeError, TypeError, AttributeError)):
        Failing.apply(m, "weight", result)
    for amount in (-1, 100):
        with pytest.raises(ValueError):
            prune.l1_unstructured(m, "weight", amount)
    with pytest.raises(AssertionError):
        prune.l1_unstructured(m, "weight", 1, importance_scores=pynn.ones(3))
    assert list(m._forward_pre_hooks.values()) == hooks and list(m.state_dict()) == names
    assert [len(h) for h in hooks if isinstance(h, prune.PruningContainer)] == methods
    assert all(value.equal(state[name]) for name, value in m.state_dict().items())
    assert m(pynn.ones(1, 5)).equal(out)
    prune.l1_unstructured(m, "weight", 5)
    assert zeros(m.weight_mask) == 5 * (rounds + 1)


def test_names_that_are_taken():
    m = layer(np.ones((2, 3)))
    for taken in ("weight_orig", "weight_mask"):
        setattr(m, taken, 3)
        with pytest.raises(KeyError, match="already exists"):
            prune.identity(m, "weight")
        delattr(m, taken)
    assert list(m.state_dict()) == ["weight", "bias"] and isinstance(m.weight, nn.Parameter)


def test_global_unstructured():
    net = nn.Sequential(layer([[1, 5], [7, 3]]), layer([[2, 4], [6, 8]]))
    pairs = [(m, "weight") for m in net]
    prune.global_unstructured(iter(pairs), prune.L1Unstructured, amount=3)
    assert [m.weight_mask.tolist() for m in net] == [[[0, 1], [1, 0]], [[0, 1], [1, 1]]]
    scores = {pairs[1]: pynn.tensor([[1.0, 9], [9, 9]])}  # the first is pruned already
    prune.global_unstructured(pairs, prune.L1Unstructured, scores, amount=0.4)
    assert [m.weight_mask.tolist() for m in net] == [[[0, 0], [0, 0]], [[0, 1], [1, 1]]]
    prune.global_unstructured(pairs, prune.RandomUnstructured, amount=1)
    assert sum(zeros(m.weight_mask) for m in net) == 6
    assert all(isinstance(h, prune.PruningContainer) for m in net for h in m._forward_pre_hooks.values())
    assert [len(h) for m in net for h in m._forward_pre_hooks.values()] == [3, 3]
    assert prune.is_pruned(net)


def test_bad_arguments_of_global_unstructured():
    m = layer(np.ones((2, 3)))
    with pytest.raises(TypeError, match="not an Iterable"):
        prune.global_unstructured(3, prune.L1Unstructured, amount=1)
    with pytest.raises(TypeError, match="importance_scores must be of type dict"):
        prune.global_unstructured([(m, "weight")], prune.L1Unstructured, [1], amount=1)
    with pytest.raises(TypeError, match='Only "unstructured" PRUNING_TYPE'):
        prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2)
    with pytest.raises(ValueError, match="smaller than"):
        prune.global_unstructured([(m, "weight")], prune.L1Unstructured, amount=7)
    with pytest.raises(ValueError):
        prune.global_unstructured([], prune.L1Unstructured, amount=1)
    assert not prune.is_pruned(m) and list(m.state_dict()) == ["weight", "bias"]


def test_containers():
    def named(method, name="w"):
        method._tensor_name = name
        return method

    a, b = named(prune.Identity()), named(prune.RandomUnstructured(2))
    container = prune.PruningContainer(a, b)
    assert list(container) == [a, b] and container[1] is b and len(prune.PruningContainer()) == 0
    before = pynn.tensor([1.0, 0, 1, 1])
    assert zeros(container.compute_mask(pynn.ones(4), before)) == 3
    assert before.tolist() == [1, 0, 1, 1]
    with pytest.raises(TypeError, match="BasePruningMethod"):
        container.add_pruning_method("a")
    with pytest.raises(ValueError, match="acting on the parameter named 'w'.*'v'"):
        container.add_pruning_method(named(prune.Identity(), "v"))
    a.PRUNING_TYPE = "other"
    with pytest.raises(ValueError, match="Unrecognized PRUNING_TYPE"):
        prune.PruningContainer(a).compute_mask(pynn.ones(4), before)
    a.PRUNING_TYPE = "structured"
    with pytest.raises(AttributeError, match="dim"):
        prune.PruningContainer(a).compute_mask(pynn.ones(4), before)
    with pytest.raises(TypeError):
        prune.BasePruningMethod()


def test_copies():
    m = prune.l1_unstructured(layer(floats(3, 4)), "weight", 5)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(m)  # weight is the result of a product
    with pynn.no_grad():
        m(pynn.ones(1, 4))
        copied = copy.deepcopy(m)
    loaded = pickle.loads(pickle.dumps(m))
    fresh = prune.identity(layer(np.ones((3, 4))), "weight")
    fresh.load_state_dict(m.state_dict())
    for other in (copied, loaded, fresh):
        assert prune.is_pruned(other) and other(pynn.ones(1, 4)).equal(m(pynn.ones(1, 4)))
        assert other.weight_mask.equal(m.weight_mask) and other.weight_mask is not m.weight_mask
        prune.l1_unstructured(other, "weight", 2)
        prune.remove(other, "weight")
        assert zeros(other.weight) == 7 and zeros(m.weight) == 5 and prune.is_pruned(m)


def test_layouts():
    m = nn.Conv2d(3, 4, 3).to(memory_format=pynn.channels_last)
    for how in (prune.l1_unstructured, prune.random_unstructured):
        with pytest.raises(RuntimeError, match="view"):  # as PyTorch
            how(m, "weight", 5)
    prune.ln_structured(m, "weight", 1, 2, 0)
    assert m.weight_mask.is_contiguous(memory_format=pynn.channels_last)
    prune.l1_unstructured(m, "weight", 5)
    assert zeros(m.weight_mask) == 27 + 5
    x = pynn.tensor(floats(2, 3, 5, 5))
    expected = nn.functional.conv2d(x, m.weight_orig * m.weight_mask, m.bias)
    np.testing.assert_allclose(m(x).detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_empty():
    for step in (prune.random_unstructured, prune.l1_unstructured):
        m = nn.Module()
        m.weight = nn.Parameter(pynn.empty(0, 3))
        assert step(m, "weight", 0.5).weight.shape == (0, 3)
        with pytest.raises(ValueError):
            step(m, "weight", 1)


def test_found_by_name():
    import importlib

    assert importlib.import_module("pynn.nn.utils.prune") is prune is pynn.nn.utils.prune
    assert sorted(prune.__all__) == sorted(set(prune.__all__)) and all(
        hasattr(prune, n) for n in prune.__all__
    )
