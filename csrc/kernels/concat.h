// concat.h -- tensors behind each other, in one pass over the result.
#pragma once
#include <cstdint>

#include "kernels/stub.h"

namespace pynn {

constexpr int kConcatParts = 64;

// y [outer, y_row] <- contiguous x [outer, row] at column `at`, for each part. All in bytes but outer.
struct ConcatArgs {
  void* y;
  int64_t outer, y_row;
  int n;
  struct Part {
    const void* x;
    int64_t row, at;
  } parts[kConcatParts];
};
PYNN_KERNEL(void, concat_parts, (const ConcatArgs& args));

}  // namespace pynn
