"""Random tensors: shapes, ranges, moments, seeds, generators. PyTorch's very numbers are in tests/parity."""

import math

import numpy as np
import pytest
from helpers import FLOATS, INTS, raises, same_bits, tensor

import pynn

# Known outputs for seed 0, so that the stream is fixed even where torch is not installed to compare with.
RAND = [0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688]
RANDN = [1.5409960746765137, -0.293428897857666, -2.1787893772125244, 0.5684312582015991]
RANDINT = [4, 9, 3, 0, 3, 9, 7, 3]
RANDPERM = [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]


def test_known_numbers():
    pynn.manual_seed(0)
    np.testing.assert_allclose(pynn.rand(4).tolist(), RAND, rtol=1e-6)
    pynn.manual_seed(0)
    np.testing.assert_allclose(pynn.randn(4).tolist(), RANDN, rtol=1e-5)
    pynn.manual_seed(0)
    assert pynn.randint(0, 10, (8,)).tolist() == RANDINT
    pynn.manual_seed(0)
    assert pynn.randperm(10).tolist() == RANDPERM


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["rand", "randn"])
def test_shapes_and_dtypes(name, dtype):
    op = getattr(pynn, name)
    for x in (op(2, 3, dtype=dtype), op((2, 3), dtype=dtype), op([2, 3], dtype=dtype)):
        assert x.shape == (2, 3) and x.dtype == dtype and x.isfinite().all()
    assert op(0, dtype=dtype).shape == (0,) and op((), dtype=dtype).shape == ()
    like = getattr(pynn, name + "_like")(pynn.zeros(2, 3, dtype=dtype))
    assert like.shape == (2, 3) and like.dtype == dtype
    with raises((RuntimeError, NotImplementedError), name):
        op(2, dtype=pynn.int64)


def test_moments():
    x = pynn.rand(200_000, dtype=pynn.float64)
    assert x.min() >= 0 and x.max() < 1
    assert abs(x.mean().item() - 0.5) < 3e-3 and abs(x.var().item() - 1 / 12) < 1e-3
    counts = np.histogram(x.numpy(), 20, (0, 1))[0]
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 50  # chi-squared with 19 degrees of freedom
    y = pynn.randn(200_000)
    assert abs(y.mean().item()) < 1e-2 and abs(y.std().item() - 1) < 1e-2
    assert abs((y**3).mean().item()) < 5e-2 and abs((y**4).mean().item() - 3) < 0.1
    assert abs((y[:-1] * y[1:]).mean().item()) < 1e-2


def test_seeds():
    assert pynn.manual_seed(7) is pynn.default_generator and pynn.initial_seed() == 7
    a = pynn.rand(5)
    b = pynn.rand(5)
    assert not pynn.equal(a, b)
    pynn.manual_seed(7)
    assert same_bits(pynn.rand(5), a) and same_bits(pynn.rand(5), b)
    pynn.manual_seed(8)
    assert not pynn.equal(pynn.rand(5), a)
    assert isinstance(pynn.seed(), int)
    pynn.manual_seed(-1)
    pynn.manual_seed(2**63)
    with pytest.raises((TypeError, ValueError)):
        pynn.manual_seed("seed")
    with pytest.raises((RuntimeError, ValueError, OverflowError, TypeError)):
        pynn.manual_seed(2**70)


def test_state():
    pynn.manual_seed(1)
    pynn.rand(3)
    pynn.randn(5)
    state = pynn.get_rng_state()
    assert state.dtype == pynn.uint8 and state.dim() == 1
    a = pynn.randn(5), pynn.rand(3), pynn.randn(40)
    pynn.set_rng_state(state)
    b = pynn.randn(5), pynn.rand(3), pynn.randn(40)
    assert all(same_bits(x, y) for x, y in zip(a, b, strict=True))
    for bad in (pynn.zeros(3, dtype=pynn.uint8), pynn.zeros(state.numel(), dtype=pynn.float32)):
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            pynn.set_rng_state(bad)
    with pytest.raises((TypeError, AttributeError)):
        pynn.set_rng_state("state")


