"""Recurrent nets on a CUDA device, beside the CPU's results."""

import pytest

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


def test_gradient_of_some_steps():
    """The gradients of steps that nothing came from are zeros on the device."""
    net = nn.GRU(3, 4).cuda()
    x = torch.randn(4, 2, 3).cuda().requires_grad_()
    net(x)[0][1].sum().backward()
    assert x.grad[2:].abs().sum().item() == 0
