"""What every step reads of its Python state: parameters, gradients and entries may change between any two steps."""

import numpy as np
import pytest

import pynn
from pynn import optim

ALL = [
    ("SGD", {"momentum": 0.9}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("RMSprop", {}),
    ("Adagrad", {}),
]
ids = [f"{name}-{'-'.join(options) or 'defaults'}" for name, options in ALL]


def make(name, options, n=3):
    params = [pynn.full((2, 3), i + 1.0).requires_grad_() for i in range(n)]
    return params, getattr(optim, name)(params, lr=0.1, **options)


def give_grads(params):
    for p in params:
        p.grad = pynn.ones_like(p)


@pytest.mark.parametrize("name, options", ALL, ids=ids)
def test_only_parameters_with_gradients(name, options):
    params, opt = make(name, options)
    give_grads(params[1:2])
    opt.step()
    assert [bool((p == i + 1).all()) for i, p in enumerate(params)] == [True, False, True]
    give_grads(params)
    opt.step()
    steps = [opt.state[p]["step"].item() for p in params if "step" in opt.state[p]]
    assert steps in ([], [1, 2, 1])


@pytest.mark.parametrize("name, options", ALL, ids=ids)
def test_replaced_parameters_gradients_and_state(name, options):
    params, opt = make(name, options)
    give_grads(params)
    opt.step()
    fresh = pynn.full((2, 3), 9.0).requires_grad_()
    opt.param_groups[0]["params"][0] = fresh
    opt.state[params[1]] = {k: v.clone() for k, v in opt.state[params[1]].items()}
    give_grads([fresh, *params[1:]])
    before = params[0].detach().clone()
    opt.step()
    assert (params[0] == before).all() and not (fresh == 9.0).any()
    np.testing.assert_allclose((params[1] + 1).detach().numpy(), params[2].detach().numpy(), rtol=1e-3)
    opt.state.clear()
    opt.step()  # begins anew
    assert len(opt.state) == 3


@pytest.mark.parametrize("name, options", ALL, ids=ids)
def test_a_failing_step_changes_nothing(name, options):
    params, opt = make(name, options)
    give_grads(params)
    if name == "Adagrad":
        opt.state.clear()
    last = opt.state[params[2]]
    opt.step()
    key = next(k for k in opt.state[params[2]] if k != "step")
    good = dict(opt.state[params[2]])
    opt.state.clear()
    opt.state[params[2]] = {**good, key: pynn.zeros(5)}
    before = [p.detach().clone() for p in params]
    with pytest.raises(RuntimeError, match="state must match its parameter"):
        opt.step()
    assert list(opt.state) == [params[2]] and last is not good
    for p, b in zip(params, before, strict=True):
        assert (p == b).all()
    opt.state[params[2]][key] = "no tensor"
    with pytest.raises(TypeError, match="must be a Tensor, got str"):
        opt.step()
    if name != "SGD":
        del opt.state[params[2]][key]
        with pytest.raises(KeyError, match=f"lacks {key}"):
            opt.step()


@pytest.mark.parametrize("name, options", ALL, ids=ids)
def test_many_small_and_large_parameters(name, options):
    """Threads share the elements of all parameters together; where they cut makes no difference."""
    sizes = [1, 7, 64, 5, 100_003, 3, 1, 1, 40_000, 2]
    results = []
    for threads in (1, 4):
        pynn.set_num_threads(threads)
        pynn.manual_seed(0)
        params = [pynn.randn(n).requires_grad_() for n in sizes]
        opt = getattr(optim, name)(params, lr=0.1, **options)
        for _ in range(3):
            for p in params:
                p.grad = pynn.randn(p.shape)
            opt.step()
        results.append([p.detach().numpy() for p in params])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameters_in_other_layouts_and_dtypes():
    for dtype in (pynn.float64, pynn.float32, pynn.float16, pynn.bfloat16):
        for name, options in ALL:
            base = pynn.arange(12.0).reshape(3, 4).to(dtype)
            plain, turned = base.clone().requires_grad_(), base.t().contiguous().t().requires_grad_()
            for p in (plain, turned):
                opt = getattr(optim, name)([p], lr=0.1, **options)
                for _ in range(2):
                    p.grad = (base * 0.5).to(dtype)
                    opt.step()
            assert turned.stride() == (1, 3) and (plain == turned).all(), (name, dtype)


def test_zero_grad():
    params, opt = make("SGD", {})
    give_grads(params)
    kept = params[0].grad
    opt.zero_grad(set_to_none=False)
    assert params[0].grad is kept and (kept == 0).all()
    opt.zero_grad()
    assert all(p.grad is None for p in params)


@pytest.mark.parametrize("name, options", ALL, ids=ids)
def test_steps_leak_nothing(name, options):
    params, opt = make(name, options)
    give_grads(params)
    opt.step()
    before = pynn.memory_allocated()
    for _ in range(20):
        opt.zero_grad()
        give_grads(params)
        opt.step()
    assert pynn.memory_allocated() == before
