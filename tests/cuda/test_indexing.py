"""Indexing, sorting and searching on a CUDA device, beside the CPU's results."""

import pytest

import pynn as torch

pytestmark = pytest.mark.cuda

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def same(result, expected, tol=0.0):
    assert result.device.type == "cuda"
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    if expected.is_complex():
        assert result.tolist() == expected.tolist()
    else:
        torch.testing.assert_close(result.cpu(), expected, rtol=tol, atol=tol, equal_nan=True)


def moved(x):
    if isinstance(x, torch.Tensor):
        return x.cuda()
    return tuple(map(moved, x)) if isinstance(x, tuple) else x


def numbers(*shape, dtype=torch.float32):
    n = torch.randint(-5, 6, shape) if dtype is not torch.uint8 else torch.randint(0, 9, shape)
    return n.to(dtype)


I, J = torch.tensor([3, 0, -1, 3]), torch.tensor([[1], [-2]])
MASK = torch.tensor([True, False, True, True])
INDICES = {
    "rows": (I,),
    "dim 1": (slice(None), torch.tensor([4, 0, -1])),
    "last": (..., torch.tensor([5, -6])),
    "two": (I, torch.tensor([0, 1, 2, -1])),
    "broadcast": (I, J),
    "apart": (I[:2], slice(1, 4), torch.tensor([0, 5])),
    "with a slice": (slice(None, None, 2), I[:2] % 2),
    "integer": (2, torch.tensor([1, 1, 3])),
    "none": (None, I),
    "mask": (MASK,),
    "mask in the middle": (slice(None), torch.tensor([True, False, False, True, True])),
    "mask of two dims": (torch.arange(20).reshape(4, 5) % 3 == 0,),
    "whole mask": (torch.arange(120).reshape(4, 5, 6) % 7 == 0,),
    "nothing": (torch.tensor([], dtype=torch.int64),),
    "no hit": (torch.zeros(4, dtype=torch.bool),),
    "plain": (1, slice(2), ...),
}


@pytest.mark.parametrize("on_host", [False, True], ids=["cuda index", "cpu index"])
@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_getitem_and_setitem(index, on_host):
    for x in (torch.arange(120.0).reshape(4, 5, 6), torch.arange(120.0).reshape(6, 5, 4).permute(2, 1, 0)):
        d = x.cuda()
        at = index if on_host else moved(index)
        expected = x[index]
        same(d[at], expected)
        for value in (3, torch.tensor(7.0), torch.randn(expected.shape[-1:]) if expected.dim() else 2.5):
            want, have = x.clone(), d.clone()
            want[index] = value
            have[at] = moved(value) if isinstance(value, torch.Tensor) and value.dim() else value
            same(have, want)  # equal values go to each place, whatever index comes last


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_gradients_of_getitem(index):
    x = torch.randn(4, 5, 6)
    grads = []
    for t in (x.clone().requires_grad_(), x.cuda().requires_grad_()):
        y = t[moved(index) if t.is_cuda else index]
        (y * (y.detach() + 1)).sum().backward()
        grads.append(t.grad)
    same(grads[1], grads[0], 1e-6)


def test_elements_of_cuda_tensors():
    x = torch.zeros(3, 4, device="cuda")
    x[1, 2] = 2.5
    x[0] = 3
    x[2, 1:3] = torch.tensor([1.0, 2.0])
    x[torch.tensor([2]), 0] = torch.tensor(9.0)
    assert x.tolist() == [[3, 3, 3, 3], [0, 0, 2.5, 0], [9, 1, 2, 0]]
    assert x[torch.tensor(1, device="cuda"), 2].item() == 2.5


