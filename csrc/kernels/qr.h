// qr.h -- A = Q R by Householder reflections: Q = I - V T V^T.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// Contiguous matrices of Float32 or Float64, m >= n, in contiguous batches.
struct QrArgs {
  void* a;      // [batch, m, n], becomes V: 1 on the diagonal, 0 above it
  void *r, *t;  // [batch, n, n], upper triangles; filled with 0 before
  int64_t m, n, batch;
  DType dtype;
};
PYNN_CPU_ONLY_KERNEL(void, qr_factor, (const QrArgs& args));

}  // namespace pynn
