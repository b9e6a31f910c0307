// launch.cpp -- kernels are started by the driver's cuLaunchKernel: the runtime's <<<>>> looks the kernel up in each
// call, which takes longer than all else that we do for a small op.
#include "cuda/launch.h"

#ifndef PYNN_CUDA_EMULATED
#include <cuda.h>

#include <array>

#include "cuda/runtime.h"

namespace pynn::cuda {
namespace {

using LaunchFunction = CUresult (*)(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                    CUstream, void**, void**);
LaunchFunction find_launch() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  if (cudaGetDriverEntryPointByVersion("cuLaunchKernel", &found, 12000, cudaEnableDefault, &result) != cudaSuccess)
    (void)cudaGetLastError();
  return reinterpret_cast<LaunchFunction>(found);
}

// A kernel as a device's context has it.
struct Loaded {
  const void* kernel = nullptr;
  int device = -1;
  CUfunction function = nullptr;  // null: the driver could not tell
  size_t shared = 48 * 1024;      // dynamic shared memory that it may ask for
};
constexpr size_t kLoaded = 512;  // a thread's; two kernels in one place push each other out

Loaded& loaded(const void* kernel) {
  thread_local std::array<Loaded, kLoaded> all;
  Loaded& one = all[reinterpret_cast<uintptr_t>(kernel) / 16 % kLoaded];
  const int device = accelerator->current_device();
  if (one.kernel != kernel || one.device != device) {
    one = {kernel, device};
    cudaFunction_t function = nullptr;
    if (cudaGetFuncBySymbol(&function, kernel) == cudaSuccess)
      one.function = function;
    else
      (void)cudaGetLastError();
  }
  return one;
}

}  // namespace

void launch_kernel(const void* kernel, dim3 grid, dim3 block, size_t shared, void** parameters) {
  static const LaunchFunction by_driver = find_launch();
  Loaded& k = loaded(kernel);
  if (shared > k.shared) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
          "launch");
    k.shared = shared;
  }
  if (by_driver && k.function &&
      by_driver(k.function, grid.x, grid.y, grid.z, block.x, block.y, block.z, static_cast<unsigned>(shared),
                current_stream(), parameters, nullptr) == CUDA_SUCCESS) [[likely]]
    return;
  // The first use of the device by this thread; or an error, which comes again and has the runtime's words.
  check(cudaLaunchKernel(kernel, grid, block, parameters, shared, current_stream()), "launch");
}

}  // namespace pynn::cuda
#endif
