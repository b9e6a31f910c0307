// pad.h -- rows of planes from rows of smaller or larger planes: padding, and the transposed map.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// The planes of `padded` are [rows, cols], those of `plain` [-, plain_cols]: row r comes from row[r] of the plain
// plane, column c from column[c]; -1 means `value`. Columns [begin, end) come from neighbours, from column `from` on,
// and column[] says nothing of them.
struct PadArgs {
  void *padded, *plain;
  const void* value;  // one element
  DType dtype;
  int64_t planes, plain_plane, plain_cols, rows, cols;  // plain_plane: elements
  const int64_t *row, *column;
  int64_t begin, end, from;
};
PYNN_CPU_ONLY_KERNEL(void, pad, (const PadArgs& args));
// plain = sums of padded, whose elements that come from nowhere count for nothing.
PYNN_CPU_ONLY_KERNEL(void, pad_sum, (const PadArgs& args));

}  // namespace pynn
