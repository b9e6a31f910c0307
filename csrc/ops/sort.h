// sort.h -- order along a dim.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

// The first k in order (all if k is the size); stable, NaN counts as the largest.
std::tuple<Tensor, Tensor> first_k(const char* op, const Tensor& x, int64_t dim, int64_t k, bool descending);

}  // namespace pynn::ops
