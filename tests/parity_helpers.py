"""The same call in pynn and in PyTorch: values, dtypes, shapes, gradients, or the class of the error."""

import math

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch")

TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}


def fresh(lib, value, grad):
    """Arrays become tensors (float ones ask for a gradient), lists and tuples of them too; the rest stays."""
    if isinstance(value, np.ndarray):
        t = lib.tensor(value.tolist(), dtype=getattr(lib, str(value.dtype))).reshape(value.shape)
        return t.requires_grad_() if grad and value.dtype.kind == "f" else t
    if isinstance(value, (list, tuple)):
        return type(value)(fresh(lib, v, grad) for v in value)
    return value


def leaves(value):
    if isinstance(value, (list, tuple)):
        return [leaf for v in value for leaf in leaves(v)]
    return [value] if hasattr(value, "requires_grad") and value.requires_grad else []


def flat(result):
    if isinstance(result, (list, tuple)):
        return [r for item in result for r in flat(item)]
    return [result]


def values(t):
    t = t.detach()
    return (t.double() if t.is_floating_point() else t).tolist()


def assert_same(ours, theirs, where, tol=1.0):
    if not isinstance(theirs, torch.Tensor):
        same = isinstance(theirs, float) and math.isnan(theirs) and math.isnan(ours)
        assert same or ours == theirs or str(ours) == str(theirs), f"{where}: {ours} for {theirs}"
        return
    assert isinstance(ours, pynn.Tensor), f"{where}: {type(ours)}"
    assert str(ours.dtype) == str(theirs.dtype), f"{where}: {ours.dtype} for {theirs.dtype}"
    assert tuple(ours.shape) == tuple(theirs.shape), f"{where}: {tuple(ours.shape)} for {tuple(theirs.shape)}"
    limit = tol * TOLERANCE.get(str(theirs.dtype)[6:], 0)
    np.testing.assert_allclose(
        np.asarray(values(ours)), np.asarray(values(theirs)), rtol=limit, atol=limit, err_msg=where
    )


def run(lib, call, arguments, grad):
    tensors = fresh(lib, arguments, grad)
    try:
        results = flat(call(lib, *tensors))
        wanted = [r for r in results if hasattr(r, "requires_grad") and r.requires_grad]
        gradients = []
        if wanted:
            weights = [
                (lib.arange(r.numel(), dtype=lib.float64).cos() + 0.5).to(r.dtype).reshape(r.shape)
                for r in wanted
            ]
            gradients = lib.autograd.grad(wanted, leaves(tensors), weights, allow_unused=True)
        return results, gradients, None
    except Exception as error:
        return None, None, error


def both(call, *arguments, grad=True, tol=1.0, where=""):
    """call(lib, *arguments) with lib = pynn and torch; an error must be one that `except` of PyTorch's class catches."""
    ours, our_gradients, our_error = run(pynn, call, arguments, grad)
    theirs, their_gradients, their_error = run(torch, call, arguments, grad)
    if their_error is not None:
        assert our_error is not None, f"{where}: no error for {their_error!r}"
        kinds = [k for k in type(their_error).__mro__ if k.__module__ == "builtins"]
        assert isinstance(our_error, kinds[0]), f"{where}: {our_error!r} for {their_error!r}"
        return
    if our_error is not None:
        raise our_error
    assert len(ours) == len(theirs), f"{where}: {len(ours)} results for {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert_same(a, b, f"{where} result {i}", tol)
        if isinstance(b, torch.Tensor):
            assert a.requires_grad == b.requires_grad, f"{where} result {i}: requires_grad {a.requires_grad}"
    assert len(our_gradients) == len(their_gradients), where
    for i, (a, b) in enumerate(zip(our_gradients, their_gradients, strict=True)):
        if b is None or a is None:
            # None and zeros mean the same.
            assert all(g is None or not g.any() for g in (a, b)), f"{where} gradient {i}: {a} for {b}"
        else:
            assert_same(a, b, f"{where} gradient {i}", 10 * tol)


def floats(*shape, seed=0, dtype="float64", low=-2.0, high=2.0):
    return np.random.default_rng(seed + 7 * len(shape)).uniform(low, high, shape).astype(dtype)


def integers(*shape, low=-5, high=6, seed=0, dtype="int64"):
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def bools(*shape, seed=0):
    return np.random.default_rng(seed).random(shape) < 0.5


def table(cases):
    """pytest parameters of [(name, call, *arguments)]."""
    return pytest.mark.parametrize("case", [pytest.param(c, id=f"{i}-{c[0]}") for i, c in enumerate(cases)])
