"""Reductions of half types, which are read where they lie, and nansum."""

import math

import numpy as np
import pytest
from helpers import arr, same_bits, tensor, to_numpy

import pynn


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16])
def test_halves_are_read_as_float32(dtype):
    """The same bits as of a float32 copy, whichever loop they go through."""
    for shape in ((1,), (15,), (17, 5), (40, 130), (3, 1000), (19, 300), (300, 63), (70000,), (5, 2100)):
        x = tensor(arr(*shape), dtype)
        if len(shape) > 1:
            x[0, 0] = math.inf
            x[-1, -1] = math.nan
        wide = x.float()
        for name in ("sum", "mean", "prod", "amax", "amin", "nansum", "norm", "var", "count_nonzero"):
            for dim in range(-len(shape), 0):
                y, z = getattr(x, name)(dim=dim), getattr(wide, name)(dim=dim)
                assert same_bits(y, z.to(y.dtype)), (name, shape, dim)


@pytest.mark.parametrize("dtype", [pynn.float16, pynn.bfloat16, pynn.float32, pynn.float64])
def test_nansum_against_its_composite(dtype):
    values = arr(6, 7, 40)
    values[1, ::2], values[2, 3, 5], values[3, 3, 5], values[3, 3, 6] = np.nan, np.inf, np.inf, -np.inf
    x = tensor(values, dtype)
    for dims in (None, 0, 1, 2, (0, 2), (0, 1), (1, 2), (0, 1, 2)):
        for keep in (False, True):
            if dims is None and keep:
                continue
            args = () if dims is None else (dims, keep)
            for t in (x, x.transpose(0, 2), x[:, 1:, ::3]):
                y, z = pynn.nansum(t, *args), pynn.where(t.isnan(), 0.0, t).sum(*args)
                rtol, atol = (1e-2, 0.1) if y.element_size() == 2 else (1e-6, 1e-5)  # in another order
                np.testing.assert_allclose(to_numpy(y), to_numpy(z), rtol=rtol, atol=atol)
    assert pynn.nansum(pynn.empty(0, 3, dtype=dtype), 0).tolist() == [0, 0, 0]
    assert pynn.nansum(x, dtype=pynn.int64).dtype == pynn.int64 if dtype == pynn.float32 else True
    z = tensor(values[:2], pynn.float64, requires_grad=True)
    z.nansum(2).pow(2).sum().backward()
    expected = np.where(np.isnan(values[:2]), 0, 2 * np.nansum(values[:2], 2)[..., None])
    np.testing.assert_allclose(z.grad.numpy(), expected)
