"""Maps, casts and copies on a CUDA device, beside the CPU's results."""

import math

import pytest
from helpers import EXACT_MEMORY

import pynn as torch

pytestmark = pytest.mark.cuda

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
ALL = (*FLOATS, *INTS, torch.bool)
# Of results whose functions round differently; float32 functions are good to a few units in the last place.
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-14, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def check(result, expected, exact=False):
    tol = 0.0 if exact else TOLERANCE.get(expected.dtype, 0.0)
    assert result.device.type == "cuda"
    assert result.dtype == expected.dtype
    torch.testing.assert_close(result.cpu(), expected, rtol=tol, atol=tol / 4, equal_nan=True)


def numbers(n, dtype, low=-4.0, high=4.0):
    if dtype is torch.bool:
        return torch.arange(n) % 3 == 0
    if not dtype.is_floating_point:
        return (torch.arange(n) * 7919 % 251 - (0 if dtype is torch.uint8 else 125)).to(dtype)
    return (torch.linspace(low, high, n, dtype=torch.float64)[torch.arange(n) * 7919 % n]).to(dtype)


UNARY = [
    *"neg abs sign square sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos".split(),
    *"atan sinh cosh tanh asinh acosh atanh erf erfc floor ceil round trunc frac sigmoid relu logical_not".split(),
    *"isnan isinf isfinite bitwise_not".split(),
]
KEEP_INT = {*"neg abs sign square floor ceil round trunc relu logical_not bitwise_not".split()}


def unary_accepts(name, dtype):
    if dtype is torch.bool:
        return name in ("logical_not", "bitwise_not")
    return name != "bitwise_not" if dtype.is_floating_point else name in KEEP_INT


@pytest.mark.parametrize(
    ("name", "dtype"), [(n, t) for n in UNARY for t in ALL if unary_accepts(n, t)], ids=str
)
def test_unary(name, dtype):
    f = getattr(torch, name)
    for n in (1, 5, 259, 4096):
        x = numbers(n, dtype)
        if n == 259 and dtype.is_floating_point:
            x[:5] = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0], dtype=dtype)
        check(f(x.cuda()), f(x))
    x = numbers(35, dtype).reshape(5, 7)
    check(f(x.cuda().t()), f(x.t()))
    check(f(x.cuda()[:, 1:6:2]), f(x[:, 1:6:2]))
    check(f(x.cuda()[1:, 0]), f(x[1:, 0]))
    check(f(x.cuda()[0, 0]), f(x[0, 0]))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    "f",
    [
        torch.nn.functional.gelu,
        lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
        torch.nn.functional.silu,
        lambda x: torch.nn.functional.leaky_relu(x, 0.1),
        lambda x: torch.nn.functional.elu(x, 0.7),
        lambda x: torch.nn.functional.softplus(x, 2.0, 5.0),
        torch.nn.functional.relu,
        torch.tanh,
        torch.sigmoid,
    ],
    ids="gelu gelu_tanh silu leaky_relu elu softplus relu tanh sigmoid".split(),
)
def test_activations_and_their_gradients(f, dtype):
    x = numbers(515, dtype).requires_grad_()
    y = x.detach().cuda().requires_grad_()
    a, b = f(x), f(y)
    check(b.detach(), a.detach())
    g = numbers(515, dtype, -1, 1)
    a.backward(g)
    b.backward(g.cuda())
    check(y.grad, x.grad)


BINARY = [
    *"add sub mul div floor_divide remainder fmod pow maximum minimum atan2 eq ne lt le gt ge".split(),
    *"logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor".split(),
    *"bitwise_left_shift bitwise_right_shift".split(),
]


def accepts(name, dtype):
    if dtype is torch.bool:
        return name not in (
            *("sub floor_divide remainder fmod pow bitwise_left_shift bitwise_right_shift".split()),
        )
    return not (dtype.is_floating_point and name.startswith("bitwise"))


