// distance.h -- y[b, i, j] = (sum_k |x1[b, i, k] - x2[b, j, k]|^p)^(1/p) of contiguous batches of vectors.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct DistanceArgs {
  const void *x1, *x2;
  void* y;
  int64_t batch, rows1, rows2, length;
  double p;     // 0 counts differences, inf takes the largest
  DType dtype;  // float32 or float64
};
PYNN_KERNEL(void, distances, (const DistanceArgs& args));

}  // namespace pynn
