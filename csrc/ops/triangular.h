// triangular.h -- triangular systems, for the ops that factor matrices.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

// x = a^-1 x, values only, on the CPU: a [batch, n, n] of any strides, x [batch, n, m] whose columns are next to each
// other.
void solve_in_place(const Tensor& a, const Tensor& x, bool upper, bool unit);

}  // namespace pynn::ops
