"""Tensors of more than 2^31 elements: no size, offset or position on any path is an int of 32 bits.

A test makes such tensors (of small types, or expanded from few elements) and checks what is near the start, near
2^31 and near the end; element i of the usual one is i % 127. At most 10 GiB are taken at a time. They take minutes, so
they run when PYNN_HUGE_TESTS=1 asks for them.
"""

import os

import pytest

import pynn

F = pynn.nn.functional
R, C = 65537, 32771  # both prime; R * C = 2^31 + 229,379
N = R * C
PERIOD = 127
TOP = 2**31
WINDOWS = [(0, 140), (TOP - 70, TOP + 70), (N - 140, N)]
GIB = 1 << 30
NEEDED = 10 * GIB


def _available():
    try:
        with open("/proc/meminfo") as file:
            return 1024 * next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except OSError:
        return 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("PYNN_HUGE_TESTS"), reason="takes minutes: set PYNN_HUGE_TESTS=1"),
    pytest.mark.skipif(_available() < NEEDED + 4 * GIB, reason="needs 14 GiB of free memory, on Linux"),
]


@pytest.fixture(autouse=True)
def limit():
    pynn.empty_cache()
    pynn.set_memory_limit(NEEDED)
    yield
    pynn.set_memory_limit(None)
    pynn.empty_cache()


