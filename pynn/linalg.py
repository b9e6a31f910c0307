"""Linear algebra. Same as torch.linalg, of real tensors; values come from NumPy's LAPACK, imported when first used.

Tensors on CUDA are copied to the host, and the results back: each such call waits for the device.
"""

from __future__ import annotations

from pynn import _C
from pynn._C import Tensor, matmul
from pynn._linalg.common import LinAlgError
from pynn._linalg.factor import (
    cholesky,
    cholesky_ex,
    householder_product,
    lu,
    lu_factor,
    lu_factor_ex,
    qr,
)
from pynn._linalg.ldl import ldl_factor, ldl_factor_ex, ldl_solve
from pynn._linalg.lstsq import lstsq
from pynn._linalg.norms import cond, matrix_norm, norm, vector_norm
from pynn._linalg.products import (
    matrix_exp,
    matrix_power,
    multi_dot,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
)
from pynn._linalg.solve import (
    det,
    inv,
    inv_ex,
    lu_solve,
    slogdet,
    solve,
    solve_ex,
)
from pynn._linalg.spectral import eig, eigh, eigvals, eigvalsh, matrix_rank, pinv, svd, svdvals

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

cross, solve_triangular = _C._linalg.cross, _C._linalg.solve_triangular


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, a view. Same as torch.linalg.diagonal."""
    return A.diagonal(offset, dim1, dim2)
