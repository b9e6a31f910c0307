"""Reductions and scans on a CUDA device, beside the CPU's results."""

import math

import pytest

import pynn as torch

pytestmark = pytest.mark.cuda

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
# (shape, dim): rows, columns, middles, everything; odd sizes and aligned ones, short, long, and long enough to split.
SHAPES = [
    ((7,), 0),
    ((40, 3), 1),
    ((33, 17), 1),
    ((5, 64), 1),
    ((3, 1000), 1),
    ((2, 4103), 1),
    ((1, 70000), 1),
    ((4, 40000), 1),
    ((40, 3), 0),
    ((17, 64), 0),
    ((3000, 8), 0),
    ((2000, 3), 0),
    ((4, 9, 6), 1),
    ((3, 300, 16), 1),
    ((2, 5, 100), 1),
    ((100, 2, 2), 1),
    ((6, 7, 5), (0, 2)),
    ((30, 40), None),
]
IDS = [f"{'x'.join(map(str, s))} dim {d}".replace(" ", "_") for s, d in SHAPES]


def same(result, expected, tol=0.0, factor=1.0):
    if isinstance(expected, tuple):
        for r, e in zip(result, expected):
            same(r, e, tol, factor)
        return
    assert result.device.type == "cuda" and result.dtype == expected.dtype and result.shape == expected.shape
    tol = factor * TOLERANCE.get(expected.dtype, 0.0) if tol is None else tol
    torch.testing.assert_close(result.cpu(), expected, rtol=tol, atol=tol, equal_nan=True)


def floats(shape, dtype=torch.float32, scale=1.0):
    torch.manual_seed(1)
    return (torch.randn(shape) * scale).to(dtype)


def along(op, dim):
    return (lambda x: op(x)) if dim is None else (lambda x: op(x, dim))


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=IDS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_sums(shape, dim, dtype):
    x = floats(shape, dtype)
    n = (
        x.numel()
        if dim is None
        else math.prod(x.shape[d] for d in (dim if isinstance(dim, tuple) else (dim,)))
    )
    for op in (torch.sum, torch.mean, torch.amax, torch.amin):
        same(along(op, dim)(x.cuda()), along(op, dim)(x), None, max(1.0, n**0.5) if op is torch.sum else 1.0)
    if dim is not None:
        same(torch.logsumexp(x.cuda(), dim), torch.logsumexp(x, dim), None)
    same(along(torch.var, dim)(x.cuda() + 30), along(torch.var, dim)(x + 30), None, 4)


@pytest.mark.parametrize(("shape", "dim"), SHAPES[::2], ids=IDS[::2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_norms_and_truth(shape, dim, dtype):
    x = torch.where(floats(shape) > 1, 0, floats(shape)).to(dtype)
    dims = dim if isinstance(dim, tuple) else None if dim is None else (dim,)
    for p in (0, 0.5, 1, 2, 3, math.inf, -math.inf):
        same(torch.norm(x.cuda(), p, dims), torch.norm(x, p, dims), None, 5)
    for op in (torch.any, torch.all):
        same(along(op, dim)(x.cuda()), along(op, dim)(x))


@pytest.mark.parametrize("dtype", INTS, ids=str)
@pytest.mark.parametrize(("shape", "dim"), [SHAPES[i] for i in (0, 2, 4, 6, 8, 10, 13, 16, 17)])
def test_integers(shape, dim, dtype):
    x = torch.randint(0, 2 if dtype is torch.bool else 100, shape).to(dtype)
    x = x if dtype in (torch.uint8, torch.bool) else x - 50
    for op in (torch.sum, torch.amax, torch.amin, torch.any, torch.all):
        same(along(op, dim)(x.cuda()), along(op, dim)(x))
    if not isinstance(dim, tuple):
        same(along(torch.prod, dim)(x.cuda()), along(torch.prod, dim)(x))
    if dim is not None and not isinstance(dim, tuple):
        same(torch.cumsum(x.cuda(), dim), torch.cumsum(x, dim))
        same(torch.cummax(x.cuda(), dim), torch.cummax(x, dim))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int32], ids=str)
@pytest.mark.parametrize(("shape", "dim"), [s for s in SHAPES if not isinstance(s[1], tuple)])
def test_positions(shape, dim, dtype):
    x = torch.randint(-9, 9, shape).to(dtype)  # with ties
    for op in (torch.argmax, torch.argmin):
        same(along(op, dim)(x.cuda()), along(op, dim)(x))
    if dim is not None:
        for op in (torch.max, torch.min):
            same(op(x.cuda(), dim), op(x, dim))
    if not dtype.is_floating_point:
        return
    x = torch.where(x == 3, math.nan, x)
    for op in (torch.argmax, torch.argmin, torch.amax, torch.amin):
        same(along(op, dim)(x.cuda()), along(op, dim)(x))