@pytest.mark.parametrize(("name", "dtype"), [(n, t) for n in BINARY for t in ALL if accepts(n, t)], ids=str)
def test_binary(name, dtype):
    f = getattr(torch, name)
    for n in (1, 7, 1030, 2048):
        a, b = numbers(n, dtype), numbers(n, dtype, -3, 5)
        if not dtype.is_floating_point and dtype is not torch.bool:
            b = torch.where(b == 0, 1, b)
            if name == "pow":
                b = b.abs() % 5
        check(f(a.cuda(), b.cuda()), f(a, b))
    a, b = numbers(96, dtype).reshape(8, 12), numbers(96, dtype, -3, 5).reshape(8, 12)
    if not dtype.is_floating_point and dtype is not torch.bool:
        b = torch.where(b == 0, 1, b)
        if name == "pow":
            b = b.abs() % 5
    c = b.cuda()
    check(f(a.cuda(), c[0]), f(a, b[0]))
    check(f(a.cuda(), c[:, :1]), f(a, b[:, :1]))
    check(f(a.cuda()[:, :1], c[:1]), f(a[:, :1], b[:1]))
    check(f(a.cuda()[:, 1:], c[:, :-1]), f(a[:, 1:], b[:, :-1]))
    check(f(a.cuda().t(), c.t()), f(a.t(), b.t()))
    check(f(a.cuda().t(), c.reshape(12, 8)), f(a.t(), b.reshape(12, 8)))
    check(f(a.cuda(), c[0, 0]), f(a, b[0, 0]))
    check(f(a[0, 0].cuda(), c), f(a[0, 0], b))


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS), ids=str)
def test_numbers_and_cpu_scalars(dtype):
    a = numbers(1030, dtype)
    d = a.cuda()
    for number in (3, 2.5, True):
        check(d + number, a + number)
        check(
            number - d if number is not True else number * d, number - a if number is not True else number * a
        )
        check(d < number, a < number)
        check(d / number, a / number)
        zero = torch.tensor(number)
        check(d * zero, a * zero)
        check(zero + d, zero + a)
        check(torch.where(d > 0, d, zero), torch.where(a > 0, a, zero))
    for exponent in (0, 1, 2, 3):
        check(d**exponent, a**exponent)
    if dtype.is_floating_point:
        for exponent in (0.5, -0.5, -1, -2, 1.7):
            check(d**exponent, a**exponent)
    check(torch.add(d, d, alpha=3), torch.add(a, a, alpha=3))
    check(torch.clamp(d, -1, 2), torch.clamp(a, -1, 2))


def test_narrow_integers_wrap():
    for dtype in INTS:
        a = numbers(300, dtype)
        d = a.cuda()
        check(d * 77, a * 77)
        check(d * torch.tensor(300).cuda(), a * torch.tensor(300))
        check(d * torch.tensor(300), a * torch.tensor(300))
        check(-d, -a)


def test_integer_division_by_zero_is_not_looked_for():
    for dtype in INTS:
        a, zero = numbers(9, dtype).cuda(), torch.zeros(9, dtype=dtype).cuda()
        for f in (torch.floor_divide, torch.remainder, torch.fmod):
            assert (f(a, zero) == 0).all()
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            torch.remainder(a, 0)


