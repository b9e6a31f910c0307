// factor.h -- triangular factors of matrices, in place: LU with partial pivoting, and Cholesky.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// Matrices of Float32 or Float64, contiguous, in a contiguous batch.
struct FactorArgs {
  void* a;  // [batch, m, n]
  int64_t m, n, batch;
  DType dtype;
  int32_t* pivots;  // LU: [batch, min(m, n)], the row (from 1) that row i changed places with at step i
  int32_t* info;    // [batch]: LU: the first (from 1) zero on U's diagonal; Cholesky: the order of the first leading
                    // minor that is not positive, where it stopped; or 0
};
// P A = L U, L's diagonal being 1.
PYNN_CPU_ONLY_KERNEL(void, lu_factor, (const FactorArgs& args));
// A = U^T U, from A's upper triangle; the lower one becomes 0.
PYNN_CPU_ONLY_KERNEL(void, cholesky_factor, (const FactorArgs& args));
// The row exchanges of [batch, steps] pivots, on rows of `n` elements of `size` bytes; backwards: the last one first.
PYNN_CPU_ONLY_KERNEL(void, exchange_rows,
                     (void* x, int64_t m, int64_t n, int64_t size, int64_t batch, const int32_t* pivots, int64_t steps,
                      bool backwards));

}  // namespace pynn
