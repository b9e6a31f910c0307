"""Masks of nn.utils.prune beside PyTorch: the same elements from the same seeds, errors of the same kind."""

from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

from nn_side_by_side import LIBS  # noqa: E402
from prune_side_by_side import STEPS, apply, both, both_raise, conv, linear, prune_of, state  # noqa: E402

INF = float("inf")
AMOUNTS = [0, 1, 3, 0.0, 0.3, 0.5, 1.0, Fraction(1, 3), np.float32(0.25), np.int64(2)]
BAD_AMOUNTS = [-1, -0.1, 1.01, INF, float("nan"), "1", None, 1j, [1], 10**9]


@pytest.mark.parametrize("amount", AMOUNTS + BAD_AMOUNTS, ids=repr)
@pytest.mark.parametrize("make", [linear, conv])
def test_amounts(make, amount):
    def run(how, *args):
        def once(lib, prune):
            m = make(lib)
            assert getattr(prune, how)(m, "weight", amount, *args) is m
            return state(m)

        return once

    for case in (
        run("random_unstructured"),
        run("l1_unstructured"),
        run("random_structured", 0),
        run("ln_structured", 2, 0),
    ):
        both(case, fails=any(amount is bad for bad in BAD_AMOUNTS))


def test_words_of_errors_of_amounts():
    both_raise(lambda lib, p: p.RandomUnstructured("1"), TypeError, "Invalid type for amount: 1")
    for bad in (-1, 1.5):
        words = f"amount={bad}", "float in the range [0, 1]", "non-negative integer"
        for make in (
            lambda p, amount=bad: p.RandomUnstructured(amount),
            lambda p, amount=bad: p.L1Unstructured(amount),
            lambda p, amount=bad: p.RandomStructured(amount),
            lambda p, amount=bad: p.LnStructured(amount, 2),
        ):
            both_raise(lambda lib, p, make=make: make(p), ValueError, *words)
    words = "amount=36", "smaller than the number of parameters to prune=35"
    both_raise(lambda lib, p: p.l1_unstructured(linear(lib), "weight", 36), ValueError, *words)
    words = "amount=6", "smaller than the number of parameters to prune=5"
    both_raise(lambda lib, p: p.ln_structured(linear(lib), "weight", 6, 2, 1), ValueError, *words)
    both_raise(lambda lib, p: p.random_structured(linear(lib), "weight", 6, 1), ValueError, *words)


@pytest.mark.parametrize("n", [1, 2, INF, -INF, 3, 2.5, "nuc", "other", None])
@pytest.mark.parametrize("dim", [0, 1, 3, -1, -3, -4, 4, -5])
def test_ln_structured(n, dim):
    def run(lib, prune):
        return state(prune.ln_structured(conv(lib), "weight", 0.5, n=n, dim=dim))

    both(run, fails=dim in (4, -5) or n in ("nuc", "other"))


@pytest.mark.parametrize("n", [1, 2, INF, "fro", "nuc"])
def test_ln_structured_of_three_dimensions(n):
    for dim in (0, 1, 2, -2):
        both(lambda lib, p, dim=dim: state(p.ln_structured(lib.nn.Conv1d(3, 5, 4), "weight", 2, n, dim)))


@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1, -2, -4, 4, -5])
def test_random_structured(dim):
    def run(lib, prune):
        m = prune.random_structured(conv(lib), "weight", 1, dim)
        m = prune.random_structured(m, "weight", 0.5, dim=dim)
        return state(m)

    both(run, fails=dim in (4, -5) and IndexError)


def test_default_dim_and_direct_masks():
    def run(lib, prune):
        t = lib.randn(4, 5)
        ones, half = lib.ones(4, 5), lib.ones(4, 5)
        half[1] = 0
        methods = [
            prune.Identity(),
            prune.RandomUnstructured(0.4),
            prune.L1Unstructured(7),
            prune.RandomStructured(2),
            prune.RandomStructured(2, dim=0),
            prune.LnStructured(0.5, 1),
            prune.LnStructured(0.5, n=INF, dim=-2),
            prune.CustomFromMask(half),
        ]
        out = [m.PRUNING_TYPE for m in methods]
        for m in methods:
            out += [m.compute_mask(t, default_mask=ones), m.compute_mask(t, half), m.prune(t)]
            out += [m.prune(t, default_mask=half), m.prune(t, importance_scores=t.sin() * 4)]
        return [*out, ones, half]

    both(run)