def test_types_that_differ():
    for s in ALL:
        for t in ALL:
            a, b = numbers(37, s), numbers(37, t)
            check(a.cuda() * b.cuda(), a * b)
            check(a.cuda() == b.cuda(), a == b)
            c = a.cuda()
            if torch.can_cast(t, s):
                c.add_(b.cuda()) if s is not torch.bool else c.logical_or_(b.cuda())
                d = a.clone()
                d.add_(b) if s is not torch.bool else d.logical_or_(b)
                check(c, d)


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS, torch.bool), ids=str)
def test_ternary(dtype):
    a, b, c = (numbers(264, dtype, -4, i).reshape(12, 22) for i in (3, 4, 5))
    m = numbers(264, torch.bool).reshape(12, 22)
    x, y, z, k = a.cuda(), b.cuda(), c.cuda(), m.cuda()
    check(torch.where(k, x, y), torch.where(m, a, b), exact=True)
    check(torch.where(k[:, :1], x, y[0]), torch.where(m[:, :1], a, b[0]), exact=True)
    check(torch.where(k.t(), x.t(), 1), torch.where(m.t(), a.t(), 1), exact=True)
    check(torch.where(k[:, 1:], x[:, 1:], y[:, 1:]), torch.where(m[:, 1:], a[:, 1:], b[:, 1:]), exact=True)
    if dtype is torch.bool:
        return
    check(torch.addcmul(x, y, z, value=2), torch.addcmul(a, b, c, value=2))
    check(torch.clamp(x, y, z), torch.clamp(a, b, c))
    if dtype.is_floating_point:
        check(torch.addcdiv(x, y, z, value=2), torch.addcdiv(a, b, c, value=2))
        check(torch.lerp(x, y, 0.3), torch.lerp(a, b, 0.3))
        check(torch.lerp(x, y, z), torch.lerp(a, b, c))


def test_casts():
    values = torch.tensor(
        [math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, -1.5, 3e9, -3e9, 1e19, 255.0, -129.0]
    )
    for s in ALL:
        for n in (12, 1031):
            a = values.to(s) if n == 12 else numbers(n, s, -300, 300)
            for t in ALL:
                check(a.cuda().to(t), a.to(t), exact=True)
                check(a.cuda()[1:].to(t), a[1:].to(t), exact=True)
                check(a.cuda()[::3].to(t), a[::3].to(t), exact=True)
                if n == 12:
                    check(a.cuda().reshape(3, 4).t().to(t), a.reshape(3, 4).t().to(t), exact=True)


def test_complex_numbers_move_and_cast():
    a = torch.arange(24, dtype=torch.float32)
    for t in (torch.complex64, torch.complex128):
        z = a.cuda().to(t)
        assert z.cpu().tolist() == a.to(t).tolist()
        assert z.reshape(4, 6).t().contiguous().cpu().tolist() == a.to(t).reshape(4, 6).t().tolist()


@pytest.mark.parametrize("dtype", (torch.bool, torch.int16, torch.float32, torch.int64), ids=str)
def test_copies_of_every_layout(dtype):
    a = numbers(4 * 40 * 56, dtype).reshape(4, 40, 56)
    d = a.cuda()
    for f in (
        lambda x: x.permute(0, 2, 1),
        lambda x: x.permute(2, 0, 1),
        lambda x: x.permute(2, 1, 0),
        lambda x: x[:, 3:37, 5:],
        lambda x: x[:, 3:37, 5:].transpose(1, 2),
        lambda x: x[:, ::3, ::2],
        lambda x: x[..., 8:24],
        lambda x: x.flip(2),
        lambda x: x[:1].expand(3, 40, 56),
        lambda x: x[..., :1].expand(4, 40, 56),
        lambda x: x[:, :7].transpose(0, 2),
    ):
        check(f(d).contiguous(), f(a).contiguous(), exact=True)
        to, expected = torch.zeros_like(f(a)).cuda(), torch.zeros_like(f(a))
        check(to.copy_(f(d)), expected.copy_(f(a)), exact=True)
    b, e = a.clone(), a.clone().cuda()
    b[:, 1:3, 4:] = b[:, 4:6, 4:]
    e[:, 1:3, 4:] = e[:, 4:6, 4:]
    b[0] = 1
    e[0] = 1
    b[..., 7] = b[1, 1, 1]
    e[..., 7] = e[1, 1, 1]
    check(e, b, exact=True)


