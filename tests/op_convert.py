"""Values of torch as values of pynn, and whether results of both are the same: for PyTorch's own samples."""

import functools
import inspect
import types

import numpy as np
import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")

TOLERANCE = {  # (relative, absolute)
    "float64": (1e-7, 1e-8),
    "float32": (1e-4, 1e-5),
    "float16": (5e-3, 5e-3),
    "bfloat16": (3e-2, 3e-2),
    "complex128": (1e-7, 1e-8),
    "complex64": (1e-4, 1e-5),
}


class Unavailable(Exception):
    """pynn has no such name, or the sample holds what pynn has none of on purpose (sparse, quantised)."""


# ------------------------------------------------------------------------------------------------ torch -> pynn


def convert(value, seen=None):
    """The same argument for pynn: tensors with their strides, offset and memory overlap, dtypes, formats, functions."""
    seen = {} if seen is None else seen  # one tensor stays one tensor
    if isinstance(value, torch.Tensor):
        if id(value) not in seen:
            seen[id(value)] = convert_tensor(value)
        return seen[id(value)]
    if isinstance(value, torch.Size):
        return pynn.Size(value)
    if isinstance(value, (list, tuple)):
        items = [convert(v, seen) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: convert(v, seen) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(convert(v, seen) for v in (value.start, value.stop, value.step)))
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        try:
            return getattr(pynn, str(value).removeprefix("torch."))
        except AttributeError:
            raise Unavailable(str(value)) from None
    if isinstance(value, torch.device):
        return pynn.device(str(value))
    if isinstance(value, types.FunctionType):
        return port(value)
    if type(value).__module__.startswith("torch.nn."):
        return rebuilt(value)
    return value


def rebuilt(value):
    """The same object of pynn's class of that name: its __init__ takes what its attributes hold."""
    name = type(value).__name__
    for namespace in (pynn.nn, pynn.nn.functional):
        if hasattr(namespace, name):
            ours = getattr(namespace, name)
            parameters = inspect.signature(ours.__init__).parameters.values()
            wanted = [p.name for p in parameters if hasattr(value, p.name)]
            if any(p.default is p.empty and p.name not in ("self", *wanted) for p in parameters):
                break
            return ours(**{p: getattr(value, p) for p in wanted})
    raise Unavailable(name)


def convert_tensor(t):
    if t.layout is not torch.strided or t.is_quantized or t.is_nested or t.device.type != "cpu":
        raise Unavailable(f"{t.layout} on {t.device}")
    dtype = getattr(pynn, str(t.dtype).removeprefix("torch."), None)
    if dtype is None:
        raise Unavailable(str(t.dtype))
    with torch.no_grad():
        plain = t.detach().resolve_conj().resolve_neg()
        size = plain.untyped_storage().nbytes() // plain.element_size()
        if not size and plain.numel():
            raise Unavailable("a tensor without memory")
        whole = plain.as_strided((size,), (1,), 0)
        raw = {torch.bfloat16: torch.int16, torch.uint16: torch.int16}.get(t.dtype)
        try:
            if raw is None:
                ours = pynn.from_numpy(whole.numpy().copy())
            else:
                ours = pynn.from_numpy(whole.view(raw).numpy().copy()).view(dtype)
        except TypeError as error:
            raise Unavailable(str(error)) from None
        ours = ours.as_strided(tuple(plain.shape), plain.stride(), plain.storage_offset())
    ours = ours.detach()
    if isinstance(t, torch.nn.Parameter):
        return pynn.nn.Parameter(ours, requires_grad=t.requires_grad)
    return ours.requires_grad_() if t.requires_grad else ours


def port(function):
    """A function of torch's test files with `torch` in it replaced by pynn."""
    names = {"torch": pynn, "wrapper_set_seed": functools.partial(seeded, pynn)}
    cells = function.__closure__ or ()
    closure = tuple(types.CellType(ported(cell.cell_contents)) for cell in cells)
    ours = types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        closure,
    )
    ours.__kwdefaults__ = function.__kwdefaults__
    return ours


def ported(value):
    if isinstance(value, types.FunctionType) and str(value.__module__).startswith("torch.testing"):
        return port(value)
    path = torch_path(value)
    return find(pynn, path) if path else value