def test_generator():
    g, h = pynn.Generator(), pynn.Generator()
    assert g.manual_seed(3) is g and g.initial_seed() == 3 and g.device == pynn.device("cpu")
    h.manual_seed(3)
    pynn.manual_seed(0)
    before = pynn.get_rng_state()
    assert same_bits(pynn.rand(7, generator=g), pynn.rand(7, generator=h))
    assert same_bits(pynn.randn(7, generator=g), pynn.randn(7, generator=h))
    assert pynn.randperm(9, generator=g).tolist() == pynn.randperm(9, generator=h).tolist()
    assert pynn.randint(0, 99, (9,), generator=g).tolist() == pynn.randint(0, 99, (9,), generator=h).tolist()
    assert same_bits(pynn.empty(5).normal_(generator=g), pynn.empty(5).normal_(generator=h))
    assert same_bits(before, pynn.get_rng_state())  # the default stream was not touched
    state = g.get_state()
    a = pynn.rand(3, generator=g)
    g.set_state(state)
    assert same_bits(pynn.rand(3, generator=g), a)
    h.set_state(state)
    assert same_bits(pynn.rand(3, generator=h), a)
    assert isinstance(g.seed(), int)
    with pytest.raises((TypeError, RuntimeError)):
        pynn.rand(2, generator="g")
    with pytest.raises((TypeError, RuntimeError)):
        g.set_state(pynn.ones(2))


def test_randint():
    x = pynn.randint(3, 7, (5000,))
    assert x.dtype == pynn.int64 and set(x.tolist()) == {3, 4, 5, 6}
    assert pynn.randint(5, (2, 2)).shape == (2, 2) and pynn.randint(5, size=(2,)).max() < 5
    assert pynn.randint(-3, 0, (100,)).max() < 0
    assert pynn.randint(0, 2, (3,), dtype=pynn.float32).dtype == pynn.float32
    assert pynn.randint(0, 2**40, (100,)).max() > 2**32
    assert pynn.randint_like(pynn.zeros(3, dtype=pynn.int32), 5).dtype == pynn.int32
    for low, high in ((3, 3), (5, 2)):
        with raises(RuntimeError, f"{low}", f"{high}"):
            pynn.randint(low, high, (2,))
    with pytest.raises((RuntimeError, OverflowError, ValueError, TypeError)):
        pynn.randint(0, 2**70, (2,))
    with pytest.raises((RuntimeError, OverflowError)):
        pynn.randint(0, 1000, (2,), dtype=pynn.int8)


def test_randperm():
    for n in (0, 1, 2, 10, 1000):
        x = pynn.randperm(n)
        assert x.dtype == pynn.int64 and sorted(x.tolist()) == list(range(n))
    assert pynn.randperm(5, dtype=pynn.int32).dtype == pynn.int32
    with raises(RuntimeError, "randperm|-1"):
        pynn.randperm(-1)
    with pytest.raises(TypeError):
        pynn.randperm(2.5)


def test_normal():
    x = pynn.normal(2.0, 3.0, (50_000,))
    assert abs(x.mean().item() - 2) < 0.1 and abs(x.std().item() - 3) < 0.1
    means = pynn.arange(4.0)
    assert pynn.normal(means, 1e-6).round().tolist() == means.tolist()
    assert pynn.normal(means, pynn.full((4,), 1e-6)).shape == (4,)
    assert pynn.normal(1.0, pynn.zeros(3)).tolist() == [1.0, 1.0, 1.0]
    for call in (
        lambda: pynn.normal(0.0, -1.0, (2,)),
        lambda: pynn.empty(2).normal_(0, -1),
        lambda: pynn.normal(pynn.zeros(2), -1.0),
    ):
        with raises(RuntimeError, "normal.*-1|normal.*std"):
            call()


