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
    place: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        return _C._legacy_new(cls.dtype, args, kwargs).to(available(cls).place)

    def __instancecheck__(cls, instance: object) -> bool:
        return (
            isinstance(instance, Tensor) and instance.dtype == cls.dtype and instance.device.type == cls.place
        )


def _make(name: str, dtype: Any, module: str = "torch", place: str = "cpu") -> Any:
    doc = f"A tensor of {dtype} from sizes or data. Same as {module}.{name}."
    return _TensorType(name, (), {"dtype": dtype, "place": place, "__module__": module, "__doc__": doc})


def available(kind: Any) -> Any:
    """`kind` itself.

    Raises:
        TypeError: it is a type of CUDA's, which this machine has not.
    """
    if kind.place == "cuda":
        from pynn.cuda._device import is_available

        if not is_available():
            raise TypeError(f"type {kind.__module__}.{kind.__name__} not available: there is no CUDA device")
    return kind


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
_CUDA_TYPES = {name: _make(name, kind.dtype, "torch.cuda", "cuda") for name, kind in _TYPES.items()}
_NAMES = {kind.dtype: name for name, kind in _TYPES.items()}
_NAMES |= {_C.complex64: "ComplexFloatTensor", _C.complex128: "ComplexDoubleTensor"}


def type_name(x: Tensor) -> str:
    """What x.type() says: "torch.FloatTensor"."""
    place = "" if x.device.type == "cpu" else f"{x.device.type}."
    return f"torch.{place}{_NAMES[x.dtype]}"


def _type_named(kind: Any) -> Any:
    if not isinstance(kind, str):
        return kind
    name = kind.removeprefix("torch.")
    found = _CUDA_TYPES.get(name[5:]) if name.startswith("cuda.") else _TYPES.get(name)
    if found is None:
        raise ValueError(f"type: invalid type: {kind!r}")
    return found


def dtype_named(kind: Any) -> Any:
    """The dtype that x.type(kind) asks for: a dtype, FloatTensor or its name."""
    kind = _type_named(kind)
    return available(kind).dtype if isinstance(kind, _TensorType) else kind


def place_named(kind: Any, x: Tensor) -> Any:
    """The device that x.type(kind) asks for: x's own, unless FloatTensor or its kin name another."""
    kind = _type_named(kind)
    return x.device if not isinstance(kind, _TensorType) or kind.place == x.device.type else kind.place
