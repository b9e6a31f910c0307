"""Models as ONNX files: not yet. The module is there for programs that export only when they are told to."""

from __future__ import annotations

from typing import Any

__all__ = ["export", "is_in_onnx_export"]


def export(model: Any, args: Any = (), f: Any = None, **kwargs: Any) -> None:
    """Raises: there is no exporter yet."""
    raise NotImplementedError("onnx.export: pynn has no exporter yet (save the state_dict() of the model)")


def is_in_onnx_export() -> bool:
    """False."""
    return False
