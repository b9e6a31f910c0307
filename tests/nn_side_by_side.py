"""For comparisons of pynn with PyTorch: run the same code with both, compare what comes out."""

import numpy as np
import torch

import pynn

LIBS = (pynn, torch)


def tensors(lib, arrays, grad=False, dtype=None):
    """Fresh tensors of the arrays; everything else passes through. grad: all of them, or how many."""
    out = []
    for i, a in enumerate(arrays):
        if isinstance(a, np.ndarray):
            t = lib.from_numpy(np.array(a))
            if dtype is not None and t.is_floating_point():
                t = t.to(getattr(lib, dtype))
            wanted = grad is True or (grad and i < grad)
            a = t.requires_grad_() if wanted and t.is_floating_point() else t
        out.append(a)
    return out


def outcome(fn, *args):
    """What fn gives, or its error as (class names that PyTorch's could be caught by, message)."""
    try:
        return fn(*args)
    except Exception as error:
        return error


def numbers(t):
    t = t.detach()
    t = t.double() if t.is_floating_point() else t
    return t.numpy() if isinstance(t, pynn.Tensor) else t.numpy(force=True)


def flat(value):
    """All tensors in nested tuples, lists and dicts, in order; None stays."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in flat(v)]
    return [value]


def assert_same(a, b, tol=1e-5, where=""):
    """Equal structure, dtypes, shapes; values to `tol`."""
    xs, ys = flat(a), flat(b)
    assert len(xs) == len(ys), f"{where}: {len(xs)} results, PyTorch gives {len(ys)}"
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if x is None and y is not None and not y.any():
            continue  # a gradient that is known to be zero
        if not isinstance(y, torch.Tensor):
            assert x == y or (x != x and y != y), f"{where}: result {i}: {x!r} and {y!r}"
            continue
        assert str(x.dtype).split(".")[1] == str(y.dtype).split(".")[1], f"{where}: result {i}: {x.dtype}"
        assert tuple(x.shape) == tuple(y.shape), f"{where}: result {i}: {x.shape} and {y.shape}"
        np.testing.assert_allclose(numbers(x), numbers(y), rtol=tol, atol=tol, err_msg=f"{where}: result {i}")


def compare(fn, *arrays, tol=1e-5, grad=True, gradgrad=False, dtype=None, seed=3, layout=None):
    """fn(lib, *tensors) with both: results, gradients of a weighted sum, and the gradients' gradients.

    An error must be of PyTorch's class in both, or in neither. Returns pynn's result.
    """
    found, errors = [], []
    for lib in LIBS:
        lib.manual_seed(seed)
        leaves = tensors(lib, arrays, grad, dtype)
        used = [layout(t) if layout and hasattr(t, "dim") else t for t in leaves]
        result = outcome(fn, lib, *used)
        if isinstance(result, Exception):
            errors.append(result)
            continue
        found.append([result, *(_gradients(lib, result, leaves, gradgrad) if grad else ())])
    if errors:
        assert len(errors) == 2, f"only one raises: {errors} after {found and found[0]}"
        ours, theirs = errors
        assert isinstance(ours, type(theirs)), f"{ours!r} where PyTorch raises {theirs!r}"
        return ours
    names = ("values", "gradients", "gradients of gradients")
    for name, a, b in zip(names, *found, strict=False):
        assert_same(a, b, tol, name)
    return found[0][0]


def _weights(lib, t):
    w = np.cos(np.arange(t.numel(), dtype=np.float64)).reshape(tuple(t.shape))
    return lib.from_numpy(np.asarray(w)).to(t.dtype)


def _gradients(lib, result, leaves, gradgrad):
    leaves = [t for t in leaves if getattr(t, "requires_grad", False)]
    outs = [t for t in flat(result) if hasattr(t, "grad_fn") and t.requires_grad]
    if not outs or not leaves:
        return
    total = sum((t * _weights(lib, t)).sum() for t in outs)
    grads = lib.autograd.grad(total, leaves, create_graph=gradgrad, allow_unused=True)
    yield list(grads)
    if gradgrad:
        again = [g for g in grads if g is not None and g.requires_grad]
        if again:
            total = sum((g * _weights(lib, g)).sum() for g in again)
            yield list(lib.autograd.grad(total, leaves, allow_unused=True))


def compare_module(make, *arrays, tol=1e-5, gradgrad=False, dtype=None, train=True, call=None, grad=True):
    """make(lib) -> module, called with the arrays (or by call(module, *tensors)).

    Compares printing, state dicts with their order, outputs, gradients of inputs and of parameters.
    """

    def run(lib, *args):
        m = made[lib]
        return call(m, *args) if call else m(*args)

    made = {}
    for lib in LIBS:
        lib.manual_seed(3)
        made[lib] = make(lib)
        if dtype is not None:
            made[lib].to(getattr(lib, dtype))
        made[lib].train(train)
    ours, theirs = made[pynn], made[torch]
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(dict(ours.state_dict()), dict(theirs.state_dict()), 1e-6, "state dict")
    result = compare(run, *arrays, tol=tol, gradgrad=gradgrad, dtype=dtype, grad=grad)
    if isinstance(result, Exception):
        return ours
    assert_same(dict(ours.state_dict()), dict(theirs.state_dict()), tol, "state dict after the call")
    for lib in LIBS:
        outs = [t for t in flat(run(lib, *tensors(lib, arrays, dtype=dtype))) if hasattr(t, "grad_fn")]
        outs = [t for t in outs if t.requires_grad]
        if outs:
            sum((t * _weights(lib, t)).sum() for t in outs).backward()
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert_same([p.grad], [q.grad], tol * 4, f"gradient of {name}")
    return ours
