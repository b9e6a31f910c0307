"""What nvidia-smi tells of a device, by NVIDIA's package nvidia-ml-py, which is imported when first used."""

from __future__ import annotations

import os
from typing import Any

from pynn.cuda._device import index_of


def _nvml() -> Any:
    try:
        import pynvml
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "nvidia-ml-py does not seem to be installed or it can't be imported."
        ) from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_DriverNotLoaded as error:
        raise RuntimeError("cuda driver can't be loaded, is cuda enabled?") from error
    return pynvml


def _device(device: Any) -> tuple[Any, Any]:
    """NVML and its handle: it counts all devices, CUDA those that CUDA_VISIBLE_DEVICES leaves."""
    nvml = _nvml()
    index = index_of(device)
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        name = visible.split(",")[index].strip()
        if not name.isdigit():
            return nvml, nvml.nvmlDeviceGetHandleByUUID(name)
        index = int(name)
    return nvml, nvml.nvmlDeviceGetHandleByIndex(index)


def utilization(device: Any = None) -> int:
    """Percent of the last moments in which some kernel ran. Same as torch.cuda.utilization."""
    nvml, handle = _device(device)
    return int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)


def memory_usage(device: Any = None) -> int:
    """Percent of the last moments in which memory was read or written. Same as torch.cuda.memory_usage."""
    nvml, handle = _device(device)
    return int(nvml.nvmlDeviceGetUtilizationRates(handle).memory)


def device_memory_used(device: Any = None) -> int:
    """Bytes in use, by all processes. Same as torch.cuda.device_memory_used."""
    nvml, handle = _device(device)
    return int(nvml.nvmlDeviceGetMemoryInfo(handle).used)


def temperature(device: Any = None) -> int:
    """In degrees Celsius. Same as torch.cuda.temperature."""
    nvml, handle = _device(device)
    return int(nvml.nvmlDeviceGetTemperature(handle, 0))


def power_draw(device: Any = None) -> int:
    """In milliwatts. Same as torch.cuda.power_draw."""
    nvml, handle = _device(device)
    return int(nvml.nvmlDeviceGetPowerUsage(handle))


def clock_rate(device: Any = None) -> int:
    """Of the multiprocessors, in MHz. Same as torch.cuda.clock_rate."""
    nvml, handle = _device(device)
    return int(nvml.nvmlDeviceGetClockInfo(handle, 1))


def list_gpu_processes(device: Any = None) -> str:
    """The processes that compute there and their memory, as text. Same as torch.cuda.list_gpu_processes."""
    try:
        nvml, handle = _device(device)
    except ModuleNotFoundError:
        return "pynvml module not found, please install nvidia-ml-py"
    lines = [f"GPU:{index_of(device)}"]
    processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    lines += [
        f"process {p.pid:>10d} uses {(p.usedGpuMemory or 0) / (1 << 20):>12.3f} MB GPU memory"
        for p in processes
    ]
    return "\n".join(lines if processes else [*lines, "no processes are running"])
