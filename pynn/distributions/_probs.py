"""The parameter of distributions that take `probs` or `logits`, one given and the other computed when asked for."""

from __future__ import annotations

from typing import Any

from pynn import Size, Tensor

from .distribution import Distribution
from .utils import lazy_property, logits_to_probs, probs_to_logits


def check_one_given(probs: Any, logits: Any) -> None:
    """Refuse both and neither."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class BinaryParam(Distribution):
    """`probs` of success, or its log odds `logits`; `_param` is the one that was given."""

    _param: Tensor

    def _set_param(self, probs: Tensor | None, logits: Tensor | None) -> None:
        name, self._param = ("logits", logits) if probs is None else ("probs", probs)  # type: ignore[assignment]
        self.__dict__[name] = self._param

    @lazy_property
    def logits(self) -> Tensor:
        """The log odds."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """The probability."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter that was given."""
        return self._param.shape

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)