def test_special_functions():
    x = numbers(301, torch.float64, -6, 6)
    for dtype in (torch.float32, torch.float64):
        a = x.to(dtype)
        for name in "digamma lgamma erfinv i0 i0e i1 i1e erfcx ndtri log_ndtr entr sinc".split():
            f = getattr(torch.special, name, None) or getattr(torch, name)
            b = a / 7 if name in ("erfinv",) else a.abs() / 7 if name == "ndtri" else a
            torch.testing.assert_close(
                f(b.cuda()).cpu(),
                f(b),
                rtol=1e-5 if dtype is torch.float32 else 1e-11,
                atol=1e-12,
                equal_nan=True,
            )
        b = x.flip(0).to(dtype)
        for name in "xlogy hypot copysign nextafter logaddexp logaddexp2".split():
            f = getattr(torch, name)
            # Sums of float32 that cancel have errors of what cancels; CUDA's kernels are in double.
            atol = 1e-7 if dtype is torch.float32 and name.startswith("logaddexp") else 1e-12
            torch.testing.assert_close(
                f(a.cuda(), b.cuda()).cpu(), f(a, b), rtol=1e-6, atol=atol, equal_nan=True
            )
    p, q = numbers(200, torch.int64), numbers(200, torch.int64).flip(0)
    check(torch.gcd(p.cuda(), q.cuda()), torch.gcd(p, q))
    check(torch.lcm(p.cuda(), q.cuda()), torch.lcm(p, q))


def test_many_dims():
    a = torch.arange(4**8).reshape([4] * 8)[(slice(None, None, 3),) * 8].permute(5, 2, 7, 0, 3, 6, 1, 4)
    d = (
        torch.arange(4**8)
        .cuda()
        .reshape([4] * 8)[(slice(None, None, 3),) * 8]
        .permute(5, 2, 7, 0, 3, 6, 1, 4)
    )
    check(d.contiguous(), a.contiguous(), exact=True)
    check(d.float(), a.float(), exact=True)
    check(d + d.contiguous(), a + a, exact=True)
    check(torch.where(d > 9, d, 0), torch.where(a > 9, a, 0), exact=True)


@pytest.mark.skipif(EXACT_MEMORY, reason="of the caching allocator")
def test_cpu_numbers_in_a_graph_are_those_of_the_capture():
    x = torch.ones(5, device="cuda")
    g = torch.cuda.CUDAGraph()
    number = torch.tensor(3.0)
    with torch.cuda.graph(g):
        x.mul_(number)
        x.add_(torch.tensor([2.0], device="cuda"))
    number.fill_(100.0)
    g.replay()
    g.replay()
    assert x.tolist() == [17.0] * 5


def gelu_tanh(x):
    return torch.nn.functional.gelu(x, approximate="tanh")


OF_HALVES = {  # and in float64
    torch.sigmoid: torch.sigmoid,
    torch.tanh: torch.tanh,
    torch.nn.functional.silu: lambda x: x * torch.sigmoid(x),
    torch.nn.functional.gelu: lambda x: x * 0.5 * torch.special.erfc(-x * 0.5**0.5),
    gelu_tanh: lambda x: x * torch.sigmoid(2 * (2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)),
}


@pytest.mark.parametrize("f", OF_HALVES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_half(dtype, f):
    """Within one step of the exact result for every number of a half type, or 0 below 2^-119; of infinity, and NaN."""
    x = torch.arange(-(1 << 15), 1 << 15).to(torch.int16).view(dtype)
    got = f(x.cuda()).cpu()
    exact = OF_HALVES[f](x.double())
    want = exact.to(dtype)
    finite = x.isfinite() & ~((exact.abs() < 2.0**-119) & (got == 0))

    def steps(t):  # of the type, counted from 0
        b = t[finite].view(torch.int16).long()
        return torch.where(b < 0, -(b & 0x7FFF), b)

    assert (steps(got) - steps(want)).abs().max().item() <= 1
    assert (
        got[x.isnan()].isnan().all() and got[x == float("inf")].item() == f(torch.tensor(float("inf"))).item()
    )
