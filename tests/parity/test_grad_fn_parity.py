"""What grad_fn prints beside torch, ops that are made of others included."""

import warnings

import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

CASES = """
m.mv(u)
u.dot(u)
t.vdot(u, u)
m @ u
u @ m
u @ u
x @ m
x @ u
x @ x.mT
t.addmv(u, m, u)
t.addr(m, u, u)
t.addbmm(m[:3, :3], x, x.mT)
t.kron(m, m)
t.stack([m, m])
m.split(2)[0]
m.split([1, 3])[1]
t.chunk(m, 2)[1]
m.unbind()[0]
m.repeat(2, 2)
m.tile(2)
m.roll(1)
m.roll((1, 2), (0, 1))
m.square()
m.clamp_min(0)
m.clamp_max(0)
m.clamp(0, 1)
m.t().reshape(16)
m.reshape(16)
t.lerp(m, m, m)
t.lerp(m, m, 0.5)
m.median(0)[0]
m.kthvalue(1)[0]
m.msort()
t.var_mean(m)[0]
t.var_mean(m)[1]
t.std_mean(m)[0]
m.prod()
m.prod(0)
m.nansum()
m.log1p()
m.fmod(m)
m.fmod(2)
m.remainder(m)
m.remainder(2)
t.rsub(m, m)
t.rsub(m, 2)
t.div(m, m, rounding_mode="floor")
t.div(m, m, rounding_mode="trunc")
m.masked_select(m > 0)
m.masked_fill(m > 0, 1.0)
m.masked_fill(m > 0, u[0])
m.scatter(0, t.tensor([[0]]), 1.0)
m.clone().scatter_(0, t.tensor([[0]]), 1.0)
t.take(m, t.tensor([0]))
F.linear(m, m)
F.linear(m, m, u)
F.linear(x, m)
F.linear(x, m, u)
F.linear(u, m, u)
F.layer_norm(m, (4,), u, u)
F.mse_loss(m, m + 1)
F.mse_loss(m, m + 1, reduction="none")
F.smooth_l1_loss(m, m + 1)
F.huber_loss(m, m + 1)
F.binary_cross_entropy(m.sigmoid(), m.sigmoid())
F.binary_cross_entropy_with_logits(m, m)
F.cross_entropy(m, i)
F.cross_entropy(m, i, reduction="none")
F.cross_entropy(m, i, label_smoothing=0.1)
F.nll_loss(m, i)
F.nll_loss(m, i, reduction="sum")
"""


def name(t, code):
    nn = __import__(f"{t.__name__}.nn.functional", fromlist=["x"])
    names = {
        "t": t,
        "F": nn,
        "m": (t.arange(16.0).reshape(4, 4) / 10 + 0.01).requires_grad_(),
        "u": (t.arange(4.0) + 1).requires_grad_(),
        "x": t.arange(24.0).reshape(2, 3, 4).requires_grad_(),
        "i": t.tensor([0, 1, 2, 3]),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = eval(code, names)
        y.sum().backward()  # a name of its own changes nothing else
    return type(y.grad_fn).__name__


@pytest.mark.parametrize("code", [line for line in CASES.splitlines() if line])
def test_name(code):
    assert name(pynn, code) == name(torch, code)


def test_inputs_keep_their_names():
    x = pynn.ones(3, requires_grad=True)
    y = x.exp()
    with pynn.no_grad():
        y.msort(), y.clamp_min(0), y.repeat(2), pynn.stack([y])
    pynn.stack([y]), y.split(1), y.mv if y.dim() == 2 else None
    assert type(y.grad_fn).__name__ == "ExpBackward0"