@pytest.mark.parametrize("how", ["l1_unstructured", "ln_structured"])
def test_importance_scores(how):
    args = (2, 1) if how == "ln_structured" else ()

    def run(lib, prune, shape=(7, 5), dtype=None):
        m = linear(lib)
        scores = lib.randn(*shape, dtype=dtype or lib.float32)
        getattr(prune, how)(m, "weight", 0.4, *args, importance_scores=scores)
        again = getattr(prune, how)(m, "weight", 1, *args, importance_scores=scores.cos())
        return state(again)

    both(run)
    both(lambda lib, p: run(lib, p, dtype=lib.float64))
    both_raise(
        lambda lib, p: run(lib, p, (5, 7)), AssertionError, "importance_scores", "same shape", "weight"
    )


def test_importance_scores_of_prune():
    both_raise(
        lambda lib, p: p.L1Unstructured(1).prune(lib.ones(3), importance_scores=lib.ones(4)),
        AssertionError,
        "importance_scores should have the same shape",
    )


def test_custom_masks():
    masks = [
        lambda lib: lib.tensor([0, 1, 0, 1, 1, 0, 1]),
        lambda lib: lib.tensor([0, 1, 0, 1, 1, 0, 1]) == 1,
        lambda lib: lib.tensor([0.5, 1, 0, 2, 1, 0, 1], dtype=lib.float64),
        lambda lib: lib.ones(14)[::2],
    ]
    for mask in masks:

        def run(lib, prune, mask=mask):
            m = prune.custom_from_mask(linear(lib), name="bias", mask=mask(lib))
            first = state(m)
            prune.l1_unstructured(m, "bias", 1)  # among the elements whose mask is 1
            return [first, state(m)]

        both(run)

    def wrong(lib, prune):
        prune.custom_from_mask(linear(lib), "weight", lib.ones(7, 1))

    both_raise(wrong, AssertionError, "shape")
    both(lambda lib, p: p.custom_from_mask(linear(lib), "weight", None), fails=AttributeError)


def test_layouts():
    def channels_last(lib):
        return conv(lib).to(memory_format=lib.channels_last)

    def transposed(lib):
        m = linear(lib)
        m.weight = lib.nn.Parameter(lib.randn(5, 7).t())
        return m

    for make in (channels_last, transposed):
        for step in STEPS:

            def alone(lib, prune, make=make, step=step):
                return state(apply(lib, prune, make(lib), step))

            def second(lib, prune, make=make, step=step):  # sees kept elements or slices alone
                first = apply(lib, prune, make(lib), ("ln_structured", 1, 2, 0))
                return state(apply(lib, prune, first, step))

            flattens = step[0] in ("random_unstructured", "l1_unstructured")
            both(alone, fails=flattens and RuntimeError)
            both(second)


def test_empty():
    def make(lib):
        m = lib.nn.Module()
        m.weight = lib.nn.Parameter(lib.empty(0, 3))
        return m

    def check(fails, *step):
        both(lambda lib, p: state(apply(lib, p, make(lib), step)), fails=fails and ValueError)

    check(False, "identity")
    for amount, too_many in ((0, False), (0.5, False), (1.0, False), (1, True)):
        check(too_many, "random_unstructured", amount)
        check(too_many, "l1_unstructured", amount)
        for dim in (0, 1):
            check(too_many and dim == 0, "random_structured", amount, dim)
            check(too_many and dim == 0, "ln_structured", amount, 1, dim)
            check(too_many and dim == 0, "ln_structured", amount, 2, dim)
    for amount in (0, 0.5, 1.0):
        check(False, "ln_structured", amount, INF, 0)


