"""Matrix products on a CUDA device, by the library and by the plain kernel, beside float64 on the CPU."""

import pytest

import pynn as torch
from pynn.backends import _switch

pytestmark = pytest.mark.cuda

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FLOATS = tuple(TOLERANCE)


@pytest.fixture(params=[True, False], ids=["library", "plain"], autouse=True)
def products_by(request):
    """Both ways; where there is no library, the first is the second."""
    before = _switch.read("cublas")
    _switch.write("cublas", request.param)
    yield
    _switch.write("cublas", before)


def numbers(*sizes, dtype):
    if dtype.is_floating_point:
        return torch.randn(*sizes, dtype=torch.float64).to(dtype)
    return torch.randint(0, 9, sizes, dtype=torch.int64).to(dtype)


def wide(x):
    return x.double() if x.is_floating_point() else x


def close(result, expected, dtype, scale=1.0):
    assert result.device.type == "cuda" and result.dtype == dtype
    tol = TOLERANCE.get(dtype, 0) * scale
    torch.testing.assert_close(wide(result.cpu()), expected.to(wide(result).dtype), rtol=tol, atol=tol)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
@pytest.mark.parametrize(
    "m, n, k", [(3, 4, 5), (1, 9, 16), (17, 1, 33), (1, 1, 7), (70, 65, 40), (128, 96, 64)]
)
def test_mm(m, n, k, dtype):
    a, b = numbers(m, k, dtype=dtype), numbers(k, n, dtype=dtype)
    expected = (wide(a) @ wide(b)).to(dtype)
    close(a.cuda() @ b.cuda(), expected, dtype, scale=8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_layouts(dtype):
    """Transposed, every second column, expanded, offset by one element: each operand in turn."""
    layouts = {
        "plain": lambda x: x,
        "transposed": lambda x: x.t().contiguous().t(),
        "gaps": lambda x: torch.stack([x, x], 2).reshape(x.size(0), -1)[:, ::2],
        "offset": lambda x: torch.cat([x.new_zeros(1), x.reshape(-1)])[1:].view(x.shape),
        "row stride": lambda x: torch.cat([x, x], 1)[:, : x.size(1)],
        "expanded": lambda x: x[:1].expand_as(x),
    }
    a, b = numbers(24, 16, dtype=dtype), numbers(16, 40, dtype=dtype)
    for left in layouts:
        for right in layouts:
            x, y = layouts[left](a), layouts[right](b)
            expected = wide(x) @ wide(y)
            close(layouts[left](a.cuda()) @ layouts[right](b.cuda()), expected, dtype, scale=8)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64])
def test_batches(dtype):
    a, b = numbers(5, 6, 7, dtype=dtype), numbers(5, 7, 8, dtype=dtype)
    close(torch.bmm(a.cuda(), b.cuda()), torch.bmm(wide(a), wide(b)), dtype, scale=8)
    transposed = torch.bmm(b.cuda().transpose(1, 2), a.cuda().transpose(1, 2))
    close(transposed, torch.bmm(wide(a), wide(b)).transpose(1, 2), dtype, scale=8)
    shared = b[:1].cuda().expand(5, 7, 8)  # one operand for all
    close(torch.matmul(a.cuda(), shared), torch.matmul(wide(a), wide(b[0])), dtype, scale=8)
    close(torch.matmul(a.cuda(), b[0, :, 0].cuda()), torch.matmul(wide(a), wide(b[0, :, 0])), dtype, scale=8)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("sizes", [(9, 12), (2, 5, 12), (1, 12)])
def test_linear(sizes, dtype):
    x, w, b = numbers(*sizes, dtype=dtype), numbers(20, 12, dtype=dtype), numbers(20, dtype=dtype)
    f = torch.nn.functional.linear
    expected = f(wide(x), wide(w), wide(b))
    for _ in range(2):  # the second time with another bias, by what was kept of the first
        close(f(x.cuda(), w.cuda(), b.cuda()), expected, dtype, scale=8)
        expected, b = expected + 1, (wide(b) + 1).to(dtype)
        expected = f(wide(x), wide(w), wide(b))
    close(f(x.cuda(), w.cuda()), f(wide(x), wide(w)), dtype, scale=8)


def test_linear_gradients():
    x, w, b = torch.randn(9, 12), torch.randn(20, 12), torch.randn(20)
    grads = []
    for device in ("cpu", "cuda"):
        inputs = [t.clone().to(device).requires_grad_() for t in (x, w, b)]
        y = torch.nn.functional.linear(*inputs)
        y.backward(torch.ones(9, 20).to(device))
        grads.append([t.grad.cpu() for t in inputs])
    for got, expected in zip(grads[1], grads[0], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", FLOATS)
def test_alpha_and_beta(dtype):
    c, a, b = numbers(6, 7, dtype=dtype), numbers(6, 5, dtype=dtype), numbers(5, 7, dtype=dtype)
    expected = 0.5 * wide(c) + 2 * (wide(a) @ wide(b))
    close(torch.addmm(c.cuda(), a.cuda(), b.cuda(), beta=0.5, alpha=2), expected, dtype, scale=8)
    nan = torch.full((6, 7), float("nan"), dtype=dtype)
    close(torch.addmm(nan.cuda(), a.cuda(), b.cuda(), beta=0), wide(a) @ wide(b), dtype, scale=8)


def test_empty_sizes():
    assert (torch.ones(0, 3).cuda() @ torch.ones(3, 4).cuda()).shape == (0, 4)
    assert (torch.ones(3, 0).cuda() @ torch.ones(0, 4).cuda()).cpu().tolist() == [[0.0] * 4] * 3


def test_switches():
    """TF32 keeps 10 bits of float32's 23; off, the error is float32's."""
    a, b = torch.randn(64, 256), torch.randn(256, 64)
    exact = a.double() @ b.double()
    matmul = torch.backends.cuda.matmul
    assert not matmul.allow_tf32 and torch.get_float32_matmul_precision() == "highest"
    try:
        for allowed in (False, True):
            torch.set_float32_matmul_precision("high" if allowed else "highest")
            assert matmul.allow_tf32 is allowed
            error = ((a.cuda() @ b.cuda()).cpu().double() - exact).abs().max().item()
            assert error < (0.2 if allowed else 2e-4)
    finally:
        matmul.allow_tf32 = False
    assert torch.get_float32_matmul_precision() == "highest"
