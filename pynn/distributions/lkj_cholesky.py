"""The LKJ distribution of correlation matrices, by their Cholesky factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pynn
from pynn import Size, Tensor

from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Factors L of dim x dim correlation matrices with density det(L L^T)^(concentration - 1) times a constant.

    Lewandowski, Kurowicka and Joe (2009).
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _params = {"concentration": 0}
    dim: int
    _beta: Beta

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # Row i has i entries left of the diagonal, whose squared length is Beta(i / 2, c + (dim - 1 - i) / 2). Row 0,
        # which has none, takes the place of row 1, and is cleared.
        c = self.concentration
        row = pynn.arange(dim, dtype=c.dtype, device=c.device).clamp(min=1)
        self._beta = Beta(0.5 * row, c.unsqueeze(-1) + 0.5 * (dim - 1 - row))
        super().__init__(c.shape, Size((dim, dim)), validate_args)

    def _expand_more(self, new: Any, batch_shape: Size) -> None:
        new.dim = self.dim
        new._beta = self._beta.expand(batch_shape + (self.dim,))

    @pynn.no_grad()
    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """The onion method: the length of each row, and a direction evenly drawn from a sphere."""
        sample_shape = Size(sample_shape)
        lengths = self._beta.sample(sample_shape).unsqueeze(-1)
        c = self.concentration
        normal = pynn.randn(self._extended_shape(sample_shape), dtype=c.dtype, device=c.device).tril(-1)
        rows = lengths.sqrt() * (normal / normal.norm(dim=-1, keepdim=True))
        rows[..., 0, :].fill_(0.0)  # 0 / 0
        diagonal = (1 - (rows**2).sum(-1)).clamp(min=pynn.finfo(rows.dtype).tiny).sqrt()
        return rows + pynn.diag_embed(diagonal)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        c, n = self.concentration, self.dim
        order = pynn.arange(2, n + 1, device=c.device)
        order = 2 * (c - 1).unsqueeze(-1) + n - order
        density = (order * value.diagonal(dim1=-1, dim2=-2)[..., 1:].log()).sum(-1)
        m = n - 1
        alpha = c + 0.5 * m
        return density - 0.5 * m * math.log(math.pi) - pynn.mvlgamma(alpha - 0.5, m) + m * pynn.lgamma(alpha)
