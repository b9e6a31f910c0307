"""FloatTensor, LongTensor and their kin: PyTorch's old names for "a tensor of this dtype"."""

from __future__ import annotations

from typing import Any

from pynn import _C
from pynn._C import Tensor

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
]


class _TensorType(type):
    """FloatTensor(2, 3) is not cleared, FloatTensor([1, 2]) has these values, isinstance asks the dtype."""

    dtype: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        return _C._legacy_new(cls.dtype, args, kwargs)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype and instance.device.type == "cpu"


def _make(name: str, dtype: Any) -> Any:
    doc = f"A tensor of {dtype} from sizes or data. Same as torch.{name}."
    return _TensorType(name, (), {"dtype": dtype, "__module__": "torch", "__doc__": doc})


FloatTensor = _make("FloatTensor", _C.float32)
DoubleTensor = _make("DoubleTensor", _C.float64)
HalfTensor = _make("HalfTensor", _C.float16)
BFloat16Tensor = _make("BFloat16Tensor", _C.bfloat16)
ByteTensor = _make("ByteTensor", _C.uint8)
CharTensor = _make("CharTensor", _C.int8)
ShortTensor = _make("ShortTensor", _C.int16)
IntTensor = _make("IntTensor", _C.int32)
LongTensor = _make("LongTensor", _C.int64)
BoolTensor = _make("BoolTensor", _C.bool)

_TYPES = {name: globals()[name] for name in __all__}
_NAMES = {kind.dtype: name for name, kind in _TYPES.items()}
_NAMES |= {_C.complex64: "ComplexFloatTensor", _C.complex128: "ComplexDoubleTensor"}


def type_name(x: Tensor) -> str:
    """What x.type() says: "torch.FloatTensor"."""
    place = "" if x.device.type == "cpu" else f"{x.device.type}."
    return f"torch.{place}{_NAMES[x.dtype]}"


def dtype_named(kind: Any) -> Any:
    """The dtype that x.type(kind) asks for: a dtype, FloatTensor or its name."""
    if isinstance(kind, str):
        found = _TYPES.get(kind.removeprefix("torch."))
        if found is None:
            raise ValueError(f"type: invalid type: {kind!r}")
        return found.dtype
    return kind.dtype if isinstance(kind, _TensorType) else kind
