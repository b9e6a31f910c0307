// random.h -- random ops that others use.
#pragma once
#include "kernels/random.h"
#include "ops/op.h"

namespace pynn::ops {

// The generator to draw from for tensors of that kind of device; RuntimeError if it is of another.
CpuGenerator& cpu_generator(Generator* g);
CudaGenerator& cuda_generator(Generator* g, Device device);
// The next counters of cuda_generator(g, device).
Philox next_philox(Generator* g, Device device, int64_t counters);
// Fills a CUDA tensor of any layout; of args, kind and what it needs are set.
void fill_cuda(const Tensor& out, Generator* g, RandomArgs args);

Tensor dropout(const Tensor& x, double p, bool training);

}  // namespace pynn::ops
