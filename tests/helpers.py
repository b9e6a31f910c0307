"""What every op's test needs, in one call: `check_op`. Also deterministic inputs, comparison, and error checks."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
import zlib

import numpy as np

import pynn
from pynn.autograd import gradcheck, gradgradcheck

FLOATS = (pynn.float64, pynn.float32, pynn.float16, pynn.bfloat16)
INTS = (pynn.uint8, pynn.int8, pynn.int16, pynn.int32, pynn.int64)
ALL_DTYPES = (*FLOATS, *INTS, pynn.bool)

# |actual - expected| <= atol + rtol |expected|; the halves allow one rounding of a float32 result.
TOLERANCE = {
    pynn.float64: (1e-11, 1e-11),
    pynn.float32: (5e-6, 5e-6),
    pynn.float16: (2e-3, 2e-3),
    pynn.bfloat16: (1.6e-2, 1.6e-2),
}
EXACT_MEMORY = "PYNN_NO_CUDA_MEMORY_CACHING" in os.environ  # no pools, so no CUDA graphs
device = "cpu"  # where check_op runs: conftest.py sets it
NUMPY_DTYPE = {
    pynn.float64: np.float64,
    pynn.float32: np.float32,
    pynn.float16: np.float16,
    pynn.uint8: np.uint8,
    pynn.int8: np.int8,
    pynn.int16: np.int16,
    pynn.int32: np.int32,
    pynn.int64: np.int64,
    pynn.bool: np.bool_,
}


# -- inputs ---------------------------------------------------------------------------------------------------------


def arr(*shape, low=-2.0, high=2.0, seed=0):
    """A float64 array that depends on nothing but the arguments."""
    state = zlib.crc32(repr((shape, seed)).encode())
    return np.random.default_rng(state).uniform(low, high, shape)


def arrs(*shapes, low=-2.0, high=2.0, seed=0):
    return tuple(arr(*s, low=low, high=high, seed=seed + i) for i, s in enumerate(shapes))


def distinct(*shape, seed=0):
    """Shuffled values at least 0.1 apart: no ties, so that max, sort and the like can be differentiated."""
    n = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(n).reshape(shape) - n / 2) * 0.1 + 0.05


def ints(*shape, low=-9, high=10, seed=0):
    state = zlib.crc32(repr((shape, seed, "int")).encode())
    return np.random.default_rng(state).integers(low, high, shape)


def tensor(array, dtype=None, requires_grad=False):
    """A fresh contiguous tensor with the array's values."""
    array = np.asarray(array)
    t = pynn.from_numpy(np.array(array, order="C"))  # keeps 0-d
    t = t.to(dtype) if dtype is not None and t.dtype != dtype else t
    return t.requires_grad_() if requires_grad else t


def to_numpy(t):
    """The values; float64 for every floating dtype."""
    t = t.detach()
    return (t.to(pynn.float64) if t.is_floating_point() else t).numpy()


# -- comparison -----------------------------------------------------------------------------------------------------


def assert_values(actual, expected, tol=1.0, where=""):
    """Compare a tensor with an array: shape and values, NaN equal to NaN, by the tolerance of the tensor's dtype."""
    assert isinstance(actual, pynn.Tensor), f"{where}: got {type(actual)}"
    expected = np.asarray(expected)
    assert tuple(actual.shape) == expected.shape, (
        f"{where}: shape {tuple(actual.shape)}, expected {expected.shape}"
    )
    if actual.is_floating_point():
        rtol, atol = (tol * x for x in TOLERANCE[actual.dtype])
        got = to_numpy(actual)
        expected = expected.astype(np.float64)
        if actual.dtype == pynn.float16:  # what overflows, overflows
            with np.errstate(over="ignore"):
                big = np.isinf(expected.astype(np.float16))
            expected = np.where(big, np.copysign(np.inf, expected), expected)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, err_msg=where)
    else:
        np.testing.assert_array_equal(to_numpy(actual), expected, err_msg=where)