def torch_path(value):
    if isinstance(value, (torch.Tensor, torch.dtype)) or not callable(value):
        return None
    name = getattr(value, "__name__", "")
    for module in (torch, torch.nn.functional, torch.linalg, torch.fft, torch.special, torch.Tensor):
        if getattr(module, name, None) is value:
            prefix = "torch.Tensor" if module is torch.Tensor else module.__name__
            return f"{prefix}.{name}"
    return None


def find(lib, path):
    value = lib
    for part in path.split(".")[1:]:
        try:
            value = getattr(value, part)
        except AttributeError:
            raise Unavailable(path) from None
    return value


def seeded(lib, function, *args, **kwargs):
    lib.manual_seed(42)
    return function(*args, **kwargs)


def counterpart(op, which="op"):
    """The function of pynn for an OpInfo's function, method or in-place method."""
    theirs = getattr(op, which)
    if isinstance(theirs, types.FunctionType) and theirs.__name__ == "<lambda>":
        if hasattr(torch.Tensor, op.name):
            find(pynn, f"torch.Tensor.{op.name}")
        return port(theirs)
    if isinstance(theirs, functools.partial):
        return functools.partial(find(pynn, f"torch.nn.functional.{theirs.func.__name__}"), **theirs.keywords)
    if which != "op":
        return find(pynn, f"torch.Tensor.{theirs.__name__}")
    if getattr(theirs, "__qualname__", "").startswith("TensorBase."):
        return find(pynn, f"torch.Tensor.{op.name}")
    return find(pynn, "torch." + op.name.removeprefix("torch."))


# ------------------------------------------------------------------------------------------------ one call


def tensors_in(value):
    if isinstance(value, (pynn.Tensor, torch.Tensor)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_in(v)]
    return []


def attempt(lib, function, args, kwargs):
    lib.manual_seed(42)
    try:
        return function(*args, **kwargs), None
    except Unavailable:
        raise
    except (Exception, Warning) as error:
        return None, error


def weights(lib, t):
    """Numbers of order one for a result to be multiplied with, so that its gradient is no symmetric special case."""
    w = (lib.arange(t.numel(), dtype=lib.float64).cos() + 0.5).reshape(t.shape)
    if t.is_complex():
        w = lib.complex(w, w.flip(0) if w.dim() else w)
    return w.to(t.dtype)


def differentiable(t):
    return t.requires_grad and (t.is_floating_point() or t.is_complex())


def derivatives(lib, result, leaves, twice):
    """The gradients of a weighted sum of the results, and those of a weighted sum of the gradients."""
    results = [r for r in tensors_in(result) if differentiable(r)]
    nothing = [None] * len(leaves)
    if not results or not leaves:
        return nothing, nothing
    first = lib.autograd.grad(
        results, leaves, [weights(lib, r) for r in results], allow_unused=True, create_graph=twice
    )
    if not twice:
        return list(first), nothing
    seeds = [g for g in first if g is not None and differentiable(g)]
    if not seeds:
        return list(first), nothing
    second = lib.autograd.grad(seeds, leaves, [weights(lib, g) for g in seeds], allow_unused=True)
    return list(first), list(second)


# ------------------------------------------------------------------------------------------------ comparing


def numbers(t):
    t = t.detach()
    if isinstance(t, torch.Tensor) and t._is_zerotensor():
        t = torch.zeros(t.shape, dtype=t.dtype)
    if t.is_complex():
        t = t.resolve_conj() if isinstance(t, torch.Tensor) else t
        return np.asarray(t.to(pynn.complex128 if isinstance(t, pynn.Tensor) else torch.complex128).tolist())
    if t.is_floating_point():
        t = t.double()
    return np.asarray(t.tolist())


def dense(t):
    """Whether its strides are those of a permuted contiguous tensor: only then do they say anything."""
    expected = 1
    for stride, size in sorted(zip(t.stride(), t.shape, strict=True)):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return t.numel() > 0


