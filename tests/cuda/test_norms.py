"""Softmax, norms and losses on a CUDA device, beside the CPU's results."""

import math

import pytest

import pynn as torch
import pynn.nn.functional as F

pytestmark = pytest.mark.cuda

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def close(result, expected, factor=1.0):
    assert result.device.type == "cuda" and result.dtype == expected.dtype and result.shape == expected.shape
    tol = factor * TOLERANCE[expected.dtype]
    torch.testing.assert_close(result.cpu(), expected, rtol=tol, atol=tol, equal_nan=True)


def floats(*shape, dtype=torch.float32, seed=1):
    torch.manual_seed(seed)
    return torch.randn(shape).to(dtype)


def both(f, *inputs, factor=1.0):
    """Results and gradients of f on both devices; None and integers are passed on."""

    def run(device):
        args = [t.detach().to(device) if isinstance(t, torch.Tensor) else t for t in inputs]
        leaves = [t.requires_grad_() for t in args if isinstance(t, torch.Tensor) and t.is_floating_point()]
        y = f(*args)
        y.backward(floats(*y.shape, dtype=y.dtype, seed=2).to(device))
        return y.detach(), [t.grad for t in leaves]

    y, grads = run("cuda")
    expected, expected_grads = run("cpu")
    close(y, expected, factor)
    for g, e in zip(grads, expected_grads):
        if e is not None:
            close(g, e, 4 * factor)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    ("shape", "dim"),
    [((5, 7), 1), ((40, 3), 1), ((3, 64), 1), ((70, 33), 1), ((2, 1000), 1), ((2, 4099), 1), ((3, 20000), 1)]
    + [((7, 5), 0), ((300, 3), 0), ((4, 21, 50), 1), ((2, 600, 8), 1), ((9000, 2), 0)],
)
def test_softmax(shape, dim, dtype):
    x = floats(*shape, dtype=dtype)
    both(lambda t: F.softmax(t, dim), x)
    both(lambda t: F.log_softmax(t, dim), x, factor=max(1.0, shape[dim] ** 0.5 / 4))


def test_softmax_of_special_values():
    inf, nan = math.inf, math.nan
    x = torch.tensor([[inf, 1.0, 2.0], [-inf, -inf, -inf], [nan, 1, 2], [-inf, 1, 2], [1e4, -1e4, 0]])
    for y, dim in ((x, 1), (x.T.contiguous(), 0), (x.repeat(1, 5000), 1)):
        for f in (torch.softmax, torch.log_softmax):
            close(f(y.cuda(), dim), f(y, dim))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    "shape", [(5, 7), (300, 64), (33, 768), (2, 1001), (1, 8), (3, 9000), (2, 20001), (2, 3, 40)]
)
def test_layer_norm(shape, dtype):
    x, n = floats(*shape, dtype=dtype), shape[-1]
    w, b = floats(n, dtype=dtype, seed=3), floats(n, dtype=dtype, seed=4)
    rows = x.numel() / n
    both(lambda x, w, b: F.layer_norm(x, (n,), w, b), x, w, b, factor=max(1.0, rows**0.5))
    both(lambda x: F.layer_norm(x + 10, (n,)), x, factor=8)
    both(lambda x, w: F.rms_norm(x, (n,), w), x, w, factor=max(1.0, rows**0.5))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "shape", [(6, 5), (64, 33), (500, 8), (2, 3, 40), (4, 5, 6, 7), (2, 2, 130, 130), (40, 3, 4)]
)
def test_batch_norm(shape, dtype, training):
    x, c = floats(*shape, dtype=dtype) + 2, shape[1]
    w, b = floats(c, dtype=dtype, seed=3), floats(c, dtype=dtype, seed=4)
    mean, var = floats(c, seed=5).to(dtype), floats(c, seed=6).abs().to(dtype) + 0.5
    moved = {d: (mean.to(d, copy=True), var.to(d, copy=True)) for d in ("cpu", "cuda")}

    def f(x, w, b):
        return F.batch_norm(x, *moved[x.device.type], w, b, training, 0.3)

    both(f, x, w, b, factor=(x.numel() / c) ** 0.5)
    for d, h in zip(moved["cuda"], moved["cpu"]):
        close(d, h)
    assert moved["cuda"][0]._version == moved["cpu"][0]._version


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(3, 6, 5), (2, 8, 4, 4), (2, 4, 90, 90), (5, 6), (40, 6, 7)])
def test_group_and_instance_norm(shape, dtype):
    x, c = floats(*shape, dtype=dtype), shape[1]
    w, b = floats(c, dtype=dtype, seed=3), floats(c, dtype=dtype, seed=4)
    factor = (x.numel() / c) ** 0.5
    both(lambda x, w, b: F.group_norm(x, 2, w, b), x, w, b, factor=factor)
    if len(shape) > 2:
        both(lambda x, w, b: F.instance_norm(x, weight=w, bias=b), x, w, b, factor=factor)
    both(lambda x, w: F.rms_norm(x, shape[-1:], w), x, floats(shape[-1], dtype=dtype, seed=3), factor=4)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(9, 10), (5, 64), (3, 5001), (4, 7, 6), (40000, 2)])
