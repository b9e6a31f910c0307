"""What a file of torch.save may ask for: tensors, numbers and containers, by the names that PyTorch gives them.

What is in a file is not shown in messages: a nest of shared tuples prints without end.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pynn
from pynn import Tensor, _unpickle
from pynn._unpickle import Builder, UnsafeFileError

_MAX_DIMS = 64

STORAGES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexDouble": "complex128",
    "ComplexFloat": "complex64",
}

user_globals: dict[tuple[str, str], Builder] = {}  # by serialization.add_safe_globals


class StorageType:
    """The global torch.FloatStorage: a dtype, or None for untyped bytes."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype


class Storage:
    """The elements of one storage as a tensor of one dim."""

    def __init__(self, flat: Tensor) -> None:
        self.flat = flat


def check_sizes(op: str, *values: Any) -> None:
    for value in values:
        if type(value) not in (tuple, list, pynn.Size) or len(value) > _MAX_DIMS:
            raise ValueError(f"{op}: bad sizes {type(value).__name__}")
        if not all(type(n) is int and 0 <= n < 2**62 for n in value):
            raise ValueError(f"{op}: bad sizes")  # not shown: what is in a file may print without end


def strided(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    if type(storage) is not Storage:
        raise TypeError(f"a storage is required, got {type(storage).__name__}")
    size = (size,) if type(size) is int else size
    stride = (stride,) if type(stride) is int else stride
    check_sizes("tensor", size, stride, (offset,))
    if len(size) != len(stride):
        raise ValueError(f"sizes {size} with strides {stride}")
    flat = storage.flat
    if math.prod(size):
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if last >= flat.numel():
            raise ValueError(f"a tensor of {tuple(size)} reaches beyond its storage of {flat.numel()}")
        if math.prod(size) >= 2**62:
            raise ValueError("a tensor is too large")
    else:
        offset = min(offset, flat.numel())
    with pynn.no_grad():
        return flat.as_strided(tuple(size), tuple(stride), offset).detach()


def _rebuild_tensor_v2(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    return strided(storage, offset, size, stride).requires_grad_(bool(requires_grad))


def _rebuild_tensor_v3(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if type(storage) is not Storage or not isinstance(dtype, pynn.dtype):
        raise TypeError("a storage and a dtype are required")
    flat = storage.flat.view(pynn.uint8).view(dtype)
    return strided(Storage(flat), offset, size, stride).requires_grad_(bool(requires_grad))


def _plain(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"a tensor is required, got {type(x).__name__}")
    return x


def _rebuild_parameter(data: Any, requires_grad: Any = True, hooks: Any = None) -> Tensor:
    from pynn.nn import Parameter

    return Parameter(_plain(data).detach(), requires_grad=bool(requires_grad))


def _rebuild_parameter_with_state(data: Any, requires_grad: Any, hooks: Any, state: Any) -> Tensor:
    parameter = _rebuild_parameter(data, requires_grad)
    _set_attributes(parameter, state)
    return parameter


def _rebuild_from_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    if not isinstance(function, Builder) or type(args) is not tuple or not isinstance(kind, Builder):
        raise TypeError("a rebuild function, its type and arguments are required")
    made = function.make(*args)
    if kind.name == "torch.nn.parameter.Parameter":
        from pynn.nn import Parameter

        made = Parameter(_plain(made).detach(), requires_grad=made.requires_grad)
    _set_attributes(made, state)
    return made


def _set_attributes(target: Any, state: Any) -> None:
    if type(state) is tuple and len(state) == 2:  # (dict, slots)
        if state[1] is not None:
            raise TypeError("slots are not expected")
        state = state[0]
    if state is None:
        return
    if type(state) not in (dict, OrderedDict) or not all(type(key) is str for key in state):
        raise TypeError("a dict of attributes is required")
    target.__dict__.update(state)


def _meta_tensor(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Tensor:
    check_sizes("tensor", size, stride)
    return pynn.empty_strided(tuple(size), tuple(stride), dtype=dtype, device="meta").requires_grad_(
        bool(requires_grad)
    )


def _encode(text: Any, encoding: Any = "utf-8", errors: Any = "strict") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise TypeError("text in latin1, utf-8 or ascii is required")
    return text.encode(encoding)


def _bytearray(data: Any = b"", encoding: Any = None) -> bytearray:
    if encoding is not None:
        return bytearray(_encode(data, encoding))
    if type(data) not in (bytes, list) or (type(data) is list and not all(type(b) is int for b in data)):
        raise TypeError("bytes are required")
    return bytearray(data)


def _collection(kind: Any) -> Callable[..., Any]:
    def make(items: Any = ()) -> Any:
        if type(items) in (list, tuple):
            for item in items:
                _unpickle.check_key(item[0] if kind is OrderedDict else item)
        elif type(items) not in (dict, OrderedDict, set, frozenset):
            raise TypeError(f"items are required, got {type(items).__name__}")
        return kind(items)

    return make


def _defaultdict(factory: Any = None, *rest: Any) -> Any:
    known = {"builtins.list": list, "builtins.dict": dict, "builtins.set": set, "builtins.int": int}
    kind = known.get(factory.name) if isinstance(factory, Builder) else None
    if (
        factory is not None
        and kind is None
        and not (isinstance(factory, Builder) and factory.name == "builtins.float")
    ):
        raise UnsafeFileError("load: refused a defaultdict of a function")
    return defaultdict(float if factory is not None and kind is None else kind)


def _size(values: Any = ()) -> Any:
    check_sizes("Size", values)
    return pynn.Size(values)


def _complex(real: Any = 0.0, imag: Any = 0.0) -> complex:
    if type(real) not in (int, float) or type(imag) not in (int, float):
        raise TypeError("two numbers are required")
    return complex(real, imag)


def _device(kind: Any, index: Any = None) -> Any:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise TypeError("the name of a device is required")
    return pynn.device(kind) if index is None else pynn.device(kind, index)


def _range(*args: Any) -> range:
    if not all(type(n) is int for n in args):
        raise TypeError("integers are required")
    return range(*args)


def _never(name: str) -> Builder:
    """A type that may be named, for example as a factory, but not called."""

    def make(*args: Any) -> Any:
        raise UnsafeFileError(f"load: refused to call {name}")

    return Builder(name, make)


def _numpy_dtype(name: Any, align: Any = False, copy: Any = True) -> Any:
    import numpy

    if type(name) is not str or len(name) > 8:
        raise TypeError("the name of a dtype is required")
    made = numpy.dtype(name, False, True)  # type: ignore[call-overload]
    if made.kind not in "biufcSU" or made.itemsize > 1 << 20:
        raise UnsafeFileError(f"load: refused an array of numpy dtype {name!r}")
    return made


def _numpy_dtype_state(dtype: Any, state: Any) -> None:
    text = dtype.kind in "SU"
    plain = type(state) is tuple and len(state) >= 8 and state[2:5] == (None, None, None)
    if not plain or state[1] not in ("<", ">", "|", "=") or state[7] not in ((0, 8) if text else (0,)):
        raise UnsafeFileError("load: refused a numpy dtype that is no plain number")
    sizes = (dtype.itemsize, dtype.alignment) if text else (-1, -1)
    dtype.__setstate__((3, state[1], None, None, None, *sizes, state[7]))


def _numpy_array(kind: Any = None, shape: Any = None, code: Any = None) -> Any:
    import numpy

    return numpy.empty(0, "b")


def _numpy_array_state(array: Any, state: Any) -> None:
    import numpy

    version, shape, dtype, fortran, data = state
    check_sizes("array", shape)
    if not isinstance(dtype, numpy.dtype) or dtype.hasobject or type(data) not in (bytes, str):
        raise UnsafeFileError("load: refused an array that is not of plain numbers")
    data = data.encode("latin1") if type(data) is str else data
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of {shape} of {dtype} with {len(data)} bytes")
    array.__setstate__((1, tuple(shape), dtype, bool(fortran), data))


def _numpy_scalar(dtype: Any, data: Any = b"") -> Any:
    import numpy

    data = data.encode("latin1") if type(data) is str else data
    if not isinstance(dtype, numpy.dtype) or dtype.hasobject or type(data) is not bytes:
        raise UnsafeFileError("load: refused a numpy scalar that is no plain number")
    return numpy.frombuffer(data, dtype, count=1)[0]


def _numpy_frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    import numpy

    check_sizes("array", shape)
    if not isinstance(dtype, numpy.dtype) or dtype.hasobject or type(data) not in (bytes, bytearray):
        raise UnsafeFileError("load: refused an array that is not of plain numbers")
    return numpy.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C").copy("K")


_CALLS: list[Builder] = [
    Builder("torch._utils._rebuild_tensor", strided, _set_attributes),
    Builder("torch._utils._rebuild_tensor_v2", _rebuild_tensor_v2, _set_attributes),
    Builder("torch._utils._rebuild_tensor_v3", _rebuild_tensor_v3, _set_attributes),
    Builder("torch._utils._rebuild_parameter", _rebuild_parameter, _set_attributes),
    Builder("torch._utils._rebuild_parameter_with_state", _rebuild_parameter_with_state),
    Builder("torch._utils._rebuild_meta_tensor_no_storage", _meta_tensor),
    Builder("torch._tensor._rebuild_from_type_v2", _rebuild_from_type),
    Builder("torch.nn.parameter.Parameter", _rebuild_parameter, _set_attributes),
    Builder("torch.Size", _size),
    Builder("torch.device", _device),
    Builder("collections.OrderedDict", _collection(OrderedDict), _set_attributes),
    Builder("collections.Counter", _collection(Counter)),
    Builder("collections.defaultdict", _defaultdict, _set_attributes),
    Builder("_codecs.encode", _encode),
    Builder("builtins.bytearray", _bytearray),
    Builder("builtins.set", _collection(set)),
    Builder("builtins.frozenset", _collection(frozenset)),
    Builder("builtins.complex", _complex),
    Builder("builtins.range", _range),
    Builder("numpy.dtype", _numpy_dtype, _numpy_dtype_state),
    Builder("numpy.core.multiarray._reconstruct", _numpy_array, _numpy_array_state),
    Builder("numpy.core.multiarray.scalar", _numpy_scalar),
    Builder("numpy.core.numeric._frombuffer", _numpy_frombuffer),
    *(_never(f"builtins.{name}") for name in ("list", "dict", "int", "float")),
    *(_never(f"torch.{name}") for name in ("Tensor", "nn.parameter.Buffer")),
    _never("numpy.ndarray"),
]
_GLOBALS: dict[str, Any] = {call.name: call for call in _CALLS}
_GLOBALS["torch.storage.UntypedStorage"] = _GLOBALS["torch.UntypedStorage"] = StorageType(None)


def find_global(module: str, name: str) -> Any:
    if (module, name) in user_globals:
        return user_globals[module, name]
    if user_globals and module.split(".")[0] == "torch":  # a class may have several names
        with suppress(ImportError, AttributeError):
            kind = named(module, name)
            for builder in user_globals.values():
                if builder.kind is kind:
                    return builder
    module = {"__builtin__": "builtins"}.get(module, module).replace("numpy._core", "numpy.core")
    full = f"{module}.{name}"
    found = _GLOBALS.get(full)
    if found is not None:
        return found
    if module in ("torch", "torch.cuda", "torch.storage") and name.endswith("Storage"):
        dtype = STORAGES.get(name.removesuffix("Storage"))
        if dtype is not None:
            return StorageType(getattr(pynn, dtype))
    if module == "torch":
        value = vars(pynn).get(name)
        if isinstance(value, (pynn.dtype, pynn.layout, pynn.memory_format)):
            return value
    if module == "torch.serialization" and name == "_get_layout":
        return Builder(full, lambda text: pynn.strided)
    raise UnsafeFileError(
        f"load: Unsupported global: {full} is refused, since it is not a tensor, number or container "
        "(save a state_dict(), or name a class that you trust by pynn.serialization.add_safe_globals)"
    )


def named(module: str, name: str) -> Any:
    """What PyTorch's class or function of that name is here.

    Raises:
        ImportError, AttributeError: nothing.
    """
    found: Any = importlib.import_module("pynn" + module.removeprefix("torch"))
    for part in name.split("."):
        found = getattr(found, part)
    return found


def user_builder(kind: Any) -> Builder:
    """The Builder of a class that the user trusts."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return kind.__new__(kind, *args, **kwargs) if isinstance(kind, type) else kind(*args, **kwargs)

    def set_state(target: Any, state: Any) -> None:
        if type(state) is dict:  # a class or function that is kept, not called
            state = {k: getattr(v, "kind", v) if isinstance(v, Builder) else v for k, v in state.items()}
        if hasattr(target, "__setstate__"):
            target.__setstate__(state)
        else:
            _set_attributes(target, state)

    builder = Builder(f"{kind.__module__}.{kind.__qualname__}", make, set_state)
    builder.kind = kind
    return builder
