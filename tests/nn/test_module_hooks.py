"""Hooks around a module's call: their order, what they may change, how they are copied and removed."""

import copy
import pickle

import pytest

import pynn
from pynn import nn


class Affine(nn.Module):
    def forward(self, x, scale=1.0, shift=0.0):
        if isinstance(x, str):
            raise ValueError("no number")
        return x * scale + shift


def log_to(log, name):
    return lambda *args: log.append(name)


def test_hooks_run_in_order_and_can_be_removed():
    module, log = Affine(), []
    handles = [
        module.register_forward_hook(log_to(log, "after")),
        module.register_forward_pre_hook(log_to(log, "before")),
        module.register_forward_hook(log_to(log, "first after"), prepend=True),
        module.register_forward_pre_hook(log_to(log, "first before"), prepend=True),
    ]
    module(2.0)
    assert log == ["first before", "before", "first after", "after"]
    handles[0].remove()
    handles[0].remove()
    with handles[1]:
        pass
    log.clear()
    module(2.0)
    assert log == ["first before", "first after"]
    for handle in handles:
        handle.remove()
    log.clear()
    assert module(2.0) == 2
    assert log == []
    assert module._hooks is None


def test_hooks_may_replace_arguments_and_output():
    module = Affine()
    module.register_forward_pre_hook(lambda m, args: (args[0] + 1, *args[1:]))
    module.register_forward_pre_hook(lambda m, args: args[0] * 10 if len(args) == 1 else None)
    module.register_forward_hook(lambda m, args, out: (args, out))
    assert module(1.0) == ((20.0,), 20.0)
    assert module(1.0, 3.0) == ((2.0, 3.0), 6.0)


def test_hooks_with_kwargs():
    module, seen = Affine(), []

    def before(m, args, kwargs):
        return args, {**kwargs, "shift": 1.0}

    module.register_forward_pre_hook(before, with_kwargs=True)
    module.register_forward_hook(
        lambda m, args, kwargs, out: seen.append((args, kwargs, out)), with_kwargs=True
    )
    assert module(2.0, scale=3.0) == 7
    assert seen == [((2.0,), {"scale": 3.0, "shift": 1.0}, 7.0)]
    module.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        module(2.0)


def test_always_called_hooks_see_errors():
    module, log = Affine(), []
    module.register_forward_hook(lambda m, args, out: log.append(("always", out)), always_call=True)
    module.register_forward_hook(log_to(log, "not on errors"))
    with pytest.raises(ValueError, match="no number"):
        module("text")
    assert log == [("always", None)]

    def broken(m, args, out):
        raise RuntimeError("hook")

    module.register_forward_hook(broken, always_call=True)
    with pytest.warns(UserWarning, match="silenced"), pytest.raises(ValueError, match="no number"):
        module("text")
    with pytest.raises(RuntimeError, match="hook"):
        module(1.0)


def test_the_hook_dicts_may_be_used_directly():
    module, log = Affine(), []
    assert len(module._forward_hooks) == 0
    module._forward_hooks[0] = log_to(log, "put there")
    module(1.0)
    module._forward_hooks.clear()
    module(1.0)
    other = Affine()
    module.register_forward_hook(log_to(log, "shared"))
    other._forward_hooks = module._forward_hooks
    other(1.0)
    assert log == ["put there", "shared"]


seen_by_copies = []


def remember(module, args, out):
    seen_by_copies.append(out)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_hooks_are_copied_with_the_module(duplicate):
    module = Affine()
    handle = module.register_forward_hook(remember)
    again = duplicate(module)
    handle.remove()
    seen_by_copies.clear()
    module(1.0)
    again(2.0)
    assert seen_by_copies == [2.0]


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(pynn.tensor([2.0, 3.0]))

    def forward(self, x, y, name="n"):
        return x * y * self.weight, y + x


def test_backward_hooks_see_and_change_gradients():
    module, seen = Product(), []
    module.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((grad_in, grad_out)))
    module.register_full_backward_hook(lambda m, grad_in, grad_out: (grad_in[0] * 10, *grad_in[1:]))
    module.register_full_backward_pre_hook(lambda m, grad_out: tuple(g * 2 for g in grad_out))
    x = pynn.tensor([1.0, 1.0], requires_grad=True)
    y = pynn.tensor([5.0, 7.0], requires_grad=True)
    a, b = module(x, y, "text")
    (a.sum() + b.sum()).backward()
    ((grad_in, grad_out),) = seen
    assert [g.tolist() for g in grad_out] == [[2, 2], [2, 2]]
    # d/dx: 2 (y w + 1), d/dy: 2 (x w + 1)
    assert [g if g is None else g.tolist() for g in grad_in] == [[22, 44], [6, 8], None]
    assert x.grad.tolist() == [220, 440]
    assert y.grad.tolist() == [6, 8]
    assert module.weight.grad.tolist() == [10, 14]


def test_backward_hooks_without_a_gradient_for_the_inputs():
    module, seen = nn.Linear(2, 1), []
    module.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((grad_in, grad_out)))
    out = module(pynn.ones(3, 2))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        out.sum().backward()
    ((grad_in, grad_out),) = seen
    assert grad_in == (None,)
    assert grad_out[0].tolist() == [[1], [1], [1]]
    module.register_full_backward_hook(lambda m, grad_in, grad_out: (pynn.ones(3, 2),))
    with pytest.raises(RuntimeError, match="should always return None"), pytest.warns(UserWarning):
        module(pynn.ones(3, 2)).sum().backward()


def test_backward_hooks_check_the_number_of_gradients():
    x = pynn.ones(2, requires_grad=True)
    for register in ("register_full_backward_hook", "register_full_backward_pre_hook"):
        module = nn.ReLU()
        getattr(module, register)(lambda m, *grads: (None, None))
        with pytest.raises(RuntimeError, match="invalid number of"):
            module(x).sum().backward()


def test_backward_hooks_are_quiet_without_grad():
    module, seen = nn.ReLU(), []
    module.register_full_backward_hook(log_to(seen, "called"))
    with pynn.no_grad():
        assert not module(pynn.ones(2, requires_grad=True)).requires_grad
    assert seen == []


def test_backward_hooks_allow_double_backward():
    module, seen = nn.Tanh(), []
    module.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append(grad_in[0]))
    x = pynn.tensor([0.5], dtype=pynn.float64, requires_grad=True)
    (first,) = pynn.autograd.grad(module(x), x, create_graph=True)
    (second,) = pynn.autograd.grad(first, x)
    t = pynn.tanh(x.detach())
    assert abs(first.item() - (1 - t * t).item()) < 1e-12
    assert abs(second.item() - (-2 * t * (1 - t * t)).item()) < 1e-12
    assert seen[0].requires_grad


def test_old_and_full_backward_hooks_do_not_mix():
    module, seen = nn.ReLU(), []
    module.register_backward_hook(lambda m, grad_in, grad_out: seen.append(grad_out[0].tolist()))
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full backward hooks"):
        module.register_full_backward_hook(lambda *_: None)
    x = pynn.ones(2, requires_grad=True)
    (module(x) * 3).sum().backward()
    assert seen == [[3, 3]]
    module = nn.ReLU()
    module.register_full_backward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full backward hooks"):
        module.register_backward_hook(lambda *_: None)


def test_an_output_that_is_no_tensor_warns():
    class Dict(nn.Module):
        def forward(self, x):
            return {"x": x}

    module = Dict()
    module.register_full_backward_hook(lambda *_: None)
    with pytest.warns(UserWarning, match="should be a Tensor or a tuple of Tensors"):
        module(pynn.ones(1, requires_grad=True))
