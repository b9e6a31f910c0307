"""pynn and PyTorch given the same call: results, derivatives, modules, errors. For tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

torch.set_num_threads(1)  # spinning threads are slow on a busy machine

LIBS = (pynn, torch)


def floats(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def tensor(lib, array, dtype=None, grad=False):
    """A tensor of `array`; floats are cast to the dtype of that name, and may need a gradient."""
    t = lib.from_numpy(np.array(array))
    if not t.is_floating_point():
        return t
    return (t if dtype is None else t.to(getattr(lib, dtype))).requires_grad_(grad)


def values(t):
    t = t.detach()
    if "bfloat16" in str(t.dtype) or "float16" in str(t.dtype):
        t = t.float()
    return t.numpy()


def assert_close(ours, theirs, tol, where=""):
    assert tuple(ours.shape) == tuple(theirs.shape), where
    assert str(ours.dtype) == str(theirs.dtype), where
    a, b = values(ours), values(theirs)
    if a.dtype.kind != "f":
        return np.testing.assert_array_equal(a, b, err_msg=where)
    scale = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0))
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale, err_msg=where)


def _tuple(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def compare(fn, *arrays, dtype="float64", tol=None, grad=True, gradgrad=True):
    """fn(lib, *tensors) in both libraries: results, gradients, and gradients of the gradients' squares."""
    tol = tol or {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    found = []
    for lib in LIBS:
        given = [tensor(lib, a, dtype, grad) for a in arrays]
        results = [r for r in _tuple(fn(lib, *given)) if hasattr(r, "dtype")]
        entry = {f"result {i}": r for i, r in enumerate(results)}
        leaves = [t for t in given if t.requires_grad]
        wanted = [r for r in results if r.requires_grad]
        if grad and wanted and leaves:
            total = sum(
                (r * tensor(lib, np.cos(np.arange(r.numel())).reshape(tuple(r.shape)), dtype)).sum()
                for r in wanted
            )
            first = lib.autograd.grad(total, leaves, create_graph=gradgrad, allow_unused=True)
            entry |= {f"gradient {i}": g for i, g in enumerate(first) if g is not None}
            smooth = [g for g in first if g is not None and g.requires_grad]
            if gradgrad and smooth:
                second = lib.autograd.grad(sum(g.square().sum() for g in smooth), leaves, allow_unused=True)
                # A derivative of zero may be left out.
                entry |= {
                    f"second {i}": lib.zeros_like(t) if g is None else g
                    for i, (g, t) in enumerate(zip(second, leaves, strict=True))
                }
        found.append(entry)
    ours, theirs = found
    for name in theirs if "second 0" not in ours else {**theirs, **ours}:
        if name not in theirs:  # a second derivative of zero
            assert np.abs(values(ours[name])).max(initial=0) < tol, name
        elif name not in ours:
            assert np.abs(values(theirs[name])).max(initial=0) < tol, name
        else:
            assert_close(ours[name], theirs[name], tol, name)


def compare_module(name, args, kwargs, *inputs, tol=2e-5, train=True, forward=None):
    """The same module from the same seed: printing, state dict, output, gradients, and the state after it."""
    modules, found = [], []
    for lib in LIBS:
        lib.manual_seed(3)
        module = getattr(lib.nn, name)(*args, **kwargs)
        module.train(train)
        modules.append(module)
        given = [tensor(lib, a, "float32", True) for a in inputs]
        before = [t.detach().clone() for t in module.state_dict().values()]
        out = module(*given, **(forward or {}))
        results = _tuple(out)
        (results[0] * results[0].cos()).sum().backward()
        leaves = [t for t in given if t.requires_grad] + list(module.parameters())
        found.append([*before, *results, *[t.grad for t in leaves], *module.state_dict().values()])
    ours, theirs = modules
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.state_dict()._metadata == theirs.state_dict()._metadata
    for i, (a, b) in enumerate(zip(*found, strict=True)):
        assert_close(a, b, tol, f"{name} {i}")
    ours.load_state_dict(ours.state_dict())


def same_error(fn):
    """fn(lib) raises the same class in both libraries, or in neither."""
    kinds = []
    for lib in LIBS:
        try:
            fn(lib)
            kinds.append(None)
        except Exception as error:
            kinds.append(error)
    ours, theirs = kinds
    assert (ours is None) == (theirs is None), (ours, theirs)
    assert isinstance(ours, type(theirs)), (ours, theirs)