def test_cross_entropy(shape, reduction, dtype):
    if shape[0] > 10000 and dtype is not torch.float32:
        return
    x = floats(*shape, dtype=dtype)
    target = torch.randint(0, shape[1], shape[:1] + shape[2:])
    target[1] = -100
    weight = floats(shape[1], dtype=dtype, seed=3).abs() + 0.1
    for w, smoothing in ((None, 0.0), (weight, 0.0), (weight, 0.2), (None, 0.2)):

        def f(x, w=w, smoothing=smoothing):
            w = None if w is None else w.to(x.device)
            return F.cross_entropy(x, target.to(x.device), w, reduction=reduction, label_smoothing=smoothing)

        both(f, x, factor=shape[0] ** 0.5 if reduction == "sum" else 1)
    both(lambda x: F.nll_loss(F.log_softmax(x, 1), target.to(x.device), reduction=reduction), x, factor=8)


def test_cross_entropy_where_nothing_counts():
    x = floats(3, 4).cuda().requires_grad_()
    loss = F.cross_entropy(x, torch.full((3,), -100).cuda())
    loss.backward()
    assert math.isnan(loss.item()) and not x.grad.any().item()


def test_cross_entropy_twice():
    x = floats(5, 4, dtype=torch.float64)
    target = torch.tensor([0, 3, -100, 2, 1])

    def second(x, target):
        (g,) = torch.autograd.grad(F.cross_entropy(x, target, label_smoothing=0.1), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), x)[0]

    close(second(x.cuda().requires_grad_(), target.cuda()), second(x.requires_grad_(), target))


@pytest.mark.parametrize("bad", [4, -1])
def test_a_target_out_of_range_is_told_at_the_next_synchronisation(bad):
    x, target = floats(3, 4).cuda(), torch.tensor([0, bad, 1]).cuda()
    with pytest.raises(IndexError, match="cross_entropy"):
        F.cross_entropy(x, target)
        torch.cuda.synchronize()
    assert F.cross_entropy(x, target * 0).item() > 0


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(reduction):
    x, y = floats(6, 5), floats(6, 5, seed=3)
    p, q = torch.sigmoid(x), torch.sigmoid(y)
    for f in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        both(lambda x, y, f=f: f(x, y, reduction=reduction), x, y)
    both(lambda x, y: F.binary_cross_entropy_with_logits(x, y.detach(), reduction=reduction), x, q)
    both(lambda x, y: F.binary_cross_entropy(x, y.detach(), reduction=reduction), p, q)
    both(lambda x, y: F.kl_div(x.log(), y, reduction="sum" if reduction == "mean" else reduction), p, q)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("n", [1, 7, 4096, 70000])
def test_losses_of_pairs(n, reduction, dtype):
    x, y = floats(n, dtype=dtype), floats(n, dtype=dtype, seed=3)
    for f in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        both(lambda x, y, f=f: f(x, y, reduction=reduction), x, y)

    def logistic(x):
        return F.binary_cross_entropy_with_logits(x, (x.detach() > 0.3).to(x.dtype), reduction=reduction)

    both(logistic, x)


def test_slopes_of_losses_where_the_difference_is_not_a_number():
    x = torch.tensor([math.nan, math.inf, 0.0, 2.0] * 3)
    y = torch.tensor([0.0, math.inf, -math.inf, 2.0] * 3)
    for f in (F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        both(lambda x, y, f=f: f(x, y, reduction="sum"), x, y)


def test_losses_of_pairs_twice_and_broadcast():
    x, y = floats(4, 3), floats(4, 3, seed=3)
    for f in (F.mse_loss, F.l1_loss, lambda x, y: F.huber_loss(x, y, delta=0.4), F.smooth_l1_loss):

        def second(x, y, f=f):
            (g,) = torch.autograd.grad(f(x, y), x, create_graph=True)
            return (g * torch.arange(3.0, device=x.device)).sum() + g.square().sum()

        both(second, x, y)
    with pytest.warns(UserWarning):
        both(F.mse_loss, x, floats(3))
    assert F.mse_loss(x.cuda(), y.cuda().requires_grad_()).grad_fn.name() == "MseLossBackward0"
    assert math.isnan(F.mse_loss(x[:0].cuda(), y[:0].cuda()).item())


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("joined", [False, True])
def test_ctc(joined, zero_infinity):
    time, batch, classes = 12, 4, 6
    log_probs = floats(time, batch, classes)
    lengths, times = torch.tensor([3, 1, 0, 8]), torch.tensor([12, 5, 7, 8])
    targets = torch.tensor([[1, 1, 2, 0, 0, 0, 0, 0], [3] * 8, [1] * 8, [1, 1, 2, 2, 3, 3, 4, 5]])
    if joined:
        targets = torch.cat([t[:n] for t, n in zip(targets, lengths.tolist())])

    def f(x):
        x = F.log_softmax(x, 2)
        moved = [t.to(x.device) for t in (targets, times, lengths)]
        loss = F.ctc_loss(x, *moved, reduction="none", zero_infinity=zero_infinity)
        return loss if zero_infinity else loss[:3]

    both(f, log_probs)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(
    "shape", [(2, 3, 5, 7, 8), (1, 2, 64, 64, 32), (2, 1, 33, 70, 64), (1, 1, 4, 3000, 8)]
)
def test_attention(shape, dtype):
    b, h, rows, columns, d = shape
    q, k, v = (floats(b, h, n, d, dtype=dtype, seed=i) for i, n in enumerate((rows, columns, columns)))
    seen = floats(rows, columns, seed=7) > -0.5
    seen[1] = False
    bias = floats(b, 1, rows, columns, seed=8).to(dtype)
    both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), q, k, v)
    both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=seen.to(q.device)), q, k, v)
    both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.device)), q, k, v)
    both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3), q, k, v)
