// triangle.h -- one triangle of matrices, zeros in the other.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// y [batch, rows, cols], contiguous, <- x where column - row <= diagonal (lower) or >= diagonal, else 0.
struct TriangleArgs {
  void* y;
  const void* x;
  DType dtype;
  int64_t batch, rows, cols;
  int64_t x_batch, x_row, x_col;  // strides in elements
  int64_t diagonal;
  bool lower;
};
PYNN_CPU_ONLY_KERNEL(void, triangle, (const TriangleArgs& args));

}  // namespace pynn
