"""Functions of tensors that are written in Python. All of them are names of the package itself."""

from __future__ import annotations

__all__: list[str] = []
