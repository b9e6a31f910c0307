// search.h -- places in sorted tensors.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

// Where each value would have to be inserted into a sorted vector: before equal ones, or behind them if `right`.
Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right);

// The least and the greatest element of x, which has some, in host memory.
Tensor range_of(const Tensor& x);

}  // namespace pynn::ops