def test_vectors_and_scalars_in_structured_methods():
    for how in (("random_structured", 1, 0), ("ln_structured", 1, 2, 0), ("ln_structured", 1, 2, -1)):
        name, *args = how
        words = "Structured pruning can only be applied to", "multidimensional", "with 1 dims"
        both_raise(lambda lib, p, n=name, a=args: getattr(p, n)(linear(lib), "bias", *a), ValueError, *words)

        def after_identity(lib, prune, name=name, args=args):
            m = prune.identity(linear(lib), "bias")
            return state(getattr(prune, name)(m, "bias", *args))

        both(after_identity)

        def scalar(lib, prune, name=name, args=args, first=False):
            m = lib.nn.PReLU()
            m.weight = lib.nn.Parameter(lib.tensor(2.0))
            if first:
                prune.identity(m, "weight")
            return state(getattr(prune, name)(m, "weight", *args))

        both(scalar, fails=ValueError)
        both(lambda lib, p, f=scalar: f(lib, p, first=True), fails=True)


def test_errors_of_dims():
    both_raise(lambda lib, p: p.ln_structured(linear(lib), "weight", 1, 2, 2), IndexError, "Invalid index 2")
    both_raise(lambda lib, p: p.random_structured(linear(lib), "weight", 1, -3), IndexError)
    for dim in (2, -3):

        def second(lib, prune, dim=dim):
            prune.random_structured(prune.identity(linear(lib), "weight"), "weight", 1, dim)

        both_raise(second, IndexError)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_dtypes(dtype):
    for step in STEPS:
        both(lambda lib, p, s=step: state(apply(lib, p, linear(lib).to(getattr(lib, dtype)), s)))


def test_nan_and_infinity():
    def run(lib, prune, how="l1_unstructured", *args):
        m = linear(lib)
        with lib.no_grad():
            m.weight[0, 0], m.weight[2, 1], m.weight[3, 3] = float("nan"), INF, -INF
        return list(dict(getattr(prune, how)(m, "weight", *args).named_buffers()).values())

    both(lambda lib, p: run(lib, p, "l1_unstructured", 32))
    both(lambda lib, p: run(lib, p, "ln_structured", 2, 1, 1))
    both(lambda lib, p: run(lib, p, "ln_structured", 4, INF, 0))


def test_ties_drop_as_many():
    # PyTorch does not say which of equal elements go
    def run(lib, prune):
        out = []
        for amount in (1, 0.3, 12):
            m = linear(lib)
            lib.nn.init.ones_(m.weight)
            out.append((prune.l1_unstructured(m, "weight", amount).weight_mask == 0).sum())
            m = linear(lib)
            lib.nn.init.ones_(m.weight)
            m = prune.ln_structured(m, "weight", min(amount, 3), 2, 0)
            out += [(m.weight_mask == 0).sum(), m.weight_mask.amin(1).sum(), m.weight_mask.amax(1).sum()]
        return out

    both(run)


@pytest.mark.parametrize(
    "cls,args,kwargs,fails",
    [
        ("Identity", (3,), {}, True),
        ("RandomUnstructured", (), {}, True),
        ("RandomUnstructured", (0.5,), {"importance_scores": None}, True),
        ("L1Unstructured", (0.5, None), {}, False),
        ("RandomStructured", (0.5,), {}, False),
        ("RandomStructured", (0.5, 0), {"n": 1}, True),
        ("LnStructured", (0.5, 2), {}, True),
        ("LnStructured", (0.5, 2, 0, None), {}, False),
        ("LnStructured", (), {"amount": 1, "dim": 1, "n": 1}, False),
        ("CustomFromMask", (), {}, True),
    ],
)
def test_arguments_of_apply(cls, args, kwargs, fails):
    def run(lib, prune):
        m = linear(lib)
        hook = getattr(prune, cls).apply(m, "weight", *args, **kwargs)
        return [type(hook).__name__, state(m)]

    both(run, fails=fails and TypeError)


def test_names():
    ours, theirs = (prune_of(lib) for lib in LIBS)
    own = [
        n for n, v in vars(theirs).items() if getattr(v, "__module__", "") == theirs.__name__ and n[0] != "_"
    ]
    assert sorted(ours.__all__) == sorted(own)
    assert LIBS[0].nn.utils.prune is ours
    assert [n for n in own if not hasattr(ours, n)] == []
