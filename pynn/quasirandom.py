"""Numbers that fill the unit cube evenly. Names as in torch.quasirandom."""

from __future__ import annotations

import warnings
from typing import Any

import pynn
from pynn import Tensor

__all__ = ["SobolEngine"]


class SobolEngine:
    """Sobol's sequence in [0, 1)^dimension, with the direction numbers of Joe and Kuo 2008, by SciPy's qmc.Sobol.

    Same as torch.quasirandom.SobolEngine, but that scrambled points are other ones than PyTorch's of the same seed.

    Args:
        dimension: 1 to 21201.
        scramble: Owen's scrambling (as a linear matrix and a shift): unbiased, and without the origin.
        seed: of the scrambling; None draws one from pynn's generator.

    Raises:
        ValueError: the dimension is out of range.
        ModuleNotFoundError: SciPy is not installed.
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(f"SobolEngine: dimension must be in 1 to {self.MAXDIM}, got {dimension}")
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        if scramble and seed is None:
            seed = int(pynn.randint(2**31, (1,)).item())
        self._seed = seed
        self.reset()

    def reset(self) -> SobolEngine:
        """Begin anew, with the same scrambling."""
        try:
            from scipy.stats import qmc  # type: ignore
        except ImportError:
            raise ModuleNotFoundError("SobolEngine needs SciPy (pip install scipy)", name="scipy") from None
        self._points: Any = qmc.Sobol(
            self.dimension, scramble=self.scramble, seed=self._seed, bits=self.MAXBIT
        )
        self.num_generated = 0
        return self

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next n points, [n, dimension]."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers that are no powers of two, which PyTorch lets pass
            points = self._points.random(n)
        self.num_generated += n
        result = pynn.as_tensor(points, dtype=dtype or pynn.get_default_dtype())
        return result if out is None else out.resize_(result.shape).copy_(result)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next 2**m points, after which their number is to be a power of two.

        Raises:
            ValueError: it would not be.
        """
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' sequences require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: n={self.num_generated}+2**{m}={total}."
            )
        return self.draw(n, out, dtype)

    def fast_forward(self, n: int) -> SobolEngine:
        """Leave out the next n points."""
        self._points.fast_forward(n)
        self.num_generated += n
        return self

    def __repr__(self) -> str:
        options = ["scramble=True"] * self.scramble + [f"seed={self.seed}"] * (self.seed is not None)
        return f"{type(self).__name__}({', '.join([f'dimension={self.dimension}', *options])})"
