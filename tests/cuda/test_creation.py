"""Tensors made on a CUDA device."""

import pytest

import pynn as torch

pytestmark = pytest.mark.cuda


def check(f, tol=0.0):
    result, expected = f(device="cuda"), f(device="cpu")
    assert result.device.type == "cuda"
    assert result.dtype == expected.dtype
    torch.testing.assert_close(result.cpu(), expected, rtol=tol, atol=tol)


DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_filled(dtype):
    for n in (0, 1, 17, 4099):
        check(lambda device, n=n: torch.zeros(n, dtype=dtype, device=device))
        check(lambda device, n=n: torch.ones(n, dtype=dtype, device=device))
        check(lambda device, n=n: torch.full((n,), 7, dtype=dtype, device=device))
    check(lambda device: torch.zeros(5, 7, dtype=dtype, device=device).t().fill_(3))
    check(lambda device: torch.zeros(5, 7, dtype=dtype, device=device)[:, 2:4].fill_(3))
    check(lambda device: torch.eye(5, 7, dtype=dtype, device=device))
    check(lambda device: torch.ones_like(torch.empty(5, 7, dtype=dtype, device=device)))
    check(lambda device: torch.tensor([[1, 2], [3, 4]], dtype=dtype, device=device))
    check(lambda device: torch.empty(3, dtype=dtype, device=device).new_full((2, 2), 5))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sequences(dtype):
    check(lambda device: torch.arange(100, dtype=dtype, device=device))
    check(lambda device: torch.arange(3, 90, 7, dtype=dtype, device=device))
    check(
        lambda device: torch.arange(
            90, 3, -0.5 if dtype.is_floating_point else -3, dtype=dtype, device=device
        )
    )
    tol = {torch.float16: 1e-3, torch.bfloat16: 1e-2}.get(dtype, 1e-6)
    check(lambda device: torch.linspace(0, 50, 11, dtype=dtype, device=device), tol)
    check(lambda device: torch.linspace(1, 2, 1, dtype=dtype, device=device), tol)
    if dtype.is_floating_point:
        check(lambda device: torch.linspace(-3, 11, 1000, dtype=dtype, device=device), tol)
        check(lambda device: torch.logspace(-2, 2, 50, dtype=dtype, device=device), max(tol, 1e-5))


def test_positions():
    check(lambda device: torch.tril_indices(5, 7, 1, device=device))
    check(lambda device: torch.triu_indices(5, 7, -1, device=device, dtype=torch.int32))
    check(lambda device: torch.tril(torch.arange(35, device=device).reshape(5, 7), 1))
    check(lambda device: torch.triu(torch.ones(3, 5, 5, device=device)))
    check(lambda device: torch.combinations(torch.arange(5, device=device)))
    check(lambda device: torch.vander(torch.arange(5, device=device), 4))
