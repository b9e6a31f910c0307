"""Optimisers on a CUDA device, beside the CPU's steps."""

import pytest

import pynn as torch

pytestmark = pytest.mark.cuda

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.4, 0.9), "weight_decay": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.5, "centered": True, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.1, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.01}),
    ("Adadelta", {"lr": 1.0}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.01}),
    ("NAdam", {"lr": 0.1, "decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1}),
    ("Rprop", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 2}),
]
SIZES = ((3,), (65, 70), (0,), (7, 4))


def trained(name, options, device, dtype, steps=7, sizes=SIZES):
    torch.manual_seed(0)
    start = [torch.randn(*s, dtype=torch.float64).to(dtype) for s in sizes]
    parameters = [torch.nn.Parameter(p.to(device)) for p in start]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    for _ in range(steps):
        for p in parameters:
            p.grad = torch.randn(*p.shape, dtype=torch.float64).to(dtype).to(device)
        optimizer.step()
    return [p.detach().cpu() for p in parameters], optimizer


@pytest.mark.parametrize(
    "dtype, tol", [(torch.float64, 1e-12), (torch.float32, 2e-5), (torch.bfloat16, 3e-2)]
)
@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_steps(name, options, dtype, tol):
    expected, _ = trained(name, options, "cpu", dtype)
    got, optimizer = trained(name, options, "cuda", dtype)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=tol, atol=tol)
    for state in optimizer.state.values():
        assert "step" not in state or state["step"].device.type == "cpu"


def test_many_tensors():
    """More than one launch's table holds."""
    sizes = [(1 + i % 3,) for i in range(450)]
    for name in ("Adam", "SGD", "Adagrad"):
        expected, _ = trained(name, {"lr": 0.1}, "cpu", torch.float32, steps=2, sizes=sizes)
        got, _ = trained(name, {"lr": 0.1}, "cuda", torch.float32, steps=2, sizes=sizes)
        for g, e in zip(got, expected, strict=True):
            torch.testing.assert_close(g, e, rtol=1e-5, atol=1e-5)


def test_parameters_that_are_not_contiguous_or_aligned():
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        base = torch.randn(40).to(device)
        parameters = [
            base[1:20].detach().requires_grad_(),
            base[20:].view(4, 5).t().detach().requires_grad_(),
        ]
        optimizer = torch.optim.Adam(parameters, lr=0.1)
        for p in parameters:
            p.grad = torch.randn(*p.shape).to(device)
        optimizer.step()
        results.append(base.cpu())
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


def test_mixed_devices_and_types():
    there = torch.nn.Parameter(torch.ones(3).cuda())
    here = torch.nn.Parameter(torch.ones(3))
    wide = torch.nn.Parameter(torch.ones(3, dtype=torch.float64).cuda())
    optimizer = torch.optim.SGD([there, here, wide], lr=0.5)
    for p in (there, here, wide):
        p.grad = torch.ones_like(p)
    optimizer.step()
    for p in (there, here, wide):
        assert p.detach().cpu().tolist() == [0.5] * 3


def test_capturable():
    """The device counts, and comes to what the host comes to."""
    options = {"lr": 0.1, "amsgrad": True}
    expected, _ = trained("Adam", options, "cpu", torch.float32)
    got, optimizer = trained("Adam", {**options, "capturable": True}, "cuda", torch.float32)
    for g, e in zip(got, expected, strict=True):
        torch.testing.assert_close(g, e, rtol=2e-5, atol=2e-5)
    for state in optimizer.state.values():
        assert state["step"].device.type == "cuda" and state["step"].item() == 7


def test_checkpoints():
    """A count that was loaded on another device goes where it is counted."""
    _, optimizer = trained("Adam", {"lr": 0.1, "capturable": True}, "cuda", torch.float32, sizes=((3,),))
    p = torch.nn.Parameter(torch.ones(3).cuda())
    p.grad = torch.ones(3).cuda()
    plain = torch.optim.Adam([p], lr=0.1)
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["capturable"] = False
    plain.load_state_dict(state)
    plain.step()
    assert plain.state[p]["step"].device.type == "cpu" and plain.state[p]["step"].item() == 8


def test_errors():
    p = torch.nn.Parameter(torch.ones(3).cuda())
    optimizer = torch.optim.Adagrad([p], lr=0.1)
    p.grad = torch.ones(3).cuda()
    optimizer.step()
    optimizer.state[p]["step"] = optimizer.state[p]["step"].cuda()
    with pytest.raises(RuntimeError, match="'step' must be on the CPU"):
        optimizer.step()
    optimizer.state[p]["step"] = torch.tensor(1.0)
    optimizer.state[p]["sum"] = torch.ones(3)
    with pytest.raises(RuntimeError, match="state must be on its parameter's device"):
        optimizer.step()
