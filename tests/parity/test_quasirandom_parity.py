"""Sobol's points beside PyTorch's."""

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")
pytest.importorskip("scipy", reason="SobolEngine needs SciPy")


def engines(*args, **options):
    return pynn.quasirandom.SobolEngine(*args, **options), torch.quasirandom.SobolEngine(*args, **options)


@pytest.mark.parametrize("dimension", [1, 2, 5, 40, 1111])
def test_points(dimension):
    ours, theirs = engines(dimension)
    for n in (1, 3, 16, 7):
        a, b = ours.draw(n), theirs.draw(n)
        assert a.dtype is pynn.float32 and (a.numpy() == b.numpy()).all()
    assert ours.num_generated == theirs.num_generated == 27
    a, b = (e.fast_forward(100).draw(4, dtype=lib.float64) for e, lib in ((ours, pynn), (theirs, torch)))
    assert a.dtype is pynn.float64 and (a.numpy() == b.numpy()).all()
    assert (ours.reset().draw(5).numpy() == theirs.reset().draw(5).numpy()).all()
    assert repr(ours) == repr(theirs)


def test_powers_of_two_and_out():
    ours, theirs = engines(3)
    for m in (0, 0, 1, 2):
        assert (ours.draw_base2(m).numpy() == theirs.draw_base2(m).numpy()).all()
    for engine in (ours, theirs):
        with pytest.raises(ValueError, match="power of 2"):
            engine.draw_base2(2)
    a, b = pynn.empty(0), torch.empty(0)
    ours.draw(2, out=a), theirs.draw(2, out=b)
    assert (a.numpy() == b.numpy()).all()


def test_bad_dimensions():
    for lib in (pynn, torch):
        for dimension in (0, 21202):
            with pytest.raises(ValueError):
                lib.quasirandom.SobolEngine(dimension)


def test_scrambled_points():
    pynn.manual_seed(0)
    engine = pynn.quasirandom.SobolEngine(4, scramble=True)
    x = engine.draw(512).double()
    assert ((x >= 0) & (x < 1)).all() and np.abs(x.numpy().mean(0) - 0.5).max() < 1e-3
    cells = (x * 8).long()  # each of 8 intervals holds as many points, in each dimension
    assert all((cells[:, d].bincount() == 64).all() for d in range(4))
    first = pynn.quasirandom.SobolEngine(4, scramble=True, seed=7).draw(8)
    assert pynn.equal(pynn.quasirandom.SobolEngine(4, True, 7).draw(8), first)
    assert not pynn.equal(pynn.quasirandom.SobolEngine(4, True, 8).draw(8), first)
    pynn.manual_seed(0)
    assert pynn.equal(pynn.quasirandom.SobolEngine(4, scramble=True).draw(512).double(), x)