def same_bits(a, b):
    """Equal dtype, shape and bytes: NaNs and signed zeros count."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
    )


def splits_products():
    """Whether products of float32 are computed from parts of bfloat16, by AMX."""
    with open("/proc/cpuinfo") as f:
        amx = "amx_bf16" in f.read()
    return amx and pynn.backends.cpu.get_cpu_capability() == "AVX512" and "PYNN_CPU_DOT" not in os.environ


def check_words(message, words):
    for word in words:
        assert re.search(word, message), f"{word!r} is not in the message: {message!r}"


@contextlib.contextmanager
def raises(kind, *words):
    """The block must raise `kind`, and each of `words` (regular expressions) must be found in its message."""
    try:
        yield
    except kind as error:
        check_words(str(error), words)
    else:
        raise AssertionError(f"{kind} was not raised")


def run_python(code, env=None, timeout=120):
    """Run `code` in a fresh interpreter away from the checkout; returns (exit status, output)."""
    with tempfile.TemporaryDirectory() as folder:
        r = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**os.environ, **(env or {})},
            timeout=timeout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return r.returncode, r.stdout


# -- layouts --------------------------------------------------------------------------------------------------------


def _transposed(t):
    axes = tuple(reversed(range(t.dim())))
    return t.permute(axes).contiguous().permute(axes)


def _sliced(t):
    """Every second element of a wider buffer, from an offset."""
    if t.dim() == 0:
        return pynn.stack([t, t, t])[1]
    wide = pynn.zeros([2 * n + 1 for n in t.shape], dtype=t.dtype, device=t.device)
    inner = wide[tuple(slice(1, None, 2) for _ in t.shape)]
    inner.copy_(t)
    return inner


def _padded(t):
    """Contiguous rows that lie apart, at an address that no vector is aligned to."""
    if t.dim() == 0:
        return t
    wide = pynn.zeros([*t.shape[:-1], t.shape[-1] + 3], dtype=t.dtype, device=t.device)
    inner = wide[..., 1 : 1 + t.shape[-1]]
    inner.copy_(t)
    return inner


def _expanded(t):
    """Stride 0 along the first dimension. The values change: every row is the first."""
    return t[:1].clone().expand(t.shape) if t.dim() and t.shape[0] > 1 else t


LAYOUTS = {"transposed": _transposed, "sliced": _sliced, "padded": _padded, "expanded": _expanded}


def _is_data(a):
    return isinstance(a, np.ndarray) and a.dtype == np.float64


def _build(args, dtype, layout=None, only=None):
    """Tensors for the arrays of `args`; `layout` is applied to the float arrays (or just to the first)."""
    out, seen = [], 0
    for a in args:
        if _is_data(a):
            t = tensor(a, dtype)
            if layout is not None and (only is None or seen == only):
                t = layout(t)
            seen += 1
            out.append(t)
        elif isinstance(a, np.ndarray):
            out.append(tensor(a))
        else:
            out.append(a)
    return out


def _values(tensors):
    return [to_numpy(t) if isinstance(t, pynn.Tensor) else t for t in tensors]


def _tuple(x):
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _split(case):
    case = case if isinstance(case, tuple) else (case,)
    if case and isinstance(case[-1], dict):
        return case[:-1], case[-1]
    return case, {}


def _describe(case):
    return tuple(f"array{a.shape}" if isinstance(a, np.ndarray) else a for a in case)


# -- the check ------------------------------------------------------------------------------------------------------


def check_op(
    fn,
    ref,
    cases,
    *,
    dtypes=FLOATS,
    ints=None,
    bools=None,
    out=None,
    grad=True,
    gradgrad=True,
    layouts=True,
    elementwise=False,
    tol=1.0,
    grad_tol=1.0,
    errors=(),
):
    """Check an op against NumPy, with everything around it.

    A case is a tuple of arguments, optionally ending with a dict of keywords. Float64 arrays become tensors of the
    dtype under test, other arrays (indices, masks) tensors of their own dtype; `ref` gets arrays: float64 of the
    rounded inputs, int64 for integer runs.

    Args:
        ints, bools: what integer and bool tensors give: None (not checked), "same", or a dtype.
        out: the result's dtype for floating inputs, None for the input's own; a tuple for several results.
        grad, gradgrad: compare derivatives with finite differences (float64) and across dtypes and layouts.
        elementwise: add zero-size and 0-d cases made from the given ones.
        tol, grad_tol: factors on TOLERANCE, for the values and for gradients across dtypes.
        errors: (arguments, exception class, regular expression) triples.
    """
    cases = list(cases)
    if device != "cpu":
        from device_check import check_on_device

        check_on_device(
            fn,
            cases,
            dtypes=dtypes,
            ints=ints,
            bools=bools,
            grad=grad,
            layouts=layouts,
            elementwise=elementwise,
            tol=tol,
            grad_tol=grad_tol,
        )
        return
    for case in cases:
        args, kwargs = _split(case)
        where = f"{_describe(args)} {kwargs or ''}"
        for dtype in dtypes:
            _forward(fn, ref, _build(args, dtype), kwargs, out or dtype, tol, f"{where} {dtype}")
        for kind, group in ((ints, INTS), (bools, (pynn.bool,))):
            for dtype in group if kind is not None else ():
                whole = [_integer(a, dtype) if _is_data(a) else a for a in args]
                tensors = [
                    tensor(w, dtype if _is_data(a) else None) if isinstance(w, np.ndarray) else w
                    for w, a in zip(whole, args, strict=True)
                ]
                expected = dtype if kind == "same" else kind
                if expected.is_floating_point:
                    whole = [
                        w.astype(np.float64) if _is_data(a) else w for w, a in zip(whole, args, strict=True)
                    ]
                _forward(fn, ref, tensors, kwargs, expected, tol, f"{where} {dtype}", whole)
        if layouts:
            _check_layouts(fn, ref, args, kwargs, out or pynn.float64, grad, tol, where)
        if grad:
            _check_gradients(fn, args, kwargs, gradgrad, where)
            _check_gradient_dtypes(fn, args, kwargs, dtypes, tol * grad_tol, where)
    if elementwise:
        _check_degenerate(fn, ref, cases[0], out, grad, tol)
    for args, kind, words in errors:
        args, kwargs = _split(args)
        with raises(kind, words):
            fn(*[tensor(a) if isinstance(a, np.ndarray) else a for a in args], **kwargs)


def _integer(a, dtype):
    """Whole numbers in place of the float array, as the dtype holds them, in int64 (bool stays bool)."""
    if dtype == pynn.bool:
        return np.asarray(a > 0)
    return np.asarray(np.rint(np.abs(a * 3) if dtype == pynn.uint8 else a * 3), np.int64)


def _forward(fn, ref, tensors, kwargs, dtypes, tol, where, values=None):
    results = _tuple(fn(*tensors, **kwargs))
    with np.errstate(all="ignore"):
        expected = _tuple(ref(*(values if values is not None else _values(tensors)), **kwargs))
    assert len(results) == len(expected), where
    for r, e, dtype in zip(results, expected, itertools.cycle(_tuple(dtypes))):
        assert r.dtype == dtype, f"{where}: dtype {r.dtype}, expected {dtype}"
        e = np.asarray(e)
        if not r.is_floating_point():
            with np.errstate(all="ignore"):
                e = e.astype(NUMPY_DTYPE[r.dtype])  # integers wrap
        assert_values(r, e, tol, where)
    return results


def _weights(results):
    """One fixed gradient per differentiable result."""
    return [tensor(arr(*r.shape, seed=77 + k)).to(r.dtype) for k, r in enumerate(results)]


def _backward(fn, leaves, tensors, kwargs, relayout=None):
    """Gradients of the leaves for fixed output gradients, optionally laid out in memory by `relayout`."""
    results = [r for r in _tuple(fn(*tensors, **kwargs)) if r.requires_grad]
    weights = [relayout(w) if relayout else w for w in _weights(results)]
    return pynn.autograd.grad(results, leaves, weights, allow_unused=True)


def _leaves(tensors):
    leaves = [t for t in tensors if isinstance(t, pynn.Tensor) and t.is_floating_point()]
    for t in leaves:
        t.requires_grad_()
    return leaves


def _check_layouts(fn, ref, args, kwargs, dtype, grad, tol, where):
    variants = [(name, layout, None) for name, layout in LAYOUTS.items()]
    if sum(_is_data(a) for a in args) > 1:
        variants += [("first transposed", _transposed, 0), ("second expanded", _expanded, 1)]
    if grad:
        plain = _build(args, pynn.float64)
        expected = _backward(fn, _leaves(plain), plain, kwargs)
    for name, layout, only in variants:
        place = f"{where} {name}"
        _forward(fn, ref, _build(args, pynn.float64, layout, only), kwargs, dtype, tol, place)
        if not grad or layout is _expanded:
            continue
        tensors = _build(args, pynn.float64)
        leaves = _leaves(tensors)
        views = iter([layout(t) if only is None or k == only else t for k, t in enumerate(leaves)])
        moved = [next(views) if any(t is leaf for leaf in leaves) else t for t in tensors]
        for g, e in zip(_backward(fn, leaves, moved, kwargs, layout), expected, strict=True):
            assert (g is None) == (e is None), place
            if g is not None:
                assert_values(g, to_numpy(e), 10.0, f"gradient {place}")


def _check_gradients(fn, args, kwargs, gradgrad, where):
    tensors = _build(args, pynn.float64)
    leaves = _leaves(tensors)
    if not leaves or not all(t.numel() for t in leaves):
        fast = False
    else:
        results = [r for r in _tuple(fn(*tensors, **kwargs)) if r.requires_grad]
        fast = sum(t.numel() for t in leaves) + sum(r.numel() for r in results) > 60

    def call(*xs):
        return fn(*xs, **kwargs)

    try:
        gradcheck(call, tuple(tensors), fast_mode=fast)
        if gradgrad:
            gradgradcheck(call, tuple(tensors), fast_mode=fast)
    except Exception as error:
        raise AssertionError(f"{where}: {error}") from error


def _check_gradient_dtypes(fn, args, kwargs, dtypes, tol, where):
    """The gradient has its input's dtype, and float64's value at the same (rounded) inputs."""
    for dtype in dtypes:
        if dtype == pynn.float64:
            continue
        tensors = _build(args, dtype)
        wide = [
            t.to(pynn.float64) if isinstance(t, pynn.Tensor) and t.is_floating_point() else t for t in tensors
        ]
        found = _backward(fn, _leaves(tensors), tensors, kwargs)
        expected = _backward(fn, _leaves(wide), wide, kwargs)
        for g, e, t in zip(found, expected, _leaves(tensors), strict=True):
            assert (g is None) == (e is None), where
            if g is None:
                continue
            assert g.dtype == t.dtype, f"{where}: gradient of {t.dtype} is {g.dtype}"
            # Rounding is relative to the largest term: gradients are sums of terms of both signs.
            scale = max(1.0, float(e.abs().max()) if e.numel() and bool(e.isfinite().all()) else 1.0)
            assert_values(g, to_numpy(e), 4.0 * tol * scale, f"gradient {where} {dtype}")


def _check_degenerate(fn, ref, case, out, grad, tol):
    args, kwargs = _split(case)
    for make in (
        lambda a: np.zeros((0,)),
        lambda a: np.zeros((2, 0, 3)),
        lambda a: a.reshape(-1)[0].reshape(()),
    ):
        small = [make(a) if isinstance(a, np.ndarray) else a for a in args]
        small = [
            np.asarray(s, a.dtype) if isinstance(a, np.ndarray) else s
            for s, a in zip(small, args, strict=True)
        ]
        where = f"degenerate {_describe(small)}"
        _forward(fn, ref, _build(small, pynn.float64), kwargs, out or pynn.float64, tol, where)
        if grad:
            tensors = _build(small, pynn.float64)
            leaves = _leaves(tensors)
            for g, leaf in zip(_backward(fn, leaves, tensors, kwargs), leaves, strict=True):
                assert g is None or g.shape == leaf.shape, where