def test_index_put_accumulates_in_a_fixed_order():
    for n in (7, 2048, 2049, 20000):
        at = torch.randint(0, 5, (n,))
        v = torch.randn(n, 3)
        x = torch.randn(6, 3)
        want = x.clone().double().index_put_((at,), v.double(), accumulate=True).float()
        once = x.cuda().index_put_((at.cuda(),), v.cuda(), accumulate=True)
        same(once, want, 1e-3)
        again = x.cuda().index_put_((at.cuda(),), v.cuda(), accumulate=True)
        assert torch.equal(once, again)


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS, torch.bool, torch.complex64), ids=str)
@pytest.mark.parametrize("n, rows, width", [(5, 4, 3), (2500, 70, 4), (3000, 2, 1), (2100, 3000, 40)])
def test_rows(dtype, n, rows, width):
    at = torch.randint(0, rows, (n,))
    table = numbers(rows, width).to(dtype)
    source = numbers(n, width).to(dtype)
    same(table.cuda().index_select(0, at.cuda()), table.index_select(0, at))
    wide = table.to(torch.float64) if dtype in (torch.float16, torch.bfloat16) else table
    added = table.cuda().index_add(0, at.cuda(), source.cuda())
    expected = wide.index_add(0, at, source.to(wide.dtype)).to(dtype)
    if dtype in (torch.float16, torch.bfloat16):
        same(added, expected, 0.02)
    else:
        same(added, expected)
    once = torch.randperm(rows)[: min(n, rows)]
    same(
        table.cuda().index_copy(0, once.cuda(), source[: len(once)].cuda()),
        table.index_copy(0, once, source[: len(once)]),
    )
    same(table.cuda().index_fill(0, once[:2].cuda(), 1), table.index_fill(0, once[:2], 1))


def test_embedding():
    from pynn.nn.functional import embedding

    table, at = torch.randn(50, 12), torch.randint(0, 50, (7, 400))
    for by_frequency in (False, True):
        grads = []
        for device in ("cpu", "cuda"):
            w = table.detach().to(device).requires_grad_()
            y = embedding(at.to(device), w, padding_idx=3, scale_grad_by_freq=by_frequency)
            y.square().sum().backward()
            grads.append(w.grad)
        same(grads[1], grads[0], 2e-4)
        assert grads[1][3].abs().max().item() == 0


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS), ids=str)
def test_gather_and_scatter(dtype):
    x, source = numbers(6, 7, 5).to(dtype), numbers(4, 7, 5).to(dtype)
    for dim in (0, 1, 2):
        shape = [6, 7, 5]
        shape[dim] = 9
        at = torch.randint(0, x.size(dim), shape)
        same(x.cuda().gather(dim, at.cuda()), x.gather(dim, at))
    at = torch.randint(0, 6, (4, 7, 5))
    same(x.cuda().scatter_add(0, at.cuda(), source.cuda()), x.scatter_add(0, at, source))
    same(x.cuda().scatter(0, at.cuda(), 2), x.scatter(0, at, 2))
    order = torch.rand(6, 7, 5).argsort(0)[:4]
    same(x.cuda().scatter(0, order.cuda(), source.cuda()), x.scatter(0, order, source))
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        for include_self in (True, False):
            expected = x.scatter_reduce(0, at, source, reduce, include_self=include_self)
            same(
                x.cuda().scatter_reduce(0, at.cuda(), source.cuda(), reduce, include_self=include_self),
                expected,
            )


def test_atomics_of_narrow_types_leave_neighbours_alone():
    for dtype in (torch.int8, torch.float16, torch.bool):
        x = torch.zeros(7, dtype=dtype)
        at = torch.arange(7).repeat(3)
        v = torch.ones(21, dtype=dtype)
        same(x.cuda().scatter_add(0, at.cuda(), v.cuda()), x.scatter_add(0, at, v))


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS, torch.bool), ids=str)
@pytest.mark.parametrize("shape", [(1,), (3, 7), (5, 64), (2, 2048), (2, 2500), (1, 9000), (40, 1)], ids=str)
def test_sort(dtype, shape):
    x = numbers(*shape).to(dtype)
    if dtype in FLOATS:
        x = torch.where(torch.rand(shape) < 0.1, torch.tensor(float("nan")), x.float()).to(dtype)
        x[..., 0] = -0.0
    for descending in (False, True):
        values, order = x.cuda().sort(-1, descending, stable=True)
        expected = x.sort(-1, descending, stable=True)
        same(values, expected[0])
        same(order, expected[1])
    if dtype is not torch.bool:
        for k in {1, min(5, shape[-1]), shape[-1]}:
            values, order = x.cuda().topk(k)
            same(values, x.topk(k)[0])
            same(order, x.topk(k)[1])


