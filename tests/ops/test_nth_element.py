"""median, nanmedian and kthvalue against the stable sort whose elements they are: lines of all the kernel's paths."""

import numpy as np
import pytest

import pynn

LENGTHS = (1, 2, 15, 16, 17, 33, 64, 65, 77, 600, 3000)
KINDS = ("normal", "wide", "few", "same")
DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def numbers(kind, shape, rng):
    x = rng.standard_normal(shape)
    if kind == "wide":
        return x * 10.0 ** rng.uniform(-4, 4, shape)
    if kind == "few":
        return np.round(x)
    return np.ones(shape) if kind == "same" else x * 50


def expected(x, dim, place):
    values, index = x.sort(dim)
    at = pynn.tensor(np.expand_dims(place(values.double().numpy()), dim))
    return values.gather(dim, at).squeeze(dim), index.gather(dim, at).squeeze(dim)


def check(x, dim):
    n = x.shape[dim]
    nans = lambda v: np.isnan(v).sum(dim)
    places = {
        x.median: lambda v: np.where(nans(v) > 0, n - nans(v), (n - 1) // 2),
        x.nanmedian: lambda v: np.maximum((n - nans(v) - 1) // 2, 0),
    }
    for k in {0, n // 3, n - 1}:
        places[lambda dim, k=k: x.kthvalue(k + 1, dim)] = lambda v, k=k: np.full(nans(v).shape, k)
    for op, place in places.items():
        (values, index), (value, at) = op(dim), expected(x, dim, place)
        assert index.tolist() == at.tolist()
        np.testing.assert_array_equal(values.double().numpy(), value.double().numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_sort(dtype, kind, rng):
    for n in LENGTHS:
        x = pynn.tensor(numbers(kind, (n,), rng)).clamp(-9e4, 9e4)
        x = (x.abs().clamp(max=255) if dtype == "uint8" else x).to(getattr(pynn, dtype))
        check(x, 0)
        if dtype in ("int64", "bool"):
            assert x.median().item() == x.median(0)[0].item()


@pytest.mark.parametrize("shape", [(5, 3), (3, 70), (70, 3), (4, 20, 37), (2, 90, 19), (2, 3, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "float16"])
def test_every_dim_and_strided(shape, dtype, rng):
    x = pynn.tensor(numbers("few", shape, rng)).to(getattr(pynn, dtype))
    for dim in range(len(shape)):
        check(x, dim)
        check(x.transpose(0, -1), dim)


@pytest.mark.parametrize("n", [7, 100])
def test_nan_infinities_and_zeros(n, rng):
    x = numbers("normal", (6, n), rng)
    x[1, 2:5] = np.nan
    x[2] = np.nan
    x[3, :3] = np.inf, -np.inf, np.nan
    x[4] = np.where(np.arange(n) % 2, -0.0, 0.0)
    for dtype in (pynn.float32, pynn.float64, pynn.bfloat16):
        check(pynn.tensor(x).to(dtype), 1)
        check(pynn.tensor(x.T.copy()).to(dtype), 0)
    assert np.isnan(pynn.tensor(x).median().item())


def test_results_do_not_depend_on_threads(rng):
    x = pynn.tensor(np.round(rng.standard_normal((300, 120)) * 9))
    before = pynn.get_num_threads()
    found = []
    for threads in (1, 3):
        pynn.set_num_threads(threads)
        found.append([t.tolist() for dim in (0, 1) for t in x.median(dim)])
    pynn.set_num_threads(before)
    assert found[0] == found[1]
