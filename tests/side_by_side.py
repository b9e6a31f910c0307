"""One expression, evaluated with pynn and with torch as `t`; results compared in everything that can be asked of them."""

import contextlib
import warnings

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")


def inputs(t):
    """The tensors that expressions name. Fresh ones each time: expressions may write to them."""
    x = t.arange(24.0).reshape(2, 3, 4)
    return {
        "t": t,
        "np": np,
        "x": x,  # dense
        "p": t.arange(24.0).reshape(4, 2, 3).permute(1, 2, 0),  # dense in another order
        "s": t.arange(96.0).reshape(4, 3, 8)[::2, :, ::2],  # with gaps
        "b": t.arange(4.0).expand(2, 3, 4),  # broadcast
        "m": t.arange(12.0).reshape(3, 4),
        "q": t.arange(9.0).reshape(3, 3),
        "v": t.arange(5.0),
        "c": t.tensor(7.0),  # 0-d
        "e": t.zeros(2, 0, 3),
        "i": t.arange(24).reshape(2, 3, 4),
        "k": t.tensor([[True, False, True], [False, True, True]]),
        "j": t.tensor([1, 0, -1]),
        "h": t.arange(6.0).reshape(2, 3).half(),
        "y": t.arange(120.0).reshape(2, 3, 4, 5),
    }


def describe(value, base=None):
    """(dtype, shape, strides, whether it shares memory with base, values), for tensors anywhere in a result."""
    if isinstance(value, (pynn.Tensor, torch.Tensor)):
        lib = pynn if isinstance(value, pynn.Tensor) else torch
        shared = base is not None and value.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
        shared = shared and value.numel() > 0
        wide = value.detach()
        wide = wide.to(lib.float64) if wide.is_floating_point() else wide
        # The stride of a dim of size 1 or of an empty tensor is nobody's business.
        strides = [s if n > 1 else 0 for n, s in zip(value.shape, value.stride(), strict=True)]
        strides = strides if value.numel() else []
        return str(value.dtype), tuple(value.shape), strides, shared, value.requires_grad, wide.tolist()
    if isinstance(value, (list, tuple)) and not type(value).__name__ == "Size":
        return [describe(v, base) for v in value]
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.tolist()
    return tuple(value) if isinstance(value, tuple) else value


def run(t, code, base="x", seed=None):
    """What the expression (or the statements, then `x`) gives, or its error."""
    names = inputs(t)
    if seed is not None:
        t.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            try:
                compiled = compile(code, "<parity>", "eval")
            except SyntaxError:
                exec(code, names)
                result = names["x"]
            else:
                result = eval(compiled, names)
            return describe(result, names[base])
        except Exception as error:
            return error


def compare(code, base="x", rtol=1e-6, atol=1e-7, seed=None, classes=True, strides=True):
    """`classes`: errors must be of torch's class, else just errors. `strides`: those of results must agree."""
    mine, theirs = run(pynn, code, base, seed), run(torch, code, base, seed)
    if isinstance(theirs, Exception) or isinstance(mine, Exception):
        assert isinstance(mine, type(theirs) if classes else Exception) and isinstance(theirs, Exception), (
            f"{code!r}: {mine!r}, torch: {theirs!r}"
        )
        return
    if not strides:
        mine, theirs = without_strides(mine), without_strides(theirs)
    same(mine, theirs, rtol, atol, code)


def without_strides(description):
    if isinstance(description, list):
        return [without_strides(d) for d in description]
    is_tensor = isinstance(description, tuple) and len(description) == 6
    return description[:2] + description[3:] if is_tensor else description


def same(mine, theirs, rtol, atol, code):
    if isinstance(theirs, (list, tuple)):
        assert isinstance(mine, (list, tuple)) and len(mine) == len(theirs), (
            f"{code!r}: {mine}, torch: {theirs}"
        )
        for a, b in zip(mine, theirs, strict=True):
            same(a, b, rtol, atol, code)
    elif isinstance(theirs, float):
        with contextlib.suppress(TypeError):
            np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol, err_msg=code)
            return
        raise AssertionError(f"{code!r}: {mine}, torch: {theirs}")
    else:
        assert mine == theirs, f"{code!r}: {mine!r}, torch: {theirs!r}"
