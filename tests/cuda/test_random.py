"""Random numbers on a CUDA device: distributions, and that a seed and a state fix them."""

import math

import pytest

import pynn as torch

pytestmark = pytest.mark.cuda

N = 40000


def draws():
    x = torch.empty(1001, device="cuda")
    return {
        "rand": lambda: torch.rand(1001, device="cuda"),
        "randn": lambda: torch.randn(1001, device="cuda", dtype=torch.float64),
        "half": lambda: torch.rand(1001, device="cuda", dtype=torch.float16),
        "randint": lambda: torch.randint(-5, 99, (1001,), device="cuda"),
        "large": lambda: torch.randint(-(2**60), 2**62, (1001,), device="cuda"),
        "randperm": lambda: torch.randperm(1001, device="cuda"),
        "uniform_": lambda: x.clone().uniform_(-1, 3),
        "normal_": lambda: x.clone().normal_(2, 3),
        "bernoulli_": lambda: x.clone().bernoulli_(0.3),
        "bernoulli": lambda: torch.bernoulli(torch.full((1001,), 0.3, device="cuda")),
        "exponential_": lambda: x.clone().exponential_(2),
        "cauchy_": lambda: x.clone().cauchy_(),
        "log_normal_": lambda: x.clone().log_normal_(),
        "geometric_": lambda: x.clone().geometric_(0.2),
        "dropout": lambda: torch.nn.functional.dropout(torch.ones(1001, device="cuda"), 0.4),
        "poisson": lambda: torch.poisson(torch.full((1001,), 20.0, device="cuda")),
        "binomial": lambda: torch.binomial(
            torch.full((1001,), 50.0, device="cuda"), torch.tensor(0.3).cuda()
        ),
        "multinomial": lambda: torch.multinomial(torch.ones(50, device="cuda"), 20),
        "replaced": lambda: torch.multinomial(torch.ones(50, device="cuda"), 200, replacement=True),
        "random_": lambda: torch.empty(1001, dtype=torch.int32, device="cuda").random_(),
        "strided": lambda: torch.empty(40, 30, device="cuda").t().normal_(),
    }


@pytest.mark.parametrize("name", list(draws()) if torch.cuda.is_available() else ["none"])
def test_a_seed_fixes_the_numbers(name):
    f = draws()[name]
    torch.manual_seed(7)
    first, second = f(), f()
    assert not torch.equal(first, second)
    torch.cuda.manual_seed(7)
    assert torch.equal(f(), first)
    state = torch.cuda.get_rng_state()
    assert torch.equal(f(), second)
    torch.cuda.set_rng_state(state)
    assert torch.equal(f(), second)
    assert first.device.type == "cuda"


def test_generators():
    g, h = torch.Generator(device="cuda"), torch.Generator("cuda")
    assert g.device.type == "cuda"
    g.manual_seed(3)
    h.manual_seed(3)
    assert torch.equal(torch.rand(9, device="cuda", generator=g), torch.rand(9, device="cuda", generator=h))
    assert torch.equal(torch.randn(9, device="cuda", generator=g), torch.randn(9, device="cuda", generator=h))
    assert g.initial_seed() == 3
    assert g.get_state().numel() == 16
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
        torch.rand(3, generator=g)
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
        torch.rand(3, generator=torch.Generator(), device="cuda")
    with pytest.raises(RuntimeError, match="16 bytes"):
        g.set_state(torch.Generator().get_state())
    before = torch.cuda.get_rng_state()
    with torch.random.fork_rng():
        torch.rand(5, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), before)


def moments(x, mean, deviation, tolerance=5):
    x = x.double().cpu()
    assert abs(x.mean().item() - mean) < tolerance * deviation / math.sqrt(x.numel())
    assert abs(x.std().item() - deviation) < 10 * deviation / math.sqrt(x.numel())


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.float16, torch.bfloat16), ids=str)
def test_distributions(dtype):
    torch.manual_seed(1)
    x = torch.empty(N, dtype=dtype, device="cuda")
    u = x.uniform_(-1, 3).clone()
    assert u.min().item() >= -1
    assert u.max().item() < 3
    moments(u, 1, 4 / math.sqrt(12))
    moments(x.normal_(2, 3), 2, 3)
    e = x.exponential_(2)
    assert e.min().item() > 0 or dtype is torch.float16
    moments(e, 0.5, 0.5)
    moments(x.bernoulli_(0.3), 0.3, math.sqrt(0.21))
    moments(x.log_normal_(0, 0.5).log(), 0, 0.5)
    assert abs(x.cauchy_(1, 2).double().cpu().median().item() - 1) < 0.1
    y = torch.nn.functional.dropout(torch.ones(N, dtype=dtype, device="cuda"), 0.25)
    moments((y != 0), 0.75, math.sqrt(0.1875))
    assert y.max().item() == pytest.approx(4 / 3, rel=1e-2)


def test_integers_and_counts():
    torch.manual_seed(2)
    moments(torch.randint(0, 10, (N,), device="cuda"), 4.5, math.sqrt(99 / 12))
    wide = torch.randint(0, 10**15, (N,), device="cuda").double() / 1e15
    moments(wide, 0.5, math.sqrt(1 / 12))
    x = torch.empty(N, device="cuda")
    moments(x.geometric_(0.25), 4, math.sqrt(0.75) / 0.25)
    moments(torch.poisson(x.fill_(3)), 3, math.sqrt(3))
    moments(torch.poisson(x.fill_(40)), 40, math.sqrt(40))
    n = torch.full((N,), 60.0, device="cuda")
    moments(torch.binomial(n, torch.tensor(0.05).cuda()), 3, math.sqrt(3 * 0.95))
    moments(torch.binomial(n, torch.tensor(0.4).cuda()), 24, math.sqrt(24 * 0.6))
    p = torch.tensor([0.0, 1.0, 3.0, 0.0]).cuda()
    drawn = torch.multinomial(p, N, replacement=True)
    assert set(drawn.tolist()) == {1, 2}
    moments(drawn == 2, 0.75, math.sqrt(0.1875))
    assert set(torch.multinomial(p, 2).tolist()) == {1, 2}
    for n in (0, 1, 2, 5, 1000, 4097):
        order = torch.randperm(n, device="cuda")
        assert sorted(order.tolist()) == list(range(n))
    firsts = torch.stack([torch.randperm(3, device="cuda") for _ in range(600)]).cpu()
    for i in range(3):
        assert 140 < (firsts[:, 0] == i).sum().item() < 260


def test_dropout_and_its_gradient_share_the_mask():
    for shape in ((64, 33), (7,)):
        x = torch.randn(*shape, device="cuda", requires_grad=True)
        y = torch.nn.functional.dropout(x, 0.5)
        y.backward(torch.ones_like(y))
        assert torch.equal((x.grad != 0).cpu(), (y.detach() != 0).cpu())
        assert torch.allclose(y.detach(), x.detach() * x.grad)
    z = torch.randn(9, 5, device="cuda").t()
    w = torch.nn.functional.dropout(z, 0.5)
    kept = w != 0
    assert torch.allclose(w, torch.where(kept, z * 2, 0))


def test_graphs_draw_anew():
    x = torch.zeros(1000, device="cuda")
    g = torch.cuda.CUDAGraph()
    torch.manual_seed(5)
    with torch.cuda.graph(g):
        x.normal_()
    g.replay()
    first = x.clone()
    g.replay()
    assert not torch.equal(first, x)
    torch.manual_seed(5)
    g.replay()
    assert torch.equal(first, x)
    torch.manual_seed(5)
    assert torch.equal(torch.empty_like(x).normal_(), first)
