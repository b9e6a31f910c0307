"""Signal processing. Same as torch.signal."""

from pynn.signal import windows

__all__ = ["windows"]
