"""More Tensor methods and properties that need no C++; set on Tensor by the loop at the end."""

from __future__ import annotations

from typing import Any

from pynn import _numeric
from pynn._C import Tensor

__all__: list[str] = []


def _H(self: Tensor) -> Tensor:
    if self.dim() not in (0, 2):
        hint = " For batches of matrices, consider using tensor.mH" if self.dim() > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.dim()}-D tensor.{hint}"
        )
    return self.transpose(0, 1) if self.dim() else self


def _mH(self: Tensor) -> Tensor:
    if self.dim() == 1:
        raise RuntimeError("tensor.mH is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return self.transpose(-2, -1) if self.dim() else self


def _from_linalg(name: str) -> Any:
    """A method that loads linear algebra when first called."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        from pynn._linalg import aliases

        return getattr(aliases, name)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"See pynn.{name}."
    return method


_METHODS: dict[str, Any] = {
    "H": property(_H, doc="The transpose of a matrix."),
    "histogram": _numeric.histogram,
    "mH": property(_mH, doc="The last two dims swapped."),
}
for _name in (
    "cholesky cholesky_inverse cholesky_solve det geqrf inverse logdet lu lu_solve matrix_exp matrix_power orgqr ormqr "
    "pinverse qr slogdet svd triangular_solve"
).split():
    _METHODS[_name] = _from_linalg(_name)
for _name, _function in _METHODS.items():
    setattr(Tensor, _name, _function)
