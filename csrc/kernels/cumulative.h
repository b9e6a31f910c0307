// cumulative.h -- running extrema and running log-sum-exp along the middle dim of contiguous [outer, n, inner].
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct CumulativeArgs {
  const void* x;
  void* y;         // of x's type
  int64_t* index;  // where each extremum stands: the last of equal ones, the last NaN once there was one
  int64_t outer, n, inner;
  DType dtype;
};
PYNN_KERNEL(void, cumulative_extreme, (const CumulativeArgs& args, bool largest));
PYNN_KERNEL(void, cumulative_logsumexp, (const CumulativeArgs& args));  // floating types

// values and index: contiguous rows [rows, n], sorted as kernels::sort_rows leaves them. The most frequent value of
// each row, of equally frequent ones the least, and the last of its positions.
struct ModeArgs {
  const void* sorted;
  const int64_t* index;
  void* mode;
  int64_t* position;
  int64_t rows, n;
  DType dtype;
};
PYNN_KERNEL(void, mode_rows, (const ModeArgs& args));

}  // namespace pynn
