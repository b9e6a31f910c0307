// margin_loss.h -- loss[r] = sum over targets t of row r and other classes j of max(0, margin - x[t] + x[j]) / classes.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct MarginLossArgs {
  const void* x;          // [rows, classes], contiguous
  DType dtype;            // Float32 or Float64
  const int64_t* target;  // [rows, width], contiguous; a row ends at its first negative number
  int64_t rows, classes, width;
  double margin;
  void* loss;   // [rows]
  void* slope;  // nullable: the loss's derivative by x
};
// Whether all targets are classes (or, if `ends`, -1); else nothing else is true of the results.
PYNN_CPU_ONLY_KERNEL(bool, margin_loss, (const MarginLossArgs& args, bool ends));

}  // namespace pynn
