// elementwise_plan.h -- from sizes and strides as tensors have them to the loop nest that a map should run.
#pragma once
#include <cstdint>

#include "kernels/elementwise.h"

namespace pynn {

// Fills args.ndim, sizes, numel and each operand's strides (data, dtype, compute and params stay): drops dims of size
// 1, orders the rest so that the result's smallest stride is innermost, and joins neighbours that every operand walks
// through as one. strides[k][d] is operand k's stride along dim d in elements, 0 where it is broadcast.
void plan(MapArgs& args, int ndim, const int64_t* sizes, int noperands, const int64_t* const* strides);

}  // namespace pynn
