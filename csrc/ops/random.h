// random.h -- random ops that others use.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor dropout(const Tensor& x, double p, bool training);

}  // namespace pynn::ops
