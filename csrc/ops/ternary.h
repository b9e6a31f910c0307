// ternary.h -- maps of three operands.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor where(const Tensor& condition, Other a, Other b);
Tensor lerp(const Tensor& a, const Tensor& b, Other weight);
Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, Scalar value = 1);
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, Scalar value = 1);
Tensor clamp(const Tensor& x, std::optional<Scalar> min, std::optional<Scalar> max);

}  // namespace pynn::ops