@pytest.mark.parametrize(
    "shape", [(5,), (7, 33), (2, 5000), (1, 40000), (3, 700, 2), (2000, 3), (4, 5, 60), (9, 40)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_scans(shape, dtype):
    x = floats(shape, dtype)
    for dim in range(x.dim()):
        n = x.shape[dim]
        same(torch.cumsum(x.cuda(), dim), torch.cumsum(x, dim), None, n**0.5)
        y = 1 + x / n
        same(torch.cumprod(y.cuda(), dim), torch.cumprod(y, dim), None)
        same(torch.logcumsumexp(x.cuda(), dim), torch.logcumsumexp(x, dim), None, 2)
        for op in (torch.cummax, torch.cummin):
            same(op(x.round().cuda(), dim), op(x.round(), dim))
            holes = torch.where(x > 2, math.nan, x)
            same(op(holes.cuda(), dim), op(holes, dim))
        same(torch.mode(x.round().cuda(), dim), torch.mode(x.round(), dim))


def test_special_values():
    inf, nan = math.inf, math.nan
    x = torch.tensor(
        [[inf, 1.0, -inf], [-inf, -inf, -inf], [nan, 1, 2], [1, 2, 3], [inf, inf, 0], [0.0, -0.0, 1]]
    )
    for op in (torch.sum, torch.mean, torch.amax, torch.amin, torch.logsumexp, torch.var, torch.prod):
        for y, dim in ((x, 1), (x.T.contiguous(), 0)):
            same(op(y.cuda(), dim), op(y, dim), 1e-6)
    for op in (torch.cumsum, torch.cumprod, torch.logcumsumexp, torch.cummax, torch.cummin):
        for y, dim in ((x, 1), (x.T.contiguous(), 0), (x.repeat(1, 20), 1)):
            same(op(y.cuda(), dim), op(y, dim), 1e-6)
    assert torch.tensor([5, 5, 7, 7, 3]).cuda().argmax().item() == 2


def test_nothing_to_reduce():
    for shape, dim in (((0,), 0), ((3, 0), 1), ((0, 3), 0), ((0, 3), 1), ((2, 0, 3), 1)):
        x = torch.zeros(shape)
        for op in (
            torch.sum,
            torch.mean,
            torch.prod,
            torch.any,
            torch.all,
            torch.logsumexp,
            torch.var,
            torch.cumsum,
        ):
            same(op(x.cuda(), dim), op(x, dim))
        for p in (0, 1, 2, 3):
            same(torch.norm(x.cuda(), p, (dim,)), torch.norm(x, p, (dim,)))


def test_sums_are_exact_enough_and_reproducible():
    x = torch.full((1 << 20,), 0.1)
    assert x.cuda().sum().item() == pytest.approx(float(x.double().sum()), rel=1e-6)
    y = floats((300, 5000)).cuda()
    for dim in (0, 1, (0, 1)):
        assert torch.equal(y.sum(dim), y.sum(dim))


def test_gradients():
    for op in (
        lambda x: x.var(1).sum(),
        lambda x: x.std(0).sum(),
        lambda x: x.logsumexp(1).sum(),
        lambda x: x.norm(2, (0,)).sum(),
        lambda x: x.amax(1).sum(),
        lambda x: x.max(1)[0].sum(),
        lambda x: x.prod(1).sum(),
        lambda x: x.cumsum(1).square().sum(),
        lambda x: x.cumprod(1).sum(),
        lambda x: x.cummax(1)[0].sum(),
        lambda x: x.logcumsumexp(0).sum(),
        lambda x: torch.cdist(x, x[:3]).sum(),
        lambda x: torch.quantile(x, 0.3, 1).sum(),
    ):
        x = floats((6, 5)).requires_grad_()
        d = x.detach().cuda().requires_grad_()
        op(x).backward()
        op(d).backward()
        same(d.grad, x.grad, 1e-5)


def test_statistics_of_other_files():
    x = floats((6, 9))
    d = x.cuda()
    for f in (
        torch.cov,
        torch.corrcoef,
        torch.trace,
        lambda t: torch.cross(t[:, :3], t[:, 3:6], 1),
        lambda t: torch.nn.functional.pdist(t),
        lambda t: torch.renorm(t, 2, 0, 1.0),
        lambda t: torch.quantile(t, 0.4, 1),
        lambda t: torch.quantile(t, torch.tensor([0.1, 0.9], device=t.device)),
        lambda t: torch.nanquantile(t, 0.5),
        torch.nanmean,
        torch.nansum,
        lambda t: torch.count_nonzero(t > 0, 0),
        lambda t: torch.cov(t, fweights=torch.arange(9, device=t.device)),
    ):
        same(f(d), f(x), 1e-5)
    a, b = floats((2, 20, 35)), floats((2, 33, 35), scale=2.0)
    for p in (0.0, 1.0, 2.0, 3.5, math.inf):
        same(torch.cdist(a.cuda(), b.cuda(), p), torch.cdist(a, b, p), 1e-5)


def test_variance_of_one_large_value():
    x = torch.tensor([[1e38], [-1e30]], device="cuda")
    assert x.var(1, correction=0).tolist() == [0.0, 0.0] and x.std(1, correction=0).tolist() == [0.0, 0.0]
