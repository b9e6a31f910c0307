// cublaslt.h -- a matrix product by cuBLASLt.
#pragma once
#include <cstdint>

#include "core/dtype.h"

namespace pynn::cuda {

// Column-major, as cuBLAS sees memory: C [m, n] = alpha * op(A) op(B) + beta * C, plus bias[m] on each column, then
// relu. op is the transpose where asked for; leading dims in elements.
struct ColumnProduct {
  int64_t m, n, k;
  const void *a, *b;
  void* c;
  bool transpose_a, transpose_b, relu;
  int64_t lda, ldb, ldc;
  int64_t batch, a_batch, b_batch, c_batch;
  const void* bias;  // or nullptr
  double alpha, beta;
  DType dtype;  // floating
};

// False if there is no cuBLASLt here, or it has no way to do this: nothing was done then.
bool cublaslt_product(const ColumnProduct& p);

}  // namespace pynn::cuda
