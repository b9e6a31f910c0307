// attention.h -- y = softmax(scale x + mask) along the last dim of contiguous scores x [..., rows, n].
//
// A row of which everything is masked gives zeros, not NaN.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/limits.h"
#include "kernels/stub.h"

namespace pynn {

struct MaskedSoftmaxArgs {
  const void* x;
  void* y;
  const void* mask;        // of x's dtype, added; nullptr: none
  DType dtype;             // Float32 or Float64
  int64_t count, rows, n;  // matrices, rows of each, columns
  double scale;
  bool causal;  // row r sees columns 0 to r only
  // The mask's strides in elements, 0 where it is broadcast; the first `dims` are those of the matrices' places.
  int dims;
  int64_t sizes[kMaxDims], strides[kMaxDims], row_stride, column_stride;
};
PYNN_KERNEL(void, masked_softmax, (const MaskedSoftmaxArgs& args));

}  // namespace pynn