def same(ours, theirs, where, scale=1.0, values=True):
    """Types, dtypes, shapes and values of results, of tuples of them too."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, pynn.Tensor), f"{where}: {type(ours).__name__}, torch: a tensor"
        name = str(theirs.dtype).removeprefix("torch.")
        assert str(ours.dtype).endswith(f".{name}"), f"{where}: dtype {ours.dtype}, torch: {theirs.dtype}"
        shapes = tuple(ours.shape), tuple(theirs.shape)
        assert shapes[0] == shapes[1], f"{where}: shape {shapes[0]}, torch: {shapes[1]}"
        rtol, atol = TOLERANCE.get(name, (0, 0))
        if values:
            np.testing.assert_allclose(
                numbers(ours), numbers(theirs), rtol=scale * rtol, atol=scale * atol, err_msg=where
            )
    elif isinstance(theirs, (list, tuple)) and type(theirs) is not torch.Size:
        assert isinstance(ours, (list, tuple)), (
            f"{where}: {type(ours).__name__}, torch: {type(theirs).__name__}"
        )
        assert len(ours) == len(theirs), f"{where}: {len(ours)} results, torch: {len(theirs)}"
        if type(theirs).__module__ == "torch.return_types":
            for field in [f for f in dir(theirs) if f[0] != "_" and f not in ("count", "index")]:
                assert field.startswith("n_") or hasattr(ours, field), f"{where}: no field {field}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where} [{i}]", scale, values)
    elif isinstance(theirs, (torch.Size, torch.dtype, torch.device)):
        assert str(ours).replace("pynn", "torch") == str(theirs), f"{where}: {ours!r}, torch: {theirs!r}"
    else:
        assert type(ours) is type(theirs), f"{where}: {type(ours)}, torch: {type(theirs)}"
        if values and isinstance(theirs, (float, complex)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6 * scale, atol=1e-6 * scale, err_msg=where)
        elif values:
            assert ours == theirs, f"{where}: {ours!r}, torch: {theirs!r}"


class OtherStrides(AssertionError):
    """Equal results that lie otherwise in memory."""


def same_strides(ours, theirs, where):
    for a, b in zip(tensors_in(ours), tensors_in(theirs), strict=True):
        if dense(b) and any(
            x != y for x, y, n in zip(a.stride(), b.stride(), b.shape, strict=True) if n != 1
        ):
            raise OtherStrides(f"{where}: strides {a.stride()}, torch: {b.stride()} of {tuple(b.shape)}")


def same_gradients(ours, theirs, where, scale):
    assert len(ours) == len(theirs), where
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a is None or b is None:  # None and zeros mean the same
            given = a if a is not None else b
            nothing = given is None or given.numel() == 0
            assert nothing or given.detach().abs().max().item() < 1e-12, f"{where} {i}: {a}, torch: {b}"
        else:
            same(a, b, f"{where} {i}", scale)


def spread(items, count):
    """At most `count` of the items, evenly spread, the first and the last among them."""
    items = list(items)
    if len(items) <= count or count == 1:
        return items[len(items) // 2 :][:1] if count == 1 else items
    return [items[i] for i in sorted({round(k * (len(items) - 1) / (count - 1)) for k in range(count)})]


def describe(value):
    """A sample in short: "float64[2, 3], int64[2]*, dim=0"; a star says that the tensor is not contiguous."""
    if hasattr(value, "kwargs"):
        parts = [describe(v) for v in (value.input, *value.args)]
        return ", ".join(parts + [f"{k}={describe(v)}" for k, v in value.kwargs.items()])
    if isinstance(value, torch.Tensor):
        gaps = "" if value.layout is not torch.strided or value.is_contiguous() else "*"
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}{gaps}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(describe, value))})"
    return repr(value)[:60]


def alike(ours, theirs, where):
    """Both None, or `except` clauses that catch PyTorch's error catch ours."""
    if theirs is None:
        if ours is not None:
            raise AssertionError(f"{where}: {ours!r}") from ours
        return
    assert ours is not None, f"{where}: no error, torch: {theirs!r}"
    kinds = [k for k in type(theirs).__mro__ if k.__module__ == "builtins"]
    assert isinstance(ours, kinds[0]), f"{where}: {ours!r}, torch: {theirs!r}"