def pattern(dtype=pynn.int8, shape=(N,)):
    return pynn.arange(PERIOD).to(dtype).repeat(N // PERIOD + 1)[:N].view(*shape)


def matrix(dtype=pynn.int8):
    return pattern(dtype, (R, C))


def row(dtype=pynn.float32, rows=R, size=C):
    """A matrix that is one row."""
    return (pynn.arange(size) % PERIOD).to(dtype).expand(rows, size)


def windows(t):
    t = t.reshape(-1) if t.is_contiguous() else t
    assert t.shape == (N,)
    return [v for begin, end in WINDOWS for v in t[begin:end].tolist()]


def each(t, want):
    """Element i of the N elements of `t` is want(i % PERIOD, i)."""
    assert windows(t) == [want(i % PERIOD, i) for begin, end in WINDOWS for i in range(begin, end)]


def near(got, want, tolerance=1e-2):
    got, want = pynn.as_tensor(got).double(), pynn.as_tensor(want).double()
    assert got.shape == want.shape and (got - want).abs().max() <= tolerance * want.abs().max()


def total(n):
    """The sum of the first n elements."""
    whole, rest = divmod(n, PERIOD)
    return whole * (PERIOD * (PERIOD - 1) // 2) + rest * (rest - 1) // 2


def marked(value=1, dtype=pynn.int8, at=N - 3):
    """Zeros, but for one element."""
    t = pynn.zeros(N, dtype=dtype)
    t[at] = value
    return t


def column_sums():
    """What the matrix sums to along dim 0, for the first and the last columns."""
    return [sum((r * C + c) % PERIOD for r in range(R)) for c in (0, 1, C - 1)]


# --- Elements ---------------------------------------------------------------------------------------------------------


def test_add_scalar():
    each(pattern() + 1, lambda v, i: v + 1)


def test_add_tensors():
    x = pattern()
    each(x.sub_(60) + x, lambda v, i: (2 * (v - 60) + 128) % 256 - 128)


def test_bfloat16_maps():
    x = pattern(pynn.bfloat16)
    each(x.mul_(2).add_(1).relu_(), lambda v, i: float(pynn.tensor(2.0 * v, dtype=pynn.bfloat16) + 1))
    assert windows(x.fill_(0).exp_()) == [1.0] * 420


def test_unary_math():
    each(pattern(pynn.bfloat16).cos_().abs_().ceil_(), lambda v, i: 1.0)


def test_float_maps_of_one_element():
    assert pynn.tensor([2.0]).expand(N).to(pynn.float16).sqrt_()[-3:].tolist() == [1.4140625] * 3


def test_broadcast_row_and_column():
    x, r, c = matrix(), pynn.arange(C, dtype=pynn.int8), pynn.arange(R, dtype=pynn.int8)[:, None]
    each(x + r, lambda v, i: (v + i % C % 256 + 128) % 256 - 128)
    each(x.sub_(c), lambda v, i: (v - i // C % 256 + 128) % 256 - 128)


def test_broadcast_to_huge():
    y = pynn.arange(R, dtype=pynn.int8)[:, None] * pynn.arange(C, dtype=pynn.int8)
    each(y, lambda v, i: ((i // C) * (i % C) + 128) % 256 - 128)


def test_strided_operands():
    x = matrix().t()  # (C, R)
    y = x.bitwise_xor(x.contiguous())
    assert y.count_nonzero() == 0
    assert (x == pynn.zeros((), dtype=pynn.int8)).t()[R - 1, C - 3 :].tolist() == [
        i % PERIOD == 0 for i in range(N - 3, N)
    ]


def test_every_second():
    big = pynn.zeros(2 * N, dtype=pynn.int8)
    big[::2] = pattern()
    each(big[::2].neg(), lambda v, i: -v)
    assert big[1::2].sum() == 0 and big.sum() == total(N)


def test_comparisons_and_where():
    x = pattern()
    mask = x > 60
    each(mask, lambda v, i: v > 60)
    each(pynn.where(mask, x, 5), lambda v, i: v if v > 60 else 5)
    each(mask.logical_not_(), lambda v, i: v <= 60)
    each(x.masked_fill_(mask, -1), lambda v, i: v if v > 60 else -1)


def test_ternary():
    x = pattern()
    each(pynn.clamp(x, 3, 100), lambda v, i: min(max(v, 3), 100))
    each(pynn.addcmul(x, x, pynn.tensor(0, dtype=pynn.int8)), lambda v, i: v)


def test_equal_and_close():
    x, y = pattern(), pattern()
    assert pynn.equal(x, y)
    y[N - 2] += 1
    assert not pynn.equal(x, y)


# --- Copies -----------------------------------------------------------------------------------------------------------


def test_casts():
    x = pattern()
    for dtype in (pynn.int16, pynn.bfloat16, pynn.float16, pynn.bool, pynn.uint8):
        each(x.to(dtype), lambda v, i, dtype=dtype: bool(v) if dtype is pynn.bool else v)
    del x
    each(pattern(pynn.bfloat16).to(pynn.float16).to(pynn.int8), lambda v, i: v)


def test_copy_of_a_transpose():
    x = matrix().t().contiguous()
    for k in (0, 3, N // 2, TOP - 1, TOP, N - 1):
        assert x.view(-1)[k] == (k % R * C + k // R) % PERIOD


def test_copy_of_an_expanded():
    each(row(pynn.int8).clone(), lambda v, i: i % C % PERIOD)
    each(
        pynn.arange(R).to(pynn.int8)[:, None].expand(R, C).contiguous(),
        lambda v, i: (i // C + 128) % 256 - 128,
    )


def test_flip_roll_pad():
    x = pattern()
    each(x.flip(0), lambda v, i: (N - 1 - i) % PERIOD)
    each(x.roll(5), lambda v, i: (i - 5) % N % PERIOD)
    y = F.pad(x, (3, 2), value=7)
    assert y[-5:].tolist() == [(N - 3) % PERIOD, (N - 2) % PERIOD, (N - 1) % PERIOD, 7, 7]
    assert y[TOP + 3] == TOP % PERIOD


def test_triangles():
    x = pynn.ones(1, dtype=pynn.int8).expand(R, C)
    assert x.tril().sum() == C * (C + 1) // 2 + (R - C) * C
    assert x.triu()[C - 1 :].sum() == 1


def test_cat_and_stack():
    x = pattern()
    each(pynn.cat([x[: TOP + 5], x[TOP + 5 :]]), lambda v, i: v)
    y = pynn.stack([x, x])
    assert (
        y[1, TOP - 1 : TOP + 1].tolist() == [(TOP - 1) % PERIOD, TOP % PERIOD]
        and y[1, -1] == (N - 1) % PERIOD
    )
    half = x[: N // 2 + 1]
    y = pynn.stack([half, half], -1)
    assert y.view(-1)[TOP] == TOP // 2 % PERIOD and y.view(-1)[-1] == N // 2 % PERIOD


def test_repeat_interleave():
    x = pynn.arange(R).to(pynn.int8)
    each(x.repeat_interleave(C), lambda v, i: (i // C + 128) % 256 - 128)


def test_to_numpy_and_text():
    x = pattern()
    a = x.numpy()
    assert a.shape == (N,) and a[TOP] == TOP % PERIOD
    each(pynn.from_numpy(a), lambda v, i: v)
    assert str(x).endswith(
        f"{(N - 1) % PERIOD}], dtype=torch.int8)".replace("torch", "pynn")
    ) or "..." in str(x)


# --- Reductions -------------------------------------------------------------------------------------------------------


def test_sums():
    x = matrix()
    assert x.sum() == total(N) and x.count_nonzero() == N - (N + PERIOD - 1) // PERIOD
    got = x.sum(0)
    assert [got[0].item(), got[1].item(), got[-1].item()] == column_sums()
    got = x.sum(1)
    assert got[[0, R // 2, R - 1]].tolist() == [total((r + 1) * C) - total(r * C) for r in (0, R // 2, R - 1)]
    assert x.t().sum() == total(N)


def test_float_sums():
    x = pynn.ones(1).expand(N)
    near(x.sum().item(), N, 1e-6)
    near(x.mean().item(), 1, 1e-6)
    near(x.norm().item(), N**0.5, 1e-4)
    near(row().sum(0)[:5], R * pynn.arange(5.0), 1e-6)
    near(row().var(0)[-5:] + 1, pynn.ones(5), 1e-6)
    near(row().logsumexp(1)[-2:], row(rows=2).logsumexp(1), 1e-5)


def test_half_sums():
    x = matrix(pynn.bfloat16)
    near(x.mean().item(), 63, 1e-2)
    near(x.var(1)[-1].item(), row(rows=1).var().item(), 0.02)
    near(x.sum(0)[[0, 1, C - 1]], column_sums(), 1e-2)
    assert pynn.amax(x, 0)[-1] == 126 and x.amin(1)[-1] == 0


def test_extremes():
    x = marked()
    assert x.argmax() == N - 3 and x.max() == 1 and x.min() == 0 and x.any() and not x.all()
    assert x.neg_().argmin() == N - 3
    assert pynn.aminmax(x) == (pynn.tensor(-1, dtype=pynn.int8), pynn.tensor(0, dtype=pynn.int8))
    value, index = x.view(1, N).min(1)
    assert value.item() == -1 and index.item() == N - 3
    assert x.view(R, C).argmin(0)[C - 3] == R - 1 and x.view(R, C).argmin(1)[R - 1] == C - 3
    assert marked(dtype=pynn.bfloat16).argmax() == N - 3


def test_products_of_all():
    x = pynn.tensor([1.0]).expand(N)
    assert x.prod() == 1 and x.view(R, C).prod(0)[-1] == 1
    assert pattern().bool()[1:PERIOD].all() and not pattern().bool().all()


# --- Along a row ------------------------------------------------------------------------------------------------------


def test_running_sums():
    x = pattern()
    each(x.cumsum(0, dtype=pynn.int8), lambda v, i: (total(i + 1) + 128) % 256 - 128)
    x = x.view(R, C)
    got = x.cumsum(0, dtype=pynn.int8)[-1][[0, 1, C - 1]]
    assert got.tolist() == [(s + 128) % 256 - 128 for s in column_sums()]
    got = x.cumsum(1, dtype=pynn.int8)[R - 1, -1]
    assert got == (total(N) - total(N - C) + 128) % 256 - 128


def test_softmax_of_many_rows():
    x = row(pynn.bfloat16)
    for f in (lambda x: x.softmax(1), lambda x: x.log_softmax(1)):
        y, want = f(x), f(x[:1])[0]
        assert pynn.equal(y[R - 1], want) and pynn.equal(y[TOP // C], want)
        del y


def test_softmax_along_others():
    y = pynn.zeros(1, dtype=pynn.bfloat16).expand(R, C).softmax(0)
    near(y[R - 1, -3:], [1 / R] * 3)


def test_norms():
    x, w = row(pynn.bfloat16), pynn.ones(C, dtype=pynn.bfloat16)
    for f in (
        lambda x: F.layer_norm(x, (C,), w, w),
        lambda x: F.rms_norm(x, (C,), w),
        lambda x: F.normalize(x, dim=1),
    ):
        y = f(x)
        assert pynn.equal(y[R - 1], f(x[:1])[0]) and pynn.equal(y[TOP // C], y[0])
        del y


def test_softmax_losses():
    x = row(pynn.float32)
    target = pynn.zeros(R, dtype=pynn.int64)
    near(F.cross_entropy(x, target), F.cross_entropy(x[:1], target[:1]), 1e-4)


# --- Indices ----------------------------------------------------------------------------------------------------------


def test_selections():
    x, rows = matrix(), pynn.tensor([R - 1, 0, TOP // C])
    want = [[(r * C + c) % PERIOD for c in (0, C - 1)] for r in rows.tolist()]
    ends = pynn.tensor([0, C - 1])
    for got in (
        x.index_select(0, rows),
        x[rows],
        F.embedding(rows, x),
        x.gather(0, rows[:, None].expand(3, C)),
    ):
        assert got[:, ends].tolist() == want
    assert x.index_select(1, ends)[rows].tolist() == want and x[:, ends][rows].tolist() == want
    assert x.gather(1, ends.expand(R, 2))[rows].tolist() == want
    places = pynn.tensor([N - 1, 5, TOP, TOP - 1])
    for got in (x.take(places), x.view(-1)[places], x.view(-1).gather(0, places)):
        assert got.tolist() == [p % PERIOD for p in places.tolist()]


def test_writes_by_index():
    rows, places = pynn.tensor([R - 1, TOP // C, R - 1]), pynn.tensor([N - 1, TOP, 7])
    x = pynn.zeros(R, C, dtype=pynn.int8)
    x.index_add_(0, rows, pynn.ones(3, C, dtype=pynn.int8))
    assert x[[R - 1, TOP // C], -1].tolist() == [2, 1] and x.sum() == 3 * C
    x.index_fill_(0, rows, 0).view(-1)[places] = pynn.tensor([3, 4, 5], dtype=pynn.int8)
    x.view(-1).scatter_add_(0, places, pynn.ones(3, dtype=pynn.int8))
    assert x.view(-1)[places].tolist() == [4, 5, 6] and x.sum() == 15
    x.scatter_(1, pynn.full((R, 1), C - 1), pynn.ones(R, 1, dtype=pynn.int8))
    x.index_copy_(1, pynn.tensor([C - 2]), pynn.full((R, 1), 2, dtype=pynn.int8))
    x.put_(pynn.tensor([N - 3]), pynn.tensor([9], dtype=pynn.int8))
    assert x[R - 1, -3:].tolist() == [9, 2, 1]


def test_many_rows():
    weight, rows = pynn.arange(10).to(pynn.int8)[:, None].repeat(1, C), pynn.full((R,), 3)
    rows[R - 1] = 7
    for f in (lambda: F.embedding(rows, weight), lambda: weight.index_select(0, rows), lambda: weight[rows]):
        y = f()
        assert y.numel() == N and y[R - 1, -1] == 7 and y[TOP // C].sum() == 3 * C
        del y


def test_by_mask():
    x = pattern()
    x[N - 1] = x[TOP] = x[9] = -1
    mask = x < 0
    assert mask.nonzero().tolist() == [[9], [TOP], [N - 1]]
    assert x.masked_select(mask).tolist() == [-1, -1, -1] and x[mask].tolist() == [-1, -1, -1]
    x[mask] = pynn.tensor([1, 2, 3], dtype=pynn.int8)
    assert x[[9, TOP, N - 1]].tolist() == [1, 2, 3]
    x.masked_scatter_(mask, pynn.tensor([4, 5, 6], dtype=pynn.int8))
    assert x[[9, TOP, N - 1]].tolist() == [4, 5, 6]
    assert mask.view(R, C).nonzero()[-1].tolist() == [R - 1, C - 1]


def test_largest():
    x = marked(9)
    x[TOP] = 5
    values, indices = x.topk(2)
    assert values.tolist() == [9, 5] and indices.tolist() == [N - 3, TOP]
    values, indices = x.view(R, C).topk(1, dim=1)
    assert (values[R - 1].item(), indices[R - 1].item()) == (9, C - 3)
    values, indices = x.view(R, C).topk(1, dim=0)
    assert (values[0, C - 3].item(), indices[0, C - 3].item()) == (9, R - 1)


def test_searches():
    x = pynn.zeros(N, dtype=pynn.int8)
    x[TOP + 3 :] = 4
    assert pynn.searchsorted(x, pynn.tensor([1, 4, 5], dtype=pynn.int8)).tolist() == [TOP + 3, TOP + 3, N]
    assert pynn.unique_consecutive(x).tolist() == [0, 4]


# --- Products and windows ---------------------------------------------------------------------------------------------


def test_products_of_a_huge_operand():
    x, w = row(), pynn.ones(C, 5)
    want = x[0].sum().item()
    near((x @ w)[-2:], pynn.full((2, 5), want), 1e-5)
    near((w.t() @ x.t())[:, -2:], pynn.full((5, 2), want), 1e-5)
    near((x @ w[:, 0])[-2:], [want] * 2, 1e-5)
    near((x.t() @ pynn.ones(R, 5))[:4], R * pynn.arange(4.0)[:, None].expand(4, 5), 1e-5)
    near(F.linear(x, w.t(), pynn.ones(5))[-1], [want + 1] * 5, 1e-5)
    del x
    x = pynn.ones(N)
    near(pynn.dot(x, x), N, 1e-6)
    x = x[:: N // 2**29]  # sums that eight ones at a time would not change any more
    near(pynn.dot(x, x), len(x), 1e-6)


def test_products_of_huge_storage():
    x, w = matrix(pynn.float32), pynn.zeros(C, 3, dtype=pynn.float32)
    w[C - 1] = 1
    assert (x @ w)[[0, TOP // C, R - 1], 0].tolist() == [
        (r * C + C - 1) % PERIOD for r in (0, TOP // C, R - 1)
    ]
    v = pynn.zeros(R, dtype=pynn.float32)
    v[R - 1] = 1
    assert (v @ x)[[0, C - 1]].tolist() == [(N - C) % PERIOD, (N - 1) % PERIOD]
    assert (x.t() @ v[:, None])[-1].item() == (N - 1) % PERIOD


def test_products_of_huge_results():
    a, b = pynn.ones(R, 3, dtype=pynn.float32), pynn.ones(3, C, dtype=pynn.float32)
    a[R - 1] = 2
    y = a @ b
    assert y[R - 1, -2:].tolist() == [6, 6] and y[TOP // C, -2:].tolist() == [3, 3]
    del y
    y = pynn.outer(a[:, 0], b[0])
    assert y[R - 1, -1] == 2 and y[0, 0] == 1


def test_products_in_batches():
    x = row(rows=2**16 + 1, size=2**15).view(2**16 + 1, 2**7, 2**8)
    y = x @ pynn.ones(2**8, 2)
    near(y[-1], y[0], 1e-6)
    near(pynn.bmm(x, pynn.ones(1, 1, 1).expand(2**16 + 1, 2**8, 2))[-1], y[0], 1e-6)


def test_convolutions():
    x = row(rows=2**19, size=4100).view(2**19, 1, 4100)
    w = pynn.ones(2, 1, 100)
    y = F.conv1d(x, w, stride=1000)
    near(y[-1], F.conv1d(x[:1], w, stride=1000)[0], 1e-5)
    x = row(rows=2**18, size=2**13 + 128).view(2**18, 2, 32, 130)
    w = pynn.ones(3, 2, 5, 5)
    y = F.conv2d(x, w, stride=32)
    near(y[-1], F.conv2d(x[:1], w, stride=32)[0], 1e-5)


def test_pool_of_a_long_signal():
    x = pattern(pynn.float32, (1, 1, N))
    y, where = F.max_pool1d(x, 1000, return_indices=True)
    assert y[0, 0, -1] == 126
    last = where[0, 0, -1].item()
    assert last % PERIOD == 126 and 0 <= last - 1000 * (y.shape[2] - 1) < 1000


def test_pools_of_many_planes():
    x = row(rows=2**16 + 9, size=2**15).view(1, 2**16 + 9, 128, 256)
    for f in (
        lambda x: F.max_pool2d(x, 128),
        lambda x: F.avg_pool2d(x, 128),
        lambda x: F.adaptive_max_pool2d(x, 1),
    ):
        assert pynn.equal(f(x)[0, -1], f(x[:, :1])[0, 0])


# --- Random numbers and training --------------------------------------------------------------------------------------


def test_random_fills():
    for fill, low, high, mean in (
        (lambda: pynn.empty(N, dtype=pynn.bfloat16).bernoulli_(0.5), 0, 1, 0.5),
        (lambda: pynn.empty(N, dtype=pynn.bfloat16).uniform_(), 0, 1, 0.5),
        (lambda: pynn.empty(N, dtype=pynn.bfloat16).normal_(5), -5, 15, 5),
        (lambda: F.dropout(pynn.ones(1, dtype=pynn.bfloat16).expand(N)), 0, 2, 1),
    ):
        x = fill()
        for part in (x[:100000], x[TOP - 50000 : TOP + 50000], x[-100000:]):
            part = part.float()
            assert part.min() >= low and part.max() <= high and part.std() > 0
            assert abs(part.mean() - mean) < 0.02 * (high - low)
        assert not pynn.equal(x[:1000], x[TOP : TOP + 1000]) and not pynn.equal(x[:1000], x[-1000:])
        del x, part


def test_gradients():
    x = pynn.ones(1, dtype=pynn.bfloat16).expand(N).requires_grad_()
    (x * 2).sum().backward()
    assert windows(x.grad) == [2.0] * 420
    del x
    small = pynn.ones(C, requires_grad=True)
    small.expand(R, C).sum().backward()
    assert small.grad[-3:].tolist() == [R] * 3


def test_optimiser_step():
    p = pynn.nn.Parameter(pynn.ones(N, dtype=pynn.bfloat16))
    p.grad = pynn.ones(N, dtype=pynn.bfloat16)
    pynn.optim.SGD([p], lr=0.5).step()
    assert windows(p.detach()) == [0.5] * 420