def test_sort_and_median_along_other_dims():
    x = torch.randn(5, 6, 7)
    for dim in (0, 1, 2):
        same(x.cuda().sort(dim)[0], x.sort(dim)[0])
        same(x.cuda().median(dim)[0], x.median(dim)[0])
        same(x.cuda().kthvalue(2, dim)[1], x.kthvalue(2, dim)[1])
    same(x.cuda().median(), x.median())


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS, torch.bool, torch.complex64), ids=str)
def test_nonzero(dtype):
    for shape in ((), (0,), (10,), (3, 0), (7, 9, 4), (10000,)):
        x = (torch.rand(shape) < 0.3).to(dtype)
        same(x.cuda().nonzero(), x.nonzero())
    x = torch.tensor([0.0, -0.0, float("nan"), 1.0])
    same(x.cuda().nonzero(), x.nonzero())


def test_masks():
    x = torch.randn(6, 8)
    mask = x > 0
    d, m = x.cuda(), mask.cuda()
    same(d.masked_select(m), x.masked_select(mask))
    same(d.masked_fill(m, 2.0), x.masked_fill(mask, 2.0))
    same(d.masked_fill(m, torch.tensor(3.0)), x.masked_fill(mask, 3.0))
    same(d.masked_scatter(m, d.flip(0)), x.masked_scatter(mask, x.flip(0)))
    same(torch.where(m, d, 0.0), torch.where(mask, x, 0.0))
    for have, want in zip(torch.where(m), torch.where(mask), strict=True):
        same(have, want)


def test_unique():
    for x in (
        torch.randint(0, 9, (5, 40)),
        torch.randint(0, 3, (30,)).float(),
        torch.zeros(0),
        torch.tensor([2]),
    ):
        for f in (torch.unique, torch.unique_consecutive):
            for have, want in zip(
                f(x.cuda(), return_inverse=True, return_counts=True),
                f(x, return_inverse=True, return_counts=True),
                strict=True,
            ):
                same(have, want)
    x = torch.randint(0, 2, (20, 3))
    for have, want in zip(
        x.cuda().unique(dim=0, return_inverse=True, return_counts=True),
        x.unique(dim=0, return_inverse=True, return_counts=True),
        strict=True,
    ):
        same(have, want)


@pytest.mark.parametrize("dtype", (*FLOATS, *INTS), ids=str)
def test_searchsorted(dtype):
    row = numbers(3, 20).to(dtype).sort(-1)[0]
    values = numbers(3, 11).to(dtype)
    for right in (False, True):
        same(
            torch.searchsorted(row.cuda(), values.cuda(), right=right),
            torch.searchsorted(row, values, right=right),
        )
        same(
            torch.bucketize(values.cuda(), row[0].cuda(), right=right),
            torch.bucketize(values, row[0], right=right),
        )
    same(torch.searchsorted(row[0].cuda(), 2), torch.searchsorted(row[0], 2))
    order = row.flip(-1).argsort(-1)
    flipped = row.flip(-1)
    same(
        torch.searchsorted(flipped.cuda(), values.cuda(), sorter=order.cuda()),
        torch.searchsorted(flipped, values, sorter=order),
    )


def test_counts():
    x, w = torch.randint(0, 50, (3000,)), torch.randn(3000)
    same(x.cuda().bincount(), x.bincount())
    same(x.cuda().bincount(w.cuda(), 70), x.bincount(w, 70), 1e-4)
    same(torch.zeros(0, dtype=torch.int64).cuda().bincount(minlength=3), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="bincount"):
        torch.tensor([1, -1]).cuda().bincount()
    for bins in (7, 5000):
        same(w.cuda().histc(bins), w.histc(bins))
        same(w.cuda().histc(bins, -1, 1), w.histc(bins, -1, 1))
    for invert in (False, True):
        same(torch.isin(x.cuda(), x[:9].cuda(), invert=invert), torch.isin(x, x[:9], invert=invert))


def test_repeat_interleave():
    x, n = torch.randn(4, 3), torch.tensor([2, 0, 3, 1])
    same(x.cuda().repeat_interleave(n.cuda(), 0), x.repeat_interleave(n, 0))
    same(x.cuda().repeat_interleave(n.cuda(), 0, output_size=6), x.repeat_interleave(n, 0))
    same(torch.repeat_interleave(n.cuda()), torch.repeat_interleave(n))
    same(x.cuda().repeat_interleave(2), x.repeat_interleave(2))
    with pytest.raises(RuntimeError, match="negative"):
        torch.repeat_interleave(torch.tensor([1, -1]).cuda())


