"""The same call on complex tensors in pynn and in PyTorch: results and gradients, or the class of the error."""

import warnings

import numpy as np
import pytest
from both_libraries import LIBS

torch = pytest.importorskip("torch")


def rand(*shape, seed=0, low=-2, high=2):
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def crand(*shape, seed=0):
    return rand(*shape, seed=seed) + 1j * rand(*shape, seed=seed + 1)


def flat(result):
    return [r for item in result for r in flat(item)] if isinstance(result, (list, tuple)) else [result]


def run(lib, call, arrays, double):
    """Results and gradients, or the class of the error."""
    args = []
    for a in arrays:
        if isinstance(a, np.ndarray):
            a = lib.from_numpy(a.copy())
            if not double and (a.is_floating_point() or a.is_complex()):
                a = a.to(lib.complex64 if a.is_complex() else lib.float32)
            if a.is_floating_point() or a.is_complex():
                a.requires_grad_()
        args.append(a)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = flat(call(lib, *args))
            total = 0
            for k, r in enumerate(results):
                if isinstance(r, lib.Tensor) and r.requires_grad:
                    weights = lib.from_numpy(
                        crand(*r.shape, seed=90 + k) if r.is_complex() else rand(*r.shape, seed=90 + k)
                    )
                    total = total + (r * weights).sum().real
            grads = []
            if isinstance(total, lib.Tensor):
                total.backward()
                grads = [a.grad for a in args if isinstance(a, lib.Tensor) and a.requires_grad]
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        return error
    return [*results, *grads]


def assert_same(ours, theirs, double, where):
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"{where}: torch raises {theirs!r}, got {ours}"
        kind = [
            c for c in type(theirs).__mro__ if c in (NotImplementedError, TypeError, IndexError, ValueError)
        ]
        if kind and kind != [NotImplementedError]:
            assert isinstance(ours, kind[0]), f"{where}: {ours!r} for {theirs!r}"
        else:  # PyTorch has NotImplementedError where a kernel lacks the type, RuntimeError where it says so itself
            assert isinstance(ours, RuntimeError), f"{where}: {ours!r} for {theirs!r}"
        return
    if isinstance(ours, Exception):
        raise AssertionError(f"{where}: torch gives {theirs}") from ours
    assert len(ours) == len(theirs)
    for o, t in zip(ours, theirs, strict=True):
        if not isinstance(t, torch.Tensor):
            assert o == t or str(o) == str(t), f"{where}: {o} for {t}"
            continue
        assert str(o.dtype) == str(t.dtype), f"{where}: {o.dtype} for {t.dtype}"
        limit = 1e-9 if double else 3e-4
        a, b = o.detach().numpy(), t.detach().resolve_conj().numpy(force=True)
        assert a.shape == b.shape, where
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit, err_msg=where)


def both(call, *arrays, precisions=(True, False), where=""):
    for double in precisions:
        ours, theirs = (run(lib, call, arrays, double) for lib in LIBS)
        assert_same(ours, theirs, double, f"{where} double={double}")
