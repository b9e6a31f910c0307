"""Maps and products of complex numbers on a CUDA device, beside the CPU's results."""

import math

import pytest

import pynn as torch

pytestmark = pytest.mark.cuda

COMPLEX = (torch.complex64, torch.complex128)
REAL = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
# The CPU computes the functions of complex64 in double, the device in float.
TOLERANCE = {
    torch.complex64: 2e-5,
    torch.float32: 2e-5,
    torch.complex128: 2e-14,
    torch.float64: 2e-14,
}


def check(result, expected, exact=False):
    tol = 0.0 if exact else TOLERANCE.get(expected.dtype, 0.0)
    assert result.device.type == "cuda"
    assert result.dtype == expected.dtype
    torch.testing.assert_close(result.cpu(), expected, rtol=tol, atol=tol, equal_nan=True)


def numbers(shape, dtype, seed=0):
    n = math.prod(shape)
    k = torch.arange(n, dtype=torch.float64) + seed
    re, im = torch.sin(k * 1.7 + 0.3) * 2, torch.cos(k * 2.9) * 2
    return torch.complex(re, im).to(dtype).reshape(shape)


def layouts(x):
    """The same numbers as laid out on both devices in several ways."""
    yield x, x.cuda()
    yield x.t(), x.cuda().t()
    yield x[:, 1:6:2], x.cuda()[:, 1:6:2]
    yield x[1:, 0], x.cuda()[1:, 0]
    yield x[0, 0], x.cuda()[0, 0]
    yield x[:0], x.cuda()[:0]


UNARY = [
    *"neg abs sgn square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos".split(),
    *"atan sinh cosh tanh asinh acosh atanh sigmoid conj_physical angle logical_not".split(),
    *"isnan isinf isfinite".split(),
]


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, dtype):
    f = getattr(torch, name)
    for here, there in layouts(numbers((5, 7), dtype)):
        check(f(there), f(here))
    x = numbers((3001,), dtype)
    check(f(x.cuda()), f(x))


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_predicates_and_signs_of_special_values(dtype):
    ends = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan]
    x = torch.tensor([complex(a, b) for a in ends for b in ends], dtype=dtype)
    for name in "neg conj_physical logical_not isnan isinf isfinite abs angle".split():
        f = getattr(torch, name)
        check(f(x.cuda()), f(x))


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
@pytest.mark.parametrize(
    "name", "sqrt exp log sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split()
)
def test_branch_cuts(name, dtype):
    f = getattr(torch, name)
    sides = [complex(a, b) for a in (-2.0, -0.5, 0.5, 2.0) for b in (0.0, -0.0)]
    x = torch.tensor([*sides, *(complex(z.imag, z.real) for z in sides)], dtype=dtype)
    check(f(x.cuda()), f(x))


BINARY = "add sub mul div pow eq ne logical_and logical_or logical_xor".split()


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_binary(name, dtype):
    f = getattr(torch, name)
    a, b = numbers((5, 7), dtype), numbers((5, 7), dtype, seed=50)
    b[0] = a[0]
    b[1, :2] = 0
    for (a1, a2), (b1, b2) in zip(layouts(a), layouts(b), strict=True):
        check(f(a2, b2), f(a1, b1))
    check(f(a.cuda(), b[0].cuda()), f(a, b[0]))
    check(f(a[:, :1].cuda(), b[0].cuda()), f(a[:, :1], b[0]))
    if name.startswith("logical"):
        return
    for k in (0, 2, -1, 0.5, 1.5 - 0.5j):
        check(f(a.cuda(), k), f(a, k))
    check(f(a.cuda(), torch.tensor(1.5 + 2j, dtype=dtype)), f(a, torch.tensor(1.5 + 2j, dtype=dtype)))


@pytest.mark.parametrize("real", REAL, ids=str)
@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_binary_with_real_operands(dtype, real):
    a = numbers((5, 7), dtype)
    b = (torch.arange(35).reshape(5, 7) % 5 + 1).to(real)
    for f in (torch.add, torch.sub, torch.mul, torch.div, torch.pow, torch.eq):
        if f is torch.sub and real is torch.bool:
            continue
        check(f(a.cuda(), b.cuda()), f(a, b))
        check(f(b.t().cuda(), a.t().cuda()), f(b.t(), a.t()))
    if real.is_floating_point:
        check(b.cuda() * 2j, b * 2j)
    other = COMPLEX[dtype is torch.complex64]
    check(a.cuda() + a.cuda().to(other), a + a.to(other))


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_alpha_and_in_place(dtype):
    a, b = numbers((4, 6), dtype), numbers((4, 6), dtype, seed=9)
    for f in (torch.add, torch.sub):
        check(f(a.cuda(), b.cuda(), alpha=2), f(a, b, alpha=2))
        check(f(a.cuda(), b.cuda(), alpha=2 - 1j), f(a, b, alpha=2 - 1j))
    here, there = a.clone(), a.cuda()
    for x, y in ((here, b), (there, b.cuda())):
        x.t().mul_(y.t()).add_(1j)
        x[1:].copy_(x[:-1] * x[1:])
    check(there, here)


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
def test_ternary(dtype):
    a, b, c = (numbers((5, 7), dtype, seed=s) for s in (0, 40, 80))
    for (a1, a2), (b1, b2), (c1, c2) in zip(layouts(a), layouts(b), layouts(c), strict=True):
        check(torch.where(a2.real > 0, b2, c2), torch.where(a1.real > 0, b1, c1), exact=True)
        check(torch.addcmul(a2, b2, c2, value=2 - 1j), torch.addcmul(a1, b1, c1, value=2 - 1j))
        check(torch.addcdiv(a2, b2, c2, value=0.5), torch.addcdiv(a1, b1, c1, value=0.5))
        check(torch.lerp(a2, b2, c2), torch.lerp(a1, b1, c1))
    check(torch.lerp(a.cuda(), b.cuda(), 0.25), torch.lerp(a, b, 0.25))


@pytest.mark.parametrize("dtype", COMPLEX, ids=str)
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 5), (2, 40, 33), (4, 3000), (3000, 4), (2, 0), (0, 2)], ids=str
)
def test_products(shape, dtype):
    x = numbers(shape, dtype)
    x = x / x.abs() if x.numel() else x
    for dim in range(len(shape)):
        check(x.cuda().prod(dim), x.prod(dim))
        check(x.cuda().cumprod(dim), x.cumprod(dim))
    check(x.cuda().prod(), x.prod())


def test_gradients():
    results = []
    for device in ("cpu", "cuda"):
        x = numbers((4, 5), torch.complex128).to(device).requires_grad_()
        y = (x.exp() * x.conj() / (x + 3)).prod(0).sum() + x.abs().sum() + (x**3).cumprod(1).sum()
        y.real.backward()
        results.append(x.grad)
    check(results[1], results[0])
