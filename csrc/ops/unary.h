// unary.h -- maps of one operand.
#pragma once
#include "kernels/elementwise.h"
#include "ops/op.h"

namespace pynn::ops {

void check_floating(const char* op, const Tensor& x);  // RuntimeError unless of a float type

#define PYNN_DECLARE_UNARY(name) Tensor name(const Tensor& x);
PYNN_DECLARE_UNARY(neg)
PYNN_DECLARE_UNARY(abs)
PYNN_DECLARE_UNARY(sign)
PYNN_DECLARE_UNARY(square)
PYNN_DECLARE_UNARY(sqrt)
PYNN_DECLARE_UNARY(rsqrt)
PYNN_DECLARE_UNARY(reciprocal)
PYNN_DECLARE_UNARY(exp)
PYNN_DECLARE_UNARY(exp2)
PYNN_DECLARE_UNARY(expm1)
PYNN_DECLARE_UNARY(log)
PYNN_DECLARE_UNARY(log2)
PYNN_DECLARE_UNARY(log10)
PYNN_DECLARE_UNARY(log1p)
PYNN_DECLARE_UNARY(sin)
PYNN_DECLARE_UNARY(cos)
PYNN_DECLARE_UNARY(tan)
PYNN_DECLARE_UNARY(asin)
PYNN_DECLARE_UNARY(acos)
PYNN_DECLARE_UNARY(atan)
PYNN_DECLARE_UNARY(sinh)
PYNN_DECLARE_UNARY(cosh)
PYNN_DECLARE_UNARY(tanh)
PYNN_DECLARE_UNARY(asinh)
PYNN_DECLARE_UNARY(acosh)
PYNN_DECLARE_UNARY(atanh)
PYNN_DECLARE_UNARY(erf)
PYNN_DECLARE_UNARY(erfc)
PYNN_DECLARE_UNARY(floor)
PYNN_DECLARE_UNARY(ceil)
PYNN_DECLARE_UNARY(round)
PYNN_DECLARE_UNARY(trunc)
PYNN_DECLARE_UNARY(frac)
PYNN_DECLARE_UNARY(sigmoid)
PYNN_DECLARE_UNARY(relu)
Tensor relu_of_result(const Tensor& y);  // relu, where y's values are its already
PYNN_DECLARE_UNARY(bitwise_not)
PYNN_DECLARE_UNARY(logical_not)
PYNN_DECLARE_UNARY(isnan)
PYNN_DECLARE_UNARY(isinf)
PYNN_DECLARE_UNARY(isfinite)
#undef PYNN_DECLARE_UNARY

// One unary map to a result of type `out` (the input's by default), not recorded.
Tensor map_unary(Unary op, const Tensor& x, DType out, const double* params = nullptr);

}  // namespace pynn::ops
