"""Recurrent nets on a CUDA device, beside the CPU's results."""

import pytest
from helpers import EXACT_MEMORY

import pynn as torch

pytestmark = pytest.mark.cuda

nn = torch.nn
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 1e-1}


def run(net, x, device, dtype):
    net = net.to(device).to(dtype)
    for p in net.parameters():
        p.grad = None
    x = x.clone().to(device).to(dtype).requires_grad_()
    out, state = net(x)
    out.float().sum().backward()
    states = state if isinstance(state, tuple) else (state,)
    return [out, *states, x.grad, *(p.grad for p in net.parameters())]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_nets(kind, dtype):
    net = getattr(nn, kind)(5, 7, num_layers=2, bidirectional=True)
    x = torch.randn(4, 3, 5).to(dtype)
    expected = [t.detach().double() for t in run(net.to(dtype), x, "cpu", torch.float64)]
    got = run(net, x, "cuda", dtype)
    for g, e in zip(got, expected, strict=True):
        assert g.device.type == "cuda" and g.dtype == dtype
        torch.testing.assert_close(
            g.detach().cpu().double(), e, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 4
        )


def test_packed():
    lengths = torch.tensor([5, 3, 2])
    x = torch.randn(5, 3, 4)
    net = nn.LSTM(4, 6)
    results = []
    for device in ("cpu", "cuda"):
        packed = nn.utils.rnn.pack_padded_sequence(x.to(device), lengths)
        out, _ = net.to(device)(packed)
        results.append(nn.utils.rnn.pad_packed_sequence(out)[0].detach().cpu())
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


# ---- by cuDNN (the emulator has a stand-in for it)

cudnn = torch.backends.cudnn
needs_cudnn = pytest.mark.skipif(not cudnn.is_available(), reason="no cuDNN here")


