"""Inputs shared out to devices and results put together, on one device; and the optimiser of one process."""

from collections import namedtuple

import pytest

import pynn
from pynn.distributed.optim import ZeroRedundancyOptimizer
from pynn.nn.parallel.scatter_gather import gather, scatter, scatter_kwargs

Pair = namedtuple("Pair", "x y")
TWO = ["cpu", "cpu"]


def test_scatter():
    x = pynn.arange(6.0).reshape(3, 2)
    assert [t.tolist() for t in scatter(x, TWO)] == [[[0, 1], [2, 3]], [[4, 5]]]
    assert [t.shape for t in scatter(x, TWO, dim=1)] == [(3, 1), (3, 1)]
    first, second = scatter({"a": x, "b": [x, 3]}, TWO)
    assert first["a"].shape == (2, 2) and second["b"][0].shape == (1, 2) and second["b"][1] == 3
    pairs = scatter(Pair(x, "s"), TWO)
    assert type(pairs[0]) is Pair and pairs[1].y == "s" and scatter("text", TWO) == ["text", "text"]
    args, kwargs = scatter_kwargs((x,), {"k": x}, TWO)
    assert len(args) == len(kwargs) == 2 and kwargs[1]["k"].tolist() == [[4, 5]]
    assert scatter_kwargs((), None, TWO) == ((), ())


def test_gather_is_the_way_back():
    x = pynn.randn(4, 3)
    assert pynn.equal(gather(scatter(x, TWO), "cpu"), x)
    got = gather(scatter({"a": x, "p": Pair(x, x)}, TWO), "cpu")
    assert pynn.equal(got["a"], x) and type(got["p"]) is Pair and pynn.equal(got["p"].y, x)
    assert (
        gather([pynn.tensor(1.0), pynn.tensor(2.0)], "cpu").tolist() == [1, 2]
        and gather([None, None], "cpu") is None
    )
    with pytest.raises(ValueError, match="same number of keys"):
        gather([{"a": x}, {}], "cpu")


def test_zero_redundancy_optimizer():
    def trained(make):
        pynn.manual_seed(0)
        net = pynn.nn.Linear(3, 2)
        optimizer = make(net.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            net(pynn.ones(1, 3)).square().sum().backward()
            optimizer.step()
        return net, optimizer

    ours, optimizer = trained(lambda p: ZeroRedundancyOptimizer(p, pynn.optim.Adam, lr=0.1))
    plain, other = trained(lambda p: pynn.optim.Adam(p, lr=0.1))
    assert pynn.equal(ours.weight, plain.weight) and optimizer.param_groups[0]["lr"] == 0.1
    optimizer.consolidate_state_dict()
    state = optimizer.state_dict()
    assert pynn.equal(state["state"][0]["exp_avg"], other.state_dict()["state"][0]["exp_avg"])
    again = ZeroRedundancyOptimizer(pynn.nn.Linear(3, 2).parameters(), pynn.optim.Adam, lr=0.5)
    again.load_state_dict(state)
    assert again.param_groups[0]["lr"] == again.optim.param_groups[0]["lr"] == 0.1
    scheduler = pynn.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.optim.param_groups[0]["lr"] == 0.05
