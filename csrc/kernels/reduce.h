// reduce.h -- reductions and scans over a [outer, reduced, inner] view of contiguous memory: element (o, r, i) lies at
// (o * nreduce + r) * ninner + i. inner == 1 is the row case, outer == 1 the column case. Splits follow the sizes,
// never the number of threads, so that every thread count gives the same bits.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class Reduce : uint8_t {
  Sum,
  Prod,
  Max,
  Min,
  ArgMax,
  ArgMin,
  Any,
  All,
  Norm,
  LogSumExp,
  Var,
  Mean,
  CountNonzero,
  NanSum
};

struct ReduceArgs {
  const void* x;
  DType dtype;  // of x
  void* y;      // [outer, inner]
  DType y_dtype;
  int64_t* index;  // Max, Min with indices (nullable); ArgMax, ArgMin write y as Int64
  int64_t outer, nreduce, inner;
  double param;  // Norm: p (0, inf, -inf included); Var: correction
};
// Sum of float32, float16, bfloat16 accumulates in wider registers or pairwise; integers in int64. Max, Min, ArgMax,
// ArgMin: NaN wins, the first of equal ones is taken. Var is two-pass. NanSum leaves NaNs out. nreduce == 0: Sum 0,
// Prod 1, Any 0, All 1, Norm 0, LogSumExp -inf, Mean and Var NaN; Max.. are refused by the op.
PYNN_KERNEL(void, reduce, (Reduce op, const ReduceArgs& args));

enum class Scan : uint8_t { Sum, Prod };
PYNN_KERNEL(void, scan, (Scan op, const ReduceArgs& args));  // y: [outer, nreduce, inner], inclusive

}  // namespace pynn
