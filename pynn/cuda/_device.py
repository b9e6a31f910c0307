"""Which CUDA devices there are, and which is the current one."""

from __future__ import annotations

from typing import Any, NamedTuple

import pynn
from pynn import _C

# None in a build without CUDA; then nothing in this package ever gets further than require().
backend: Any = getattr(_C, "_cuda", None)

_NO_BUILD = "cuda: this build of pynn has no CUDA support (build it with -C cmake.define.PYNN_CUDA=ON)"


def why_unavailable() -> str:
    """Why no CUDA device can be used; empty where one can."""
    return _NO_BUILD if backend is None else backend.why_unavailable()


def require() -> Any:
    """The backend, once there is a device to use.

    Raises:
        RuntimeError: there is none, and why.
    """
    if backend is None:
        raise RuntimeError(_NO_BUILD)
    if not backend.device_count():
        raise RuntimeError(f"cuda: no CUDA device can be used ({backend.why_unavailable()})")
    return backend


def is_available() -> bool:
    """Whether tensors can be on a CUDA device. Same as torch.cuda.is_available."""
    return backend is not None and backend.device_count() > 0


def device_count() -> int:
    """How many CUDA devices there are. Same as torch.cuda.device_count."""
    return 0 if backend is None else backend.device_count()


def index_of(device: Any = None, optional: bool = True) -> int:
    """The number of a device given as a number, a name, a pynn.device or (the current one) None.

    Raises:
        ValueError: it is no CUDA device.
        RuntimeError: there is no such device.
    """
    cuda = require()
    if device is None and optional:
        return int(cuda.current_device())
    if not isinstance(device, int):
        device = pynn.device(device)
        if device.type != "cuda":
            raise ValueError(f"cuda: Expected a cuda device, but got: {device}")
        device = cuda.current_device() if device.index is None else device.index
    if not 0 <= device < cuda.device_count():
        raise RuntimeError(f"cuda: invalid device ordinal, got {device} of {cuda.device_count()}")
    return int(device)


def current_device() -> int:
    """The number of the current device. Same as torch.cuda.current_device."""
    return int(require().current_device())


def set_device(device: Any) -> None:
    """Make a device the current one of this thread. Same as torch.cuda.set_device."""
    if isinstance(device, int) and device < 0:
        return
    require().set_device(index_of(device))


def synchronize(device: Any = None) -> None:
    """Wait for all work of a device, and raise what its kernels found. Same as torch.cuda.synchronize."""
    require().synchronize(index_of(device))


class device:
    """A with block in which a device is the current one; none for None. Same as torch.cuda.device."""

    def __init__(self, device: Any = None) -> None:
        negative = isinstance(device, int) and device < 0
        self.idx = -1 if device is None or negative else index_of(device)
        self.prev_idx = -1

    def __enter__(self) -> None:
        if self.idx >= 0:
            self.prev_idx = current_device()
            set_device(self.idx)

    def __exit__(self, *error: Any) -> None:
        if self.idx >= 0:
            set_device(self.prev_idx)


class device_of(device):
    """A with block in which the device of a tensor is the current one. Same as torch.cuda.device_of."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else None)


class DeviceProperties(NamedTuple):
    """What a device is; sizes in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int
    max_threads_per_multi_processor: int
    shared_memory_per_block: int
    regs_per_multiprocessor: int
    L2_cache_size: int
    is_integrated: int
    is_multi_gpu_board: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """What a device is. Same as torch.cuda.get_device_properties."""
    index = index_of(device)
    return DeviceProperties(**backend.properties(index))


def get_device_name(device: Any = None) -> str:
    """Its name, such as 'NVIDIA H200'. Same as torch.cuda.get_device_name."""
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability (major, minor). Same as torch.cuda.get_device_capability."""
    p = get_device_properties(device)
    return p.major, p.minor


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current device computes in bfloat16: from capability 8.0 on, or (emulated) any.

    Same as torch.cuda.is_bf16_supported.
    """
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether the current device's products can be of TF32. Same as torch.cuda.is_tf32_supported."""
    return is_bf16_supported(including_emulation=False)


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """False: devices do not map each other's memory; copies go by way of the driver."""
    index_of(device), index_of(peer_device)
    return False