@pytest.mark.parametrize("dtype", FLOATS)
def test_inplace(dtype):
    x = pynn.empty(3000, dtype=dtype)
    assert x.uniform_(-2, 3) is x
    assert x.min() >= -2 and x.max() <= 3 and abs(x.double().mean().item() - 0.5) < 0.2
    x.normal_(1, 0.5)
    assert abs(x.double().mean().item() - 1) < 0.1
    x.bernoulli_(0.25)
    assert set(x.tolist()) == {0.0, 1.0} and abs(x.double().mean().item() - 0.25) < 0.05
    x.exponential_()
    assert x.min() >= 0 and abs(x.double().mean().item() - 1) < 0.15
    with raises(RuntimeError, "uniform_"):
        x.uniform_(3, 2)
    with raises(RuntimeError, "bernoulli_"):
        x.bernoulli_(1.5)
    with raises((RuntimeError, NotImplementedError), "uniform_"):
        pynn.empty(2, dtype=pynn.int64).uniform_()


@pytest.mark.parametrize("dtype", [*INTS, pynn.float32])
def test_random_(dtype):
    x = pynn.zeros(2000, dtype=dtype)
    assert x.random_(2, 5) is x and set(x.tolist()) == {2, 3, 4}
    x.random_(4)
    assert set(x.tolist()) == {0, 1, 2, 3}
    x.random_()
    assert x.min() >= 0 and x.max() > 100


def test_bernoulli():
    p = tensor([0.0, 1.0, 0.5]).repeat(1000)
    x = pynn.bernoulli(p).reshape(1000, 3)
    assert x[:, 0].max() == 0 and x[:, 1].min() == 1 and abs(x[:, 2].mean().item() - 0.5) < 0.1
    assert x.dtype == pynn.float64
    assert pynn.zeros(100).bernoulli_(pynn.ones(100)).sum() == 100
    with raises(RuntimeError, "bernoulli"):
        pynn.bernoulli(pynn.tensor([1.5]))
    with raises(RuntimeError, "bernoulli"):
        pynn.bernoulli(pynn.tensor([math.nan]))


def test_multinomial():
    weights = pynn.tensor([0.0, 1.0, 3.0])
    x = pynn.multinomial(weights, 8000, replacement=True)
    assert x.dtype == pynn.int64 and set(x.tolist()) == {1, 2}
    assert abs((x == 2).double().mean().item() - 0.75) < 0.03
    assert sorted(pynn.multinomial(pynn.ones(2, 5), 5)[1].tolist()) == [0, 1, 2, 3, 4]
    for call in (
        lambda: pynn.multinomial(weights, 4),
        lambda: pynn.multinomial(-weights, 1),
        lambda: pynn.multinomial(pynn.zeros(3), 1),
    ):
        with raises(RuntimeError, "multinomial"):
            call()


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33, 1000])
def test_strided_targets_get_the_same_numbers(n):
    """Memory with gaps is filled in the order of its elements (normal: from 16 on PyTorch's numbers differ there)."""
    fills = [lambda t: t.uniform_(), lambda t: t.random_(1000), lambda t: t.bernoulli_(0.5)]
    for fill in [*fills, lambda t: t.normal_()] if n < 16 else fills:
        pynn.manual_seed(5)
        whole = fill(pynn.empty(n))
        pynn.manual_seed(5)
        wide = pynn.full((2 * n,), -7.0)
        assert same_bits(fill(wide[::2]).contiguous(), whole)
        assert wide[1::2].tolist() == [-7.0] * n
    assert pynn.zeros(2 * n)[::2].normal_().count_nonzero() == n


def test_random_tensors_are_leaves():
    x = pynn.randn(3, requires_grad=True)
    assert x.is_leaf and x.requires_grad
    with raises(RuntimeError, "leaf"):
        x.normal_()
    with pynn.no_grad():
        x.normal_()


def test_fork_rng():
    pynn.manual_seed(0)
    with pynn.random.fork_rng():
        pynn.rand(100)
    assert pynn.rand(1).item() == pytest.approx(RAND[0])
