// resample.h -- sparse linear maps along one dim or two: pooling by averages, interpolation, and their gradients.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// y[a, o, b] = sum_k weight[first[o] + k] x[a, start[o] + k, b] for k < first[o + 1] - first[o]; contiguous.
struct ResampleArgs {
  const void* x;
  void* y;
  DType dtype;  // Float32, Float64 or Int64 (weights are cut to integers)
  int64_t outer, in, out, inner;
  const int64_t *start, *first;
  const double* weight;
};
PYNN_KERNEL(void, resample, (const ResampleArgs& args));

// Along two dims that lie next to each other, [outer, rows, columns, inner], without a tensor between them.
struct ResamplePlaneArgs {
  const void* x;
  void* y;
  DType dtype;
  int64_t outer, inner;
  struct Map {
    int64_t in, out;
    const int64_t *start, *first;
    const double* weight;
  } rows, columns;
};
PYNN_CPU_ONLY_KERNEL(void, resample_plane, (const ResamplePlaneArgs& args));

}  // namespace pynn