def by_cudnn(y):
    """Whether cuDNN computed it, as its graph tells."""
    todo, seen = [y.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        if "CudnnRnn" in node.name():
            return True
        seen.add(node)
        todo += [f for f, _ in node.next_functions]
    return False


def both(net, x, hx=None, **flags):
    """Outputs and gradients with cuDNN and without."""
    results = []
    for on in (True, False):
        with cudnn.flags(enabled=on, **flags):
            leaves = [t.detach().clone().requires_grad_() for t in (x, *(hx or ()))]
            state = tuple(leaves[1:]) if len(leaves) > 2 else leaves[1] if hx else None
            out, last = net(leaves[0], state)
            last = last if isinstance(last, tuple) else (last,)
            assert by_cudnn(out) == on
            total = sum((t * torch.linspace(-1, 2, t.numel()).to(t).view_as(t)).sum() for t in (out, *last))
            grads = torch.autograd.grad(total, leaves + list(net.parameters()))
            results.append([out, *last, *grads])
    return results


OPTIONS = {
    "plain": {},
    "deep": {"num_layers": 3},
    "both ways": {"num_layers": 2, "bidirectional": True},
    "no bias": {"bias": False, "bidirectional": True},
    "batch first": {"batch_first": True},
}


@needs_cudnn
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", ["tanh", "relu", "LSTM", "GRU", "projected"])
def test_cudnn_equals_steps(kind, options):
    options = dict(OPTIONS[options])
    if kind == "projected":
        net = nn.LSTM(5, 7, proj_size=3, **options)
    elif kind in ("LSTM", "GRU"):
        net = getattr(nn, kind)(5, 7, **options)
    else:
        net = nn.RNN(5, 7, nonlinearity=kind, **options)
    net = net.double().cuda()
    x = torch.randn(4, 3, 5).double().cuda()
    batch = x.size(0 if net.batch_first else 1)
    cells = net.num_layers * (1 + net.bidirectional)
    hx = [torch.randn(cells, batch, net.proj_size or 7).double().cuda()]
    if "LSTM" in type(net).__name__:
        hx.append(torch.randn(cells, batch, 7).double().cuda())
    for states in (None, hx):
        for a, b in zip(*both(net, x, states), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@needs_cudnn
@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 5], [5]])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_cudnn_packed(kind, lengths):
    net = getattr(nn, kind)(4, 6, num_layers=2, bidirectional=True).double().cuda()
    x = torch.randn(5, len(lengths), 4).double().cuda()
    results = []
    for on in (True, False):
        with cudnn.flags(enabled=on):
            leaf = x.clone().requires_grad_()
            packed = nn.utils.rnn.pack_padded_sequence(leaf, torch.tensor(lengths), enforce_sorted=False)
            out, last = net(packed)
            last = last if isinstance(last, tuple) else (last,)
            assert by_cudnn(out.data) == on
            y = nn.utils.rnn.pad_packed_sequence(out)[0]
            total = sum((t * torch.linspace(-1, 2, t.numel()).to(t).view_as(t)).sum() for t in (y, *last))
            results.append([y, *last, *torch.autograd.grad(total, [leaf, *net.parameters()])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@needs_cudnn
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cudnn_twice(kind):
    """A kept graph gives the same gradients again; the gradient of gradients is that of the steps."""
    net = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True).double().cuda()
    x = torch.randn(4, 2, 3).double().cuda().requires_grad_()
    h = torch.randn(4, 2, 4).double().cuda().requires_grad_()
    leaves = [x, h, *net.parameters()]
    found = []
    for on in (True, False):
        with cudnn.flags(enabled=on):
            out, _ = net(x, (h, h) if kind == "LSTM" else h)  # one tensor as both states
        assert by_cudnn(out) == on
        loss = out.square().sum()
        first = torch.autograd.grad(loss, leaves, retain_graph=True)
        again = torch.autograd.grad(loss, leaves, retain_graph=True)
        recorded = torch.autograd.grad(loss, leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.sin().sum() for g in recorded), leaves)
        for a, b, c in zip(first, again, recorded, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(a, c.detach(), rtol=1e-9, atol=1e-9)
        found.append(first + second)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@needs_cudnn
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_cudnn_algorithms_for_small_states(kind, dtype):
    """Those of sequences of one length; where cuDNN refuses them, as the stand-in does for the GRU, the standard one."""
    tolerance = 5e-3 if dtype == torch.float32 else 3e-2  # TF32
    for size, batch in ((8, 3), (64, 2), (192, 1)):
        net = getattr(nn, kind)(8, size).cuda().to(dtype)
        x = torch.randn(2, batch, 8).cuda().to(dtype)
        for a, b in zip(*both(net, x), strict=True):
            top = b.float().abs().max().item()
            torch.testing.assert_close(a.float(), b.float(), rtol=tolerance, atol=tolerance * max(top, 1.0))


@needs_cudnn
def test_cudnn_wanted_gradients():
    """Only what is asked for: input, state or weights alone; gradients from the last state alone."""
    net = nn.LSTM(3, 4, num_layers=2).double().cuda()
    x = torch.randn(4, 2, 3).double().cuda()
    h, c = (torch.randn(2, 2, 4).double().cuda() for _ in range(2))
    for wanted in range(4):
        found = []
        for on in (True, False):
            with cudnn.flags(enabled=on):
                ins = [t.clone().requires_grad_(wanted == k) for k, t in enumerate((x, h, c))]
                for p in net.parameters():
                    p.requires_grad_(wanted == 3)
                out, (hn, cn) = net(ins[0], (ins[1], ins[2]))
                assert by_cudnn(out) == on
                leaves = list(net.parameters()) if wanted == 3 else [ins[wanted]]
                grads = [
                    torch.autograd.grad(t.square().sum(), leaves, retain_graph=True) for t in (hn, cn, out)
                ]
                found.append([g for gs in grads for g in gs])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@needs_cudnn
def test_cudnn_dropout():
    """The masks are those of the composed net: a seed gives the same, a training and an evaluation differ."""
    net = nn.GRU(3, 4, num_layers=3, dropout=0.5, bidirectional=True).double().cuda()
    x = torch.randn(4, 2, 3).double().cuda()
    found = []
    for on in (True, False, True):
        with cudnn.flags(enabled=on):
            torch.manual_seed(5)
            out, h = net(x)
            assert by_cudnn(out) == on
            found.append([out, h, *torch.autograd.grad(out.square().sum(), list(net.parameters()))])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert not torch.equal(net.eval()(x)[0], found[0][0])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_autocast(kind):
    """Nets and cells compute in the lower precision, their gradients are those of the weights' dtype."""
    net, cell = getattr(nn, kind)(4, 8).cuda(), getattr(nn, kind + "Cell")(4, 8).cuda()
    x = torch.randn(3, 2, 4).cuda()
    expected = net(x)[0].detach()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        for given in (x, x.bfloat16()):
            out, _ = net(given)
            h = cell(given[0])
            assert out.dtype == torch.bfloat16
            assert (h[0] if kind == "LSTM" else h).dtype == torch.bfloat16
    torch.testing.assert_close(out.detach().float(), expected, rtol=5e-2, atol=5e-2)
    out.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())
    with pytest.raises(ValueError, match="dtype"):
        net(x.bfloat16())


@needs_cudnn
@pytest.mark.skipif(EXACT_MEMORY, reason="of the caching allocator")
def test_cudnn_trains_in_a_captured_graph():
    net = nn.LSTM(3, 4, num_layers=2).cuda()
    x = torch.randn(4, 2, 3).cuda()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = net(x)[0].square().sum()
        loss.backward()
        optimizer.step()
        return loss

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    start = {k: v.clone() for k, v in net.state_dict().items()}
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()
    for _ in range(3):
        graph.replay()
    got = [loss.item(), *(v.clone() for v in net.state_dict().values())]
    net.load_state_dict(start)
    for _ in range(3):
        loss = step()
    torch.testing.assert_close(got[0], loss.item(), rtol=1e-3, atol=1e-4)
    for a, b in zip(got[1:], net.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


@needs_cudnn
@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3)])
def test_cudnn_leaves_out_what_is_empty(shape):
    """Errors and empty results are those of the steps."""
    net = nn.LSTM(3, 4).cuda()
    x = torch.zeros(shape).cuda()
    if shape[0] == 0:
        with pytest.raises(RuntimeError, match="larger than 0"):
            net(x)
    else:
        assert net(x)[0].shape == (4, 0, 4)


def test_gradient_of_some_steps():
    """The gradients of steps that nothing came from are zeros on the device."""
    net = nn.GRU(3, 4).cuda()
    x = torch.randn(4, 2, 3).cuda().requires_grad_()
    net(x)[0][1].sum().backward()
    assert x.grad[2:].abs().sum().item() == 0
