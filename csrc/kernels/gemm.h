// gemm.h -- C = alpha * A B + beta * C (+ bias per column) with any strides; the core of linear, matmul, conv and RNN.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/precision.h"
#include "kernels/stub.h"

namespace pynn {

enum class Epilogue : uint8_t { None, Relu };

struct GemmArgs {
  int64_t m, n, k;
  const void *a, *b;
  void* c;
  // Strides in elements of (row, column): A [m,k], B [k,n], C [m,n]. C must not overlap itself, A or B.
  int64_t a_rs, a_cs, b_rs, b_cs, c_rs, c_cs;
  DType dtype;  // Float32, Float64; half and integer types take a plain loop with float32 / int64 accumulators
  double alpha = 1, beta = 0;  // beta 0: C is not read (it may hold NaN)
  const void* bias = nullptr;  // [n], added to each row
  Epilogue epilogue = Epilogue::None;
  int parts = kAllParts;          // of bfloat16 for each float32, where AMX multiplies them; core/precision.h
  bool b_stays = false;           // B is a weight that comes again, and will be made ready if that is of use
  const void* b_ready = nullptr;  // B as gemm_make_ready left it, of so many parts
  // Batched: batch products, steps in elements (0: shared operand).
  int64_t batch = 1, a_batch = 0, b_batch = 0, c_batch = 0;
};
PYNN_KERNEL(void, gemm, (const GemmArgs& args));
// B made ready ahead, for a weight that many products share; the results are the same. Bytes that it takes: 0 where
// this product has no use for it.
PYNN_CPU_ONLY_KERNEL(size_t, gemm_ready_bytes, (const GemmArgs& args));
PYNN_CPU_ONLY_KERNEL(void, gemm_make_ready, (const GemmArgs& args, void* to));
PYNN_KERNEL(void, gemm_int8, (const GemmArgs& args));  // A of int8 or uint8 (dtype), B of int8, C of int32, which wraps

}  // namespace pynn
