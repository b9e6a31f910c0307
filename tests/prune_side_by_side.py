"""For comparisons of nn.utils.prune with PyTorch's: the same code with both, from the same seeds."""

import importlib

import pytest
from nn_side_by_side import LIBS, assert_same


def prune_of(lib):
    return importlib.import_module(f"{lib.__name__}.nn.utils.prune")


def both(fn, fails=False):
    """fn(lib, prune) with both: equal results or, where it fails, errors of PyTorch's class. Returns pynn's."""
    found = []
    for lib in LIBS:
        lib.manual_seed(3)
        try:
            found.append(fn(lib, prune_of(lib)))
        except Exception as error:
            found.append(error)
    ours, theirs = found
    assert isinstance(theirs, Exception) == bool(fails), f"PyTorch gives {theirs!r}"
    if isinstance(theirs, Exception):
        assert fails is True or type(theirs) is fails
        assert isinstance(ours, type(theirs)), f"{ours!r} where PyTorch raises {theirs!r}"
    else:
        assert not isinstance(ours, Exception), repr(ours)
        assert_same(ours, theirs, 1e-6)
    return ours


def both_raise(fn, kind, *words):
    """fn(lib, prune) raises `kind` in both, and both messages have the words."""
    for lib in LIBS:
        with pytest.raises(kind) as caught:
            fn(lib, prune_of(lib))
        for word in words:
            assert word in str(caught.value), (lib.__name__, caught.value)


def state(module):
    """All that pruning changes, and one more draw: as many numbers were drawn."""
    lib = importlib.import_module(type(next(module.parameters())).__module__.split(".")[0])
    hooks = [(type(h).__name__, h._tensor_name) for h in module._forward_pre_hooks.values()]
    names = [n for n, _ in module.named_parameters()] + [n for n, _ in module.named_buffers()]
    masks = [(b.stride(), b.requires_grad) for b in module.buffers()]
    plain = [v for v in (getattr(module, name, None) for name in ("weight", "bias")) if v is not None]
    kinds = [(v.is_leaf, v.requires_grad) for v in plain]
    return [hooks, names, masks, kinds, plain, dict(module.state_dict()), lib.rand(2)]


def conv(lib):
    return lib.nn.Conv2d(4, 6, (3, 2))


def linear(lib):
    return lib.nn.Linear(5, 7)


STEPS = [
    ("identity",),
    ("random_unstructured", 0.3),
    ("l1_unstructured", 4),
    ("random_structured", 1, 1),
    ("ln_structured", 1, 2, 0),
    ("ln_structured", 1, 1, -1),
    ("custom",),
]


def apply(lib, prune, m, step):
    how, *args = step
    if how == "custom":
        mask = lib.rand(*m.weight.shape) > 0.3
        return prune.custom_from_mask(m, "weight", mask)
    return getattr(prune, how)(m, "weight", *args)
