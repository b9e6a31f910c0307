"""What nn.utils.prune makes of modules, beside PyTorch: parameters, hooks, iterative and global pruning, copies."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from prune_side_by_side import STEPS, apply, both, both_raise, conv, linear, state  # noqa: E402


@pytest.mark.parametrize("second", STEPS, ids=str)
@pytest.mark.parametrize("first", STEPS, ids=str)
def test_two_methods(first, second):
    def run(lib, prune):
        m = apply(lib, prune, apply(lib, prune, linear(lib), first), second)
        out = m(lib.ones(2, 5))
        out.sin().sum().backward()
        (hook,) = m._forward_pre_hooks.values()
        kinds = [type(h).__name__ for h in hook]
        assert [type(h).__name__ for h in (hook[0], hook[-1])] == kinds and len(hook) == 2
        return [state(m), kinds, out, m.weight_orig.grad, m.bias.grad]

    both(run)


def test_many_rounds_with_training():
    def run(lib, prune):
        m = conv(lib)
        opt = lib.optim.SGD(m.parameters(), lr=0.1)
        out = []
        for step in STEPS * 2:
            apply(lib, prune, m, step)
            opt.zero_grad()
            loss = m(lib.rand(2, 4, 6, 5)).pow(2).mean()
            loss.backward()
            opt.step()
            out += [loss.detach(), m.weight_orig.grad]
        (hook,) = m._forward_pre_hooks.values()
        out += [state(m), len(hook), [type(h).__name__ for h in hook[:3]]]
        prune.remove(m, "weight")
        m(lib.ones(1, 4, 3, 2)).sum().backward()
        opt.step()
        return [*out, state(m)]

    both(run)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_remove(step):
    def run(lib, prune):
        m = linear(lib)
        weight = m.weight
        apply(lib, prune, m, step)
        assert m.weight_orig is weight and prune.is_pruned(m) and prune.is_pruned(lib.nn.Sequential(m))
        before = state(m)
        assert prune.remove(m, "weight") is m
        assert m.weight is weight and isinstance(m.weight, lib.nn.Parameter) and weight.is_leaf
        assert not prune.is_pruned(m) and not m._forward_pre_hooks
        m(lib.ones(2, 5)).sum().backward()
        return [before, state(m), weight.grad]

    both(run)


def test_remove_of_what_is_not_pruned():
    words = "Parameter 'bias'", "has to be pruned before pruning can be removed"
    both_raise(lambda lib, p: p.remove(linear(lib), "bias"), ValueError, *words)
    both_raise(
        lambda lib, p: p.remove(p.identity(linear(lib), "weight"), "bias"), ValueError, "Parameter 'bias'"
    )


def test_two_parameters_and_other_hooks():
    def run(lib, prune):
        m = lib.nn.Sequential(linear(lib), lib.nn.ReLU(), lib.nn.Linear(7, 2))
        seen = []
        m[0].register_forward_pre_hook(lambda module, inputs: seen.append("mine"))
        prune.random_unstructured(m[0], "weight", 3)
        prune.l1_unstructured(m[0], "bias", 0.5)
        prune.ln_structured(m[2], "weight", 2, n=1, dim=1)
        prune.l1_unstructured(m[0], "weight", 3)  # its hook becomes the last
        out = [
            state(m[0]) if i else [type(h).__name__ for h in m[0]._forward_pre_hooks.values()] for i in (0,)
        ]
        out += [m(lib.ones(2, 5)), dict(m.state_dict()), list(m.state_dict()), seen]
        prune.remove(m[0], "weight")
        out += [list(m.state_dict()), prune.is_pruned(m[0]), m(lib.ones(2, 5)), seen]
        prune.remove(m[0], "bias")
        return [
            *out,
            prune.is_pruned(m[0]),
            prune.is_pruned(m),
            len(m[0]._forward_pre_hooks),
            list(m.state_dict()),
        ]

    both(run)


def test_state_dict():
    def run(lib, prune):
        a = prune.random_unstructured(linear(lib), "weight", 0.5)
        b = prune.identity(linear(lib), "weight")
        out = [b(lib.ones(1, 5))]
        result = b.load_state_dict(a.state_dict())
        out += [
            list(result.missing_keys),
            list(result.unexpected_keys),
            b.weight_mask,
            b(lib.ones(1, 5)),
            b.weight,
        ]
        for wrong in (linear(lib), prune.identity(linear(lib), "bias")):
            with pytest.raises(RuntimeError, match="weight_orig"):
                wrong.load_state_dict(a.state_dict())
        return out

    both(run)


def test_deepcopy_and_pickle():
    def run(lib, prune, grad=True):
        with lib.set_grad_enabled(grad):
            m = prune.l1_unstructured(linear(lib), "weight", 0.5)
            copied = copy.deepcopy(m)
        prune.l1_unstructured(copied, "weight", 2)
        out = [state(m), state(copied), m(lib.ones(1, 5)), copied(lib.ones(1, 5))]
        prune.remove(copied, "weight")
        return [*out, state(m), state(copied)]

    def run_pickle(lib, prune):
        m = prune.random_structured(linear(lib), "weight", 2, dim=0)
        prune.l1_unstructured(m, "weight", 2)
        loaded = pickle.loads(pickle.dumps(m))
        return [state(m), state(loaded), loaded(lib.ones(1, 5)), prune.is_pruned(loaded)]

    both(run, fails=RuntimeError)  # the product of weight_orig and the mask is no leaf
    both(lambda lib, p: run(lib, p, False))
    both(run_pickle)


def test_frozen_parameters():
    def run(lib, prune):
        m = linear(lib).requires_grad_(False)
        prune.l1_unstructured(m, "weight", 0.5)
        copied = copy.deepcopy(m)
        return [state(m), state(prune.remove(copied, "weight"))]

    both(run)


def test_lstm():
    def run(lib, prune):
        m = lib.nn.LSTM(3, 4)
        prune.random_unstructured(m, "weight_ih_l0", 0.5)
        prune.ln_structured(m, "weight_hh_l0", 1, n=2, dim=1)
        out, (h, c) = m(lib.ones(2, 3, 3))
        out.sum().backward()
        grads = [p.grad for p in m.parameters()]
        prune.remove(m, "weight_ih_l0")
        return [out, h, c, grads, list(m.state_dict()), m(lib.ones(2, 3, 3))[0]]

    both(run)


@pytest.mark.parametrize("method", ["RandomUnstructured", "L1Unstructured"])
@pytest.mark.parametrize("amount", [0, 5, 0.2, 0.7, 1.0, 1000, -1])
def test_global_unstructured(method, amount):
    def run(lib, prune):
        net = lib.nn.Sequential(conv(lib), linear(lib), lib.nn.Linear(3, 2))
        prune.random_unstructured(net[1], "weight", 0.3)
        pairs = [(net[0], "weight"), (net[1], "weight"), (net[2], "weight"), (net[2], "bias")]
        out = []
        for _ in range(2):
            result = prune.global_unstructured(pairs, getattr(prune, method), amount=amount)
            out += [result, dict(net.state_dict()), list(net.state_dict())]
        out += [[type(h).__name__ for h in m._forward_pre_hooks.values()] for m in net]
        out += [net[1](lib.ones(1, 5)), lib.rand(1)]
        for module, name in pairs:
            prune.remove(module, name)
        return [*out, dict(net.state_dict())]

    both(run, fails=amount in (1000, -1))


def test_global_importance_scores():
    def run(lib, prune, scores=None, **kwargs):
        a, b = linear(lib), lib.nn.Linear(3, 2)
        made = {(b, "weight"): lib.rand(2, 3) * 9} if scores is None else scores(lib, a)
        pairs = ((a, "weight"), (b, "weight"))
        prune.global_unstructured(pairs, prune.L1Unstructured, importance_scores=made, amount=9, **kwargs)
        return [state(a), state(b)]

    both(run)
    both(lambda lib, p: run(lib, p, lambda lib, m: {}))
    for wrong in (lambda lib, m: {(m, "weight"): lib.ones(3)}, lambda lib, m: {(m, "weight"): 3}):
        both(lambda lib, p, wrong=wrong: run(lib, p, wrong), fails=True)
    words = "importance_scores", "dict"
    both_raise(lambda lib, p: run(lib, p, lambda lib, m: [lib.ones(3)]), TypeError, *words)
    both(lambda lib, p: run(lib, p, other=1), fails=TypeError)


def test_bad_arguments_of_global_unstructured():
    def call(make, **kwargs):
        def run(lib, prune):
            m = linear(lib)
            parameters, method = make(prune, m)
            prune.global_unstructured(parameters, method, **kwargs)
            return state(m)

        return run

    both_raise(call(lambda p, m: (3, p.L1Unstructured), amount=1), TypeError, "parameters is not an Iterable")
    words = 'Only "unstructured" PRUNING_TYPE supported', "structured"
    both_raise(call(lambda p, m: ([(m, "weight")], p.RandomStructured), amount=1), TypeError, *words)
    both_raise(call(lambda p, m: ([(m, "weight")], p.LnStructured), amount=1, n=2), TypeError, *words)
    for make in (
        lambda p, m: ([], p.L1Unstructured),
        lambda p, m: ([(m, "none")], p.L1Unstructured),
        lambda p, m: ([m], p.L1Unstructured),
        lambda p, m: ([(m, "weight")], "L1Unstructured"),
    ):
        both(call(make, amount=1), fails=True)


def test_container():
    def run(lib, prune):
        container = prune.PruningContainer()
        out = [len(container), list(container)]
        container._tensor_name = "w"
        a, b = prune.L1Unstructured(3), prune.LnStructured(1, 2, dim=0)
        a._tensor_name = b._tensor_name = "w"
        container.add_pruning_method(a)
        t, mask = lib.randn(4, 3), lib.ones(4, 3)
        mask[2], mask[:, 1] = 0, 0
        out += [len(container), container.compute_mask(t, mask.clone())]
        container.add_pruning_method(b)
        out += [len(container), container.compute_mask(t, mask.clone()), container[1] is b]
        one = prune.PruningContainer(a)
        return [*out, len(one), one._tensor_name, list(one) == [a], container.compute_mask(t.double(), mask)]

    both(run)


def test_errors_of_containers():
    def named(method, name="w"):
        method._tensor_name = name
        return method

    def add(make):
        return lambda lib, p: p.PruningContainer(named(p.Identity())).add_pruning_method(make(p))

    for wrong in (10, "ugh", [1]):
        both_raise(add(lambda p, wrong=wrong: wrong), TypeError, "is not a BasePruningMethod subclass")
        both(lambda lib, p, wrong=wrong: p.PruningContainer(wrong), fails=AttributeError)
    words = "Can only add pruning methods acting on the parameter named 'w'", "'v'"
    both_raise(add(lambda p: named(p.Identity(), "v")), ValueError, *words)
    both_raise(add(lambda p: p.Identity()), AttributeError, "_tensor_name")

    def kind(value, **fields):
        def run(lib, prune):
            method = named(prune.CustomFromMask(lib.ones(2, 3)))
            method.PRUNING_TYPE = value
            for name, field in fields.items():
                setattr(method, name, field)
            return prune.PruningContainer(method).compute_mask(lib.ones(2, 3), lib.ones(2, 3))

        return run

    both_raise(kind("other"), ValueError, "Unrecognized PRUNING_TYPE other")
    both_raise(kind("structured"), AttributeError, "PRUNING_TYPE", "structured", "`dim`")
    both_raise(kind("structured", dim=-3), IndexError, "out of bounds", "2")
    both_raise(kind("structured", dim=2), IndexError)
    both(kind("structured", dim=-1))


def test_own_methods():
    def run(lib, prune, fail=False, kind="unstructured"):
        class EveryOther(prune.BasePruningMethod):
            PRUNING_TYPE = kind

            def __init__(self, start=0):
                self.start = start

            def compute_mask(self, t, default_mask):
                if fail:
                    raise ZeroDivisionError
                mask = default_mask.clone()
                mask.view(-1)[self.start :: 2] = 0
                return mask

        m = linear(lib)
        hook = EveryOther.apply(m, "weight")
        assert type(hook) is EveryOther and hook in m._forward_pre_hooks.values()
        hook = EveryOther.apply(m, "weight", start=1)
        out = [type(hook).__name__, len(hook), state(m)]
        if kind == "global":
            return out
        other = linear(lib)
        prune.global_unstructured([(other, "bias"), (other, "weight")], EveryOther, start=1)
        return [*out, state(other)]

    both(run)
    both(lambda lib, p: run(lib, p, fail=True), fails=ZeroDivisionError)
    both(lambda lib, p: run(lib, p, kind="global"))
    both(lambda lib, p: p.BasePruningMethod(), fails=TypeError)


def test_a_first_pruning_that_fails():
    def run(lib, prune):
        m, x = linear(lib), lib.ones(1, 5)
        before = m(x)
        with pytest.raises(ValueError):
            prune.l1_unstructured(m, "weight", 100)
        with pytest.raises(IndexError):
            prune.random_structured(m, "weight", 1, 5)
        with pytest.raises(AssertionError):
            prune.custom_from_mask(m, "weight", lib.ones(3))
        with pytest.raises(AttributeError):
            prune.identity(m, "none")
        m.weight_mask = 3
        with pytest.raises(KeyError):
            prune.identity(m, "weight")
        del m.weight_mask
        assert isinstance(m.weight, lib.nn.Parameter) and not prune.is_pruned(m)
        names = sorted(m.state_dict())
        return [names, before, m(x), state(prune.l1_unstructured(m, "weight", 2))[4:]]

    both(run)


def test_what_cannot_be_pruned():
    def run(make, name):
        return lambda lib, p: state(p.identity(make(lib), name))

    def buffered(lib):
        m = linear(lib)
        m.register_buffer("b", lib.ones(2))
        m.taken_orig = 3
        m.taken = lib.nn.Parameter(lib.ones(2))
        return m

    for name in ("b", "taken", "in_features", "forward", "nothing", "", 3):
        both(run(buffered, name), fails=True)
    both(run(lambda lib: lib.nn.Linear(2, 3, bias=False), "bias"), fails=True)

    def two_hooks(lib, prune):
        m = prune.identity(linear(lib), "weight")
        (hook,) = m._forward_pre_hooks.values()
        m.register_forward_pre_hook(hook)
        prune.identity(m, "weight")

    both_raise(two_hooks, AssertionError, "PruningContainer")