@pytest.mark.parametrize("dtype", (torch.float32, torch.float16, torch.bool, torch.int64), ids=str)
def test_cat_and_stack(dtype):
    parts = [numbers(2, n, 5).to(dtype) for n in (3, 1, 0, 8)]
    for have, want in (
        (torch.cat(moved(tuple(parts)), 1), torch.cat(parts, 1)),
        (torch.cat([p.cuda()[:, :, 1:3] for p in parts], 1), torch.cat([p[:, :, 1:3] for p in parts], 1)),
        (torch.stack([parts[0].cuda()] * 150, -1), torch.stack([parts[0]] * 150, -1)),
        (
            torch.cat([parts[0].cuda(), parts[3].cuda().float()], 1),
            torch.cat([parts[0], parts[3].float()], 1),
        ),
    ):
        same(have, want)


def test_rearrangements():
    x = torch.randn(4, 6)
    d = x.cuda()
    for f in (
        lambda t: t.flip(0, 1),
        lambda t: t.roll(2, 1),
        lambda t: t.rot90(),
        lambda t: t.tril(),
        lambda t: t.triu(1),
        lambda t: t.diag(),
        lambda t: t.diff(),
        lambda t: torch.combinations(t[0]),
        lambda t: t.take(torch.tensor([3, -1], device=t.device)),
        lambda t: t.put(torch.tensor([3, -1], device=t.device), torch.tensor([1.0, 2.0], device=t.device)),
        lambda t: t.unfold(1, 3, 2),
        lambda t: torch.take_along_dim(t, t.argsort(1), 1),
        lambda t: torch.block_diag(t, t),
        lambda t: torch.trapezoid(t),
        lambda t: t.index_reduce(0, torch.tensor([0, 2], device=t.device), t[:2], "amax"),
        lambda t: torch.cross(t[:, :3], t[:, 3:], dim=1),
    ):
        same(f(d), f(x), 1e-6)
    same(torch.tril_indices(3, 4, device="cuda"), torch.tril_indices(3, 4))


def test_bad_indices_are_raised_when_the_device_is_waited_for():
    x = torch.randn(5, 4, device="cuda")
    bad = torch.tensor([0, 5], device="cuda")
    from pynn.nn.functional import embedding

    for op, f in (
        ("index", lambda: x[bad]),
        ("index", lambda: x[:, bad]),
        ("index_put_", lambda: x.index_put_((bad,), x[:2])),
        ("index_put_", lambda: x.index_put_((bad,), x[:2], accumulate=True)),
        ("index_select", lambda: x.index_select(0, bad)),
        ("embedding", lambda: embedding(bad, x)),
        ("gather", lambda: x.gather(0, bad[None])),
        ("scatter", lambda: x.scatter(0, bad[None], 1.0)),
    ):
        with pytest.raises(IndexError, match=rf"{op}.* 5 "):
            f()
            torch.cuda.synchronize()
        torch.cuda.synchronize()  # once only


def test_mixed_devices():
    x, at = torch.randn(5), torch.tensor([1, 2])
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
        x[at.cuda()]
    with pytest.raises(RuntimeError, match="same device"):
        x.cuda()[at] = torch.randn(2)
    with pytest.raises(RuntimeError, match="same device"):
        x.cuda().index_select(0, at)


def test_linear_algebra_runs_on_the_host():
    a = torch.randn(2, 4, 4)
    a = a @ a.mT + torch.eye(4)
    b = torch.randn(2, 4, 3)
    for f in (
        torch.linalg.inv,
        torch.linalg.det,
        torch.linalg.cholesky,
        lambda t: torch.linalg.solve(t, b.to(t.device)),
        lambda t: torch.linalg.eigh(t)[0],
        lambda t: torch.linalg.svdvals(t),
        lambda t: torch.linalg.lu(t)[2],
        lambda t: torch.linalg.inv_ex(t)[1],
        torch.linalg.pinv,
        torch.linalg.matrix_rank,
        lambda t: torch.linalg.lstsq(t, b.to(t.device))[0],
        torch.linalg.matrix_exp,
        lambda t: torch.linalg.matrix_power(t, 3),
        lambda t: torch.linalg.vander(t[0, 0]),
    ):
        same(f(a.cuda()), f(a), 1e-4)
    x = a.cuda().requires_grad_()
    torch.linalg.inv(x).sum().backward()
    assert x.grad.is_cuda
    with pytest.raises(RuntimeError, match="same device"):
        torch.linalg.solve(a.cuda(), b)
