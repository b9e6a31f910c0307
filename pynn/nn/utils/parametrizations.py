"""Ready-made parametrizations: weight_norm, spectral_norm, orthogonal. Same as torch.nn.utils.parametrizations."""

from __future__ import annotations

import pynn
from pynn import Tensor
from pynn._linalg.aliases import geqrf
from pynn.type_info import finfo

from .. import functional as F
from ..modules.module import Module
from . import parametrize
from ._norms import along_first, direction_norms, transposes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """g v / |v|, the norms over all dims but `dim`."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / direction_norms(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return g and v for a weight."""
        return direction_norms(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """Train the length and the direction of a weight apart; return the module.

    Salimans and Kingma 2016, arXiv:1602.07868. State dicts of the older nn.utils.weight_norm can be loaded.

    Args:
        dim: lengths are one for each index of this dim; None: one for all.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def accept_old_keys(state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(accept_old_keys)
    return module


class _SpectralNorm(Module):
    """The weight divided by its largest singular value, as a power iteration knows it."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        dims = weight.dim()
        if not -dims <= dim < dims:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{dims}, {dims - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % dims
        self.eps = eps
        if dims > 1:
            self.n_power_iterations = n_power_iterations
            matrix = along_first(weight, self.dim).flatten(1)
            for key, n in zip(("_u", "_v"), matrix.shape, strict=True):
                start = matrix.detach().new_empty(n).normal_(0, 1)
                self.register_buffer(key, F.normalize(start, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        with pynn.no_grad():
            for _ in range(times):
                self._u.copy_(F.normalize(pynn.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(pynn.mv(matrix.t(), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = along_first(weight, self.dim).flatten(1)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        # Copies: the next call writes to the buffers, and this one's backward reads them.
        u, v = self._u.clone(), self._v.clone()
        return weight / pynn.dot(u, pynn.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        """Return the weight itself."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value; return the module. Miyato et al. 2018, arXiv:1802.05957.

    Args:
        n_power_iterations: steps of the power iteration in each forward of training.
        dim: the dim of the outputs; by default 1 for transposed convolutions, else 0.

    Raises:
        ValueError: the module has no such parameter or buffer.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if transposes(module) else 0
    norm = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return parametrize.register_parametrization(module, name, norm)


def _is_orthogonal(q: Tensor) -> bool:
    n, k = q.shape[-2:]
    eye = pynn.eye(k, dtype=q.dtype, device=q.device)
    return pynn.allclose(q.mT @ q, eye, atol=10 * n * finfo(q.dtype).eps)


def _orthogonalized(a: Tensor) -> Tensor:
    """The Q of a = Q R with a positive diagonal in R."""
    reflections, tau = geqrf(a)
    q = pynn.linalg.householder_product(reflections, tau)
    return q * reflections.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


class _Orthogonal(Module):
    """An orthogonal matrix, or one with orthonormal columns or rows, from any matrix."""

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.size(-2) < x.size(-1)
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            vectors = x.tril(-1)
            tau = 2.0 / (1.0 + (vectors * vectors).sum(-2))
            signs = x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
            q = pynn.linalg.householder_product(vectors, tau) * signs
        else:
            x = x.tril()
            if n != k:
                x = pynn.cat([x, x.new_zeros((*x.shape[:-2], n, n - k))], -1)
            skew = x - x.mT
            if self.orthogonal_map == "matrix_exp":
                q = pynn.linalg.matrix_exp(skew)
            else:
                eye = pynn.eye(n, dtype=x.dtype, device=x.device)
                q = pynn.linalg.solve(eye - 0.5 * skew, eye + 0.5 * skew)
            q = q[..., :k]
        if self.use_trivialization:
            q = self.base @ q  # type: ignore[operator]
        return q.mT if wide else q

    def right_inverse(self, value: Tensor) -> Tensor:
        """Return what gives `value`, made orthogonal where it is not."""
        if value.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {value.shape}."
            )
        with pynn.no_grad():
            wide = value.size(-2) < value.size(-1)
            q = value.mT if wide else value
            n, k = q.shape[-2:]
            if not self.use_trivialization:
                if self.orthogonal_map != "householder":
                    raise NotImplementedError(
                        "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                        "use_trivialization=False."
                    )
                vectors, tau = geqrf(q)
                diagonal = vectors.diagonal(dim1=-2, dim2=-1)
                diagonal.copy_(diagonal.sign() * pynn.where(tau == 0.0, -1.0, 1.0))
                return vectors.mT if wide else vectors
            # The matrix is kept as `base`, and what is trained starts as the map of no rotation.
            if n != k:
                q = _orthogonalized(
                    pynn.cat([q, pynn.randn(*q.shape[:-2], n, n - k, dtype=q.dtype, device=q.device)], -1)
                )
            elif _is_orthogonal(q):
                q = q.clone()
            else:
                q = _orthogonalized(q)
            self.base = q
            start = pynn.zeros_like(value)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return start


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix, or a batch of them, orthogonal; return the module. Lezcano-Casado 2019, arXiv:1909.09501.

    Args:
        orthogonal_map: "matrix_exp" (the default for square matrices), "cayley", or "householder".
        use_trivialization: train the change from the present matrix, not the matrix itself.

    Raises:
        ValueError: there is no such matrix or map.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.dim() < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.dim()} dimensions."
        )
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.size(-2) == weight.size(-1) else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    function = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return parametrize.register_parametrization(module, name, function, unsafe=True)
