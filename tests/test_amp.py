"""autocast and GradScaler."""

import threading
import warnings

import pytest

import pynn
from pynn import nn
from pynn.amp import GradScaler, autocast, custom_bwd, custom_fwd

X = pynn.rand(4, 4)


def test_ops_choose_their_dtype_and_gradients_stay_float32():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    with autocast("cpu"):
        y = net(X)
        assert y.dtype == pynn.bfloat16 and (X @ X).dtype == pynn.bfloat16 and (X + X).dtype == pynn.float32
        loss = nn.functional.mse_loss(y, pynn.zeros(4, 2))
        assert loss.dtype == pynn.float32
        assert (X.double() @ X.double()).dtype == pynn.float64
        assert pynn.mm(X.long(), X.long()).dtype == pynn.int64
    loss.backward()
    assert all(p.grad.dtype == pynn.float32 and p.grad.abs().sum() > 0 for p in net.parameters())
    exact = net(X)
    assert exact.dtype == pynn.float32
    pynn.testing.assert_close(y.float(), exact, rtol=0.03, atol=0.03)


def test_nesting_threads_and_errors():
    seen = []
    with autocast("cpu"):
        with autocast("cpu", enabled=False):
            assert (X @ X).dtype == pynn.float32
        assert (X @ X).dtype == pynn.bfloat16
        with autocast("cpu", dtype=pynn.float16):
            assert pynn.get_autocast_dtype("cpu") == pynn.float16 and (X @ X).dtype == pynn.float16
        thread = threading.Thread(target=lambda: seen.append((X @ X).dtype))
        thread.start()
        thread.join()
        assert pynn.is_autocast_enabled("cpu") and not pynn.is_autocast_enabled("cuda")
    assert seen == [pynn.float32] and not pynn.is_autocast_enabled("cpu")
    with pytest.raises(ZeroDivisionError):
        with autocast("cpu"):
            1 / 0
    assert (X @ X).dtype == pynn.float32 and not pynn.is_autocast_cpu_enabled()
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'nonsense'"):
        autocast("nonsense")


def test_as_a_decorator_and_in_lists():
    @autocast("cpu")
    def f(a):
        """doc"""
        return pynn.einsum("ij,jk->ik", a, a)

    assert f(X).dtype == pynn.bfloat16 and f.__doc__ == "doc" and f(X).dtype == pynn.bfloat16


def test_in_place_ops_keep_their_dtype():
    with autocast("cpu"):
        y = pynn.zeros(4, 4)
        y += X
        y.add_(X)
        assert y.dtype == pynn.float32
        pynn.addmm(X, X, X, out=(z := pynn.empty(4, 4)))
        assert z.dtype == pynn.float32


def test_other_devices_are_disabled_with_a_warning(monkeypatch):
    monkeypatch.setattr(pynn.cuda, "is_available", lambda: False)
    with pytest.warns(UserWarning, match="CUDA is not available"):
        with autocast("cuda"):
            assert (X @ X).dtype == pynn.float32
    with pytest.warns(UserWarning, match="not supported"):
        with autocast("cpu", dtype=pynn.float64):
            assert (X @ X).dtype == pynn.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pynn.cuda.amp.autocast(enabled=False), pynn.cpu.amp.autocast():
            assert (X @ X).dtype == pynn.bfloat16


def test_custom_functions():
    seen = []

    class Square(pynn.autograd.Function):
        @staticmethod
        @custom_fwd(device_type="cpu", cast_inputs=pynn.float32)
        def forward(ctx, x):
            ctx.save_for_backward(x)
            seen.append((x.dtype, pynn.is_autocast_enabled("cpu")))
            return x * x

        @staticmethod
        @custom_bwd(device_type="cpu")
        def backward(ctx, g):
            seen.append(pynn.is_autocast_enabled("cpu"))
            return 2 * ctx.saved_tensors[0] * g

    x = pynn.ones(2, dtype=pynn.bfloat16, requires_grad=True)
    with autocast("cpu"):
        y = Square.apply(x)
    y.sum().backward()
    assert seen == [(pynn.float32, False), False] and x.grad.tolist() == [2, 2]


def test_grad_scaler_steps(monkeypatch):
    monkeypatch.setattr(pynn.cuda, "is_available", lambda: False)
    weight = nn.Parameter(pynn.ones(2))
    optimizer = pynn.optim.SGD([weight], lr=0.5)
    with pytest.warns(UserWarning, match="CUDA is not available"):
        pynn.cuda.amp.GradScaler()
    scaler = GradScaler("cpu")
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_([weight], 10.0)
    scaler.step(optimizer)
    scaler.update()
    assert weight.tolist() == [0.5, 0.5] and scaler.get_scale() == 2.0**16 and scaler.is_enabled()
    scaler.load_state_dict(scaler.state_dict())


def test_grad_scaler_leaves_out_steps_with_infinite_gradients():
    weight = nn.Parameter(pynn.ones(2))
    optimizer = pynn.optim.SGD([weight], lr=0.5)
    scaler = GradScaler("cpu", init_scale=4.0, growth_interval=2)
    for factor, scale in ((float("inf"), 2.0), (1.0, 2.0), (1.0, 4.0)):
        optimizer.zero_grad()
        scaler.scale((weight * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == scale
    assert weight.tolist() == [0.0, 0.0]
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    off = GradScaler("cpu", enabled=False)
    assert off.scale(weight) is weight and off.get_scale() == 1.0 and off.state_dict() == {}
