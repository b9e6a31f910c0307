// triangular.h -- X = A^-1 X for triangular A, in place: the blocks on the diagonal of larger systems.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct TriangularArgs {
  const void* a;  // [n, n], the lower triangle is read
  void* x;        // [n, m], columns next to each other
  int64_t n, m;
  int64_t a_rs, a_cs, x_rs;  // in elements; an upper triangle is a lower one from its last row and column on
  int64_t batch, a_batch, x_batch;
  bool unit;    // the diagonal is 1, and not read
  DType dtype;  // Float32 or Float64
};
PYNN_CPU_ONLY_KERNEL(void, solve_lower, (const TriangularArgs& args));

}  // namespace pynn
