"""A device as a with block, by which new tensors are made on it."""

import pytest

import pynn

MADE = [
    lambda: pynn.zeros(2),
    lambda: pynn.ones((2, 3)),
    lambda: pynn.empty(2),
    lambda: pynn.full((2,), 1.0),
    lambda: pynn.rand(2),
    lambda: pynn.randn(2),
    lambda: pynn.randint(0, 3, (2,)),
    lambda: pynn.arange(3),
    lambda: pynn.linspace(0, 1, 3),
    lambda: pynn.eye(2),
    lambda: pynn.tensor([1.0, 2.0]),
    lambda: pynn.as_tensor([1, 2]),
    lambda: pynn.hann_window(4),
    lambda: pynn.bartlett_window(4),
    lambda: pynn.kaiser_window(4),
    lambda: pynn.zeros_like(pynn.ones(2)),
    lambda: pynn.nn.Linear(2, 3).weight,
    lambda: pynn.nn.BatchNorm2d(2).running_mean,
    lambda: pynn.nn.LSTM(2, 3).weight_hh_l0,
    lambda: pynn.fft.fftfreq(4),
]


@pytest.mark.parametrize("make", MADE)
def test_tensors_are_made_on_it(make):
    with pynn.device("meta"):
        assert make().device.type == "meta"
        with pynn.device("cpu"):
            assert make().device.type == "cpu"
        assert make().device.type == "meta"
    assert make().device.type == "cpu"


def test_what_the_call_says_comes_first():
    x = pynn.ones(2)
    with pynn.device("meta"):
        assert pynn.zeros(2, device="cpu").device.type == "cpu"
        assert (x + 1).device.type == "cpu" and pynn.zeros_like(x).device.type == "cpu"
        assert x.new_zeros(2).device.type == "cpu" and pynn.hann_window(4, device="cpu").tolist()[0] == 0


def test_errors_leave_it():
    with pytest.raises(ZeroDivisionError), pynn.device("meta"):
        1 / 0
    assert pynn.ones(1).device.type == "cpu"


def test_a_model_made_without_memory_is_filled_from_a_file(tmp_path):
    net = pynn.nn.Sequential(pynn.nn.Linear(3, 4), pynn.nn.BatchNorm1d(4))
    pynn.save(net.state_dict(), tmp_path / "x.pt")
    with pynn.device("meta"):
        empty = pynn.nn.Sequential(pynn.nn.Linear(3, 4), pynn.nn.BatchNorm1d(4))
    assert {p.device.type for p in empty.parameters()} == {"meta"}
    empty.load_state_dict(pynn.load(tmp_path / "x.pt"), assign=True)
    x = pynn.randn(5, 3)
    assert pynn.equal(empty.eval()(x), net.eval()(x))
