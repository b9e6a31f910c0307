// special.h -- running the kernels of special functions on tensors of any layout and type.
#pragma once
#include "kernels/special.h"
#include "ops/op.h"

namespace pynn::ops {

// Integers become the default float type; half types compute as float32. Values only.
Tensor run_special(Special1 op, const Tensor& x, double param = 0);
// Operands broadcast and promote; numbers count as in arithmetic.
Tensor run_special(const char* name, Special2 op, Other a, Other b);

Tensor logaddexp(const Tensor& a, const Tensor& b);
Tensor lgamma(const Tensor& x);
Tensor digamma(const Tensor& x);
Tensor polygamma(int64_t n, const Tensor& x);

}  // namespace pynn::ops
