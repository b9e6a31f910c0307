// launch.h -- starts a kernel; kernels/cuda/launch.cuh is how kernels say so.
#pragma once
#include <cuda_runtime.h>

namespace pynn::cuda {

#ifndef PYNN_CUDA_EMULATED
// On the current stream. `kernel`: its address on the host; `parameters`: an address for each, in order.
void launch_kernel(const void* kernel, dim3 grid, dim3 block, size_t shared, void** parameters);
#endif

}  // namespace pynn::cuda
