"""check_op on a CUDA device: the cases of the op's test once more, beside the CPU's results."""

from __future__ import annotations

import helpers
import numpy as np
from helpers import INTS, assert_values, tensor, to_numpy

import pynn

DEVICE = "cuda"


def _compare(results, expected, tol, where):
    results, expected = helpers._tuple(results), helpers._tuple(expected)
    assert len(results) == len(expected), where
    for r, e in zip(results, expected, strict=True):
        if not isinstance(e, pynn.Tensor):
            assert r == e, where
            continue
        assert r.device.type == "cuda", f"{where}: the result is on {r.device}"
        assert r.dtype == e.dtype, f"{where}: dtype {r.dtype}, expected {e.dtype}"
        # Both sides are rounded, and sums may be of terms of both signs.
        assert_values(r.cpu(), to_numpy(e), 4.0 * tol, where)


def _run(fn, args, kwargs, grad, layout=None, device=False):
    """Results, and gradients of the float arguments where `grad`."""
    inputs, args = [], list(args)
    for k, a in enumerate(args):
        if not isinstance(a, pynn.Tensor):
            continue
        a = (a.to(DEVICE) if device else a).detach()
        if a.is_floating_point():
            if grad:
                inputs.append(a.requires_grad_())
            a = layout(a) if layout is not None else a
        args[k] = a
    results = helpers._tuple(fn(*args, **kwargs))
    differentiable = [r for r in results if isinstance(r, pynn.Tensor) and r.requires_grad]
    if not inputs or not differentiable:
        return results, []
    weights = [w.to(r.device) for w, r in zip(helpers._weights(differentiable), differentiable, strict=True)]
    return results, pynn.autograd.grad(differentiable, inputs, weights, allow_unused=True)


def _check(fn, args, kwargs, grad, tol, grad_tol, where, layout=None):
    results, gradients = _run(fn, args, kwargs, grad, layout, device=True)
    expected, wanted = _run(fn, args, kwargs, grad, layout)
    _compare(results, expected, tol, where)
    assert len(gradients) == len(wanted), where
    for g, e in zip(gradients, wanted, strict=True):
        assert (g is None) == (e is None), where
        if g is not None:
            scale = max(1.0, float(e.abs().max()) if e.numel() and bool(e.isfinite().all()) else 1.0)
            _compare(g, e, tol * grad_tol * scale, f"gradient {where}")


def check_on_device(fn, cases, *, dtypes, ints, bools, grad, layouts, elementwise, tol, grad_tol):
    """As check_op, with the CPU in NumPy's place; layouts are checked in float32 only."""
    for case in cases:
        args, kwargs = helpers._split(case)
        where = f"{helpers._describe(args)} {kwargs or ''}"
        for dtype in dtypes:
            tensors = helpers._build(args, dtype)
            _check(fn, tensors, kwargs, grad, tol, grad_tol, f"{where} {dtype}")
        for kind, group in ((ints, INTS), (bools, (pynn.bool,))):
            for dtype in group if kind is not None else ():
                whole = [helpers._integer(a, dtype) if helpers._is_data(a) else a for a in args]
                tensors = [
                    tensor(w, dtype if helpers._is_data(a) else None) if isinstance(w, np.ndarray) else w
                    for w, a in zip(whole, args, strict=True)
                ]
                _check(fn, tensors, kwargs, False, tol, 1.0, f"{where} {dtype}")
        if layouts and pynn.float32 in dtypes:
            tensors = helpers._build(args, pynn.float32)
            for name, layout in helpers.LAYOUTS.items():
                slopes = grad and name != "expanded"  # where values repeat, gradients may be 0 / 0
                _check(fn, tensors, kwargs, slopes, tol, grad_tol, f"{where} {name}", layout)
    if elementwise:
        args, kwargs = helpers._split(cases[0])
        for shape in ((0,), (2, 0, 3), ()):
            small = [
                (a.reshape(-1)[0].reshape(()) if shape == () else np.zeros(shape, a.dtype))
                if isinstance(a, np.ndarray)
                else a
                for a in args
            ]
            small = [
                np.asarray(s) if isinstance(a, np.ndarray) else s for s, a in zip(small, args, strict=True)
            ]
            dtype = pynn.float32 if pynn.float32 in dtypes else dtypes[0]
            _check(fn, helpers._build(small, dtype), kwargs, grad, tol, grad_tol, f"shape {shape}")
